"""Places of a page that a command fills: between <!-- name: begin --> and <!-- name: end -->."""

from __future__ import annotations

import re


def block_names(page: str) -> list[str]:
    """The places of a page, in order."""
    return re.findall(r"<!-- (\S+): begin -->", page)


def read_block(page: str, name: str) -> str:
    """What stands in a place."""
    begin, end = _marks(name)
    return page.partition(begin)[2].partition(end)[0].strip("\n")


def fill_block(page: str, name: str, text: str) -> str:
    """The page with a text in one of its places."""
    begin, end = _marks(name)
    before, after = page.split(begin)[0], page.split(end)[1]
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
