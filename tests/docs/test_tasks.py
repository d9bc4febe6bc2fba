"""The page of the tasks shows every registered task, and its pictures are there."""

from __future__ import annotations

import re

from docs.blocks import block_names
from docs.pictures import IMAGES, PAGE, drawn
from s2h.puzzles.task_registry import TASKS


def test_every_task_has_its_section() -> None:
    assert sorted(block_names(PAGE.read_text())) == list(TASKS)


def test_every_picture_of_the_page_is_there() -> None:
    shown = re.findall(r"\]\(images/([^)]+)\)", PAGE.read_text())
    assert shown
    assert len(shown) == len(set(shown))
    assert all((IMAGES / name).is_file() for name in shown)


def test_a_task_that_is_not_on_the_page_gets_a_section() -> None:
    page = PAGE.read_text()
    begin, end = page.index("## Visual Analogy"), page.index("<!-- visual_analogy: end -->\n")
    without = page[:begin] + page[end:].partition("\n")[2]
    assert block_names(without) == [name for name in block_names(page) if name != "visual_analogy"]
    written, _ = drawn(without)
    assert sorted(block_names(written)) == list(TASKS)
    assert "\n## Visual Analogy\n\n" in written
