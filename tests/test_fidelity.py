"""The fidelity page names tests that exist, and its tables are made by the command that it names."""

from __future__ import annotations

import re

from docs.blocks import read_block
from docs.fidelity import PAGE, measured
from tests.shipped import ROOT

PAGE_TEXT = PAGE.read_text()


def shape(text: str) -> list[tuple[str, ...]]:
    """Titles and the first cells of all rows, which do not depend on the number of puzzles."""
    return [tuple(line.strip("| ").split(" | ")[:1]) for line in text.split("\n") if line.startswith(("|", "#"))]


def test_every_test_that_the_page_names_exists() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", PAGE_TEXT)
    assert len(named) > 20
    assert not [name for name in named if f"def {name}(" not in sources]


def test_the_tables_are_those_of_the_command() -> None:
    tables = read_block(PAGE_TEXT, "measured")
    assert shape(tables) == shape(measured(30))
