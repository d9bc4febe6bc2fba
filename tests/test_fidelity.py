"""The fidelity page names tests that exist, and its tables are made by the command that it names."""

from __future__ import annotations

import re

import pytest

from docs.blocks import read_block
from docs.fidelity import _PUZZLES, PAGE, TABLES, table
from tests.shipped import ROOT

PAGE_TEXT = PAGE.read_text()
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
SLOW = ("Grid Navigation", "Visual Analogy", "Guess rates")
"""Tables that are made of fewer puzzles here, so that their numbers are only near those of the page."""


def shown(title: str) -> str:
    """A table of the page, with its heading."""
    parts = re.split(r"\n\n(?=### )", read_block(PAGE_TEXT, "measured"))
    (found,) = (part for part in parts if part.startswith(f"### {title}\n"))
    return found


def near(found: str, wanted: str) -> bool:
    """Whether two numbers differ by no more than chance makes them: means by a fifth, shares by 12 points."""
    one, other = (float(number.replace(",", "")) for number in (found, wanted))
    share = 0.25 if "." in wanted else 4 if other < 10 else 12
    return one == pytest.approx(other, rel=0.2, abs=share)


def test_every_test_that_the_page_names_exists() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", PAGE_TEXT)
    assert len(named) > 20
    assert not [name for name in named if f"def {name}(" not in sources]


def test_the_page_has_all_tables() -> None:
    assert re.findall(r"^### (.+)$", read_block(PAGE_TEXT, "measured"), re.MULTILINE) == list(TABLES)


@pytest.mark.parametrize("title", [title for title in TABLES if title not in SLOW])
def test_a_table_is_that_of_the_command(title: str) -> None:
    """Mend with: python -m docs.fidelity."""
    assert shown(title) == table(title, _PUZZLES)


@pytest.mark.parametrize("title", SLOW)
def test_a_slow_table_is_that_of_the_command_but_for_chance(title: str) -> None:
    page, made = shown(title), table(title, 200)
    assert NUMBER.sub("0", page) == NUMBER.sub("0", made)
    for found, wanted in zip(NUMBER.findall(made), NUMBER.findall(page), strict=True):
        assert near(found, wanted), (found, wanted)
