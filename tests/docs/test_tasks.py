"""The page of the tasks shows what its command draws and writes."""

from __future__ import annotations

import re

from docs.blocks import block_names
from docs.pictures import IMAGES, PAGE, drawn
from s2h.puzzles.task_registry import TASKS


def test_every_task_has_its_section() -> None:
    assert sorted(block_names(PAGE.read_text())) == list(TASKS)


def test_texts_and_pictures_are_those_of_the_command() -> None:
    """Mend with: python -m docs.pictures."""
    page, pictures = drawn(PAGE.read_text())
    assert page == PAGE.read_text()
    assert len(pictures) == 4 * len(list(TASKS))
    for name, png in pictures.items():
        assert (IMAGES / name).read_bytes() == png, name


def test_every_picture_of_the_page_is_there() -> None:
    shown = re.findall(r"\]\(images/([^)]+)\)", PAGE.read_text())
    assert len(shown) == len(set(shown)) == 4 * len(list(TASKS))
    assert all((IMAGES / name).is_file() for name in shown)
