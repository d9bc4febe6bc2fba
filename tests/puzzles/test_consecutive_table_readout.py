"""Laws of Consecutive Table Readout, and of what all tables share."""

from __future__ import annotations

import io
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from s2h.puzzles.consecutive_table_readout import ConsecutiveTableReadout, ConsecutiveTableReadoutSettings
from s2h.puzzles.drawing import table_images as drawing
from s2h.puzzles.table_task import COMPACT_COLUMNS, COMPACT_ROWS, MONTHS, PRODUCTS, Table

PAPER_LENGTHS = {"SIMPLE": (5, 10), "MEDIUM": (15, 20), "HARD": (25, 30)}
COMPACT_LENGTHS = {"SIMPLE": (3, 5), "HARD": (8, 10)}


def _settings(style: str, **changes: Any) -> dict[str, Any]:
    lengths = PAPER_LENGTHS if style == "paper" else COMPACT_LENGTHS
    columns = [10, 10] if style == "paper" else [5, 5]
    levels = {level: {"train": 1, "eval": 1, "path_length": list(span)} for level, span in lengths.items()}
    return {"style": style, "rows": [5, 5], "columns": columns, "levels": levels} | changes


def _task(style: str) -> ConsecutiveTableReadout:
    return ConsecutiveTableReadout(ConsecutiveTableReadoutSettings.model_validate(_settings(style)))


PAPER, COMPACT = _task("paper"), _task("compact")
TASKS = {"paper": PAPER, "compact": COMPACT}
LEVELS = [("paper", level) for level in PAPER_LENGTHS] + [("compact", level) for level in COMPACT_LENGTHS]


def _many(style: str, level: Any, number: int = 200) -> list[Table]:
    return [TASKS[style].sample(np.random.default_rng(seed), level, "train") for seed in range(number)]


def _starred(text: str, style: str) -> dict[tuple[int, int], int]:
    """The highlighted cells and their values, read from the text alone."""
    if style == "paper":
        body = [line for line in text.splitlines() if line.endswith("\\\\")][1:]
        rows = [line.removesuffix(" \\\\").split(" & ")[1:] for line in body]
        marked = {(r, c): word for r, row in enumerate(rows) for c, word in enumerate(row) if word.endswith(" *")}
    else:
        rows = [line.split() for line in text.splitlines()]
        marked = {(r, c): word for r, row in enumerate(rows) for c, word in enumerate(row) if "*" in word}
    return {cell: int(word.rpartition(":")[2].strip(" *")) for cell, word in marked.items()}


@pytest.mark.parametrize(("style", "level"), LEVELS)
def test_declared_lengths_hold_and_are_all_used(style: str, level: str) -> None:
    shortest, longest = (PAPER_LENGTHS if style == "paper" else COMPACT_LENGTHS)[level]
    assert {len(puzzle.path) for puzzle in _many(style, level)} == set(range(shortest, longest + 1))


@pytest.mark.parametrize(("style", "level"), LEVELS)
def test_the_path_follows_reading_order_in_both_directions(style: str, level: str) -> None:
    directions: Counter[int] = Counter()
    for puzzle in _many(style, level):
        columns = len(puzzle.column_names)
        steps = {b[0] * columns + b[1] - a[0] * columns - a[1] for a, b in pairwise(puzzle.path)}
        assert len(steps) == 1
        directions.update(steps)
    assert set(directions) == {1, -1}
    assert min(directions.values()) > 70


def test_the_levels_of_the_paper_do_not_overlap() -> None:
    longest = {level: max(len(p.path) for p in _many("paper", level)) for level in PAPER_LENGTHS}
    shortest = {level: min(len(p.path) for p in _many("paper", level)) for level in PAPER_LENGTHS}
    assert longest["SIMPLE"] < shortest["MEDIUM"] <= longest["MEDIUM"] < shortest["HARD"]


@pytest.mark.parametrize(("style", "level"), LEVELS)
def test_the_stars_of_the_text_are_the_path_and_sum_to_the_answer(style: str, level: str) -> None:
    for puzzle in _many(style, level, 50):
        starred = _starred(TASKS[style].to_text(puzzle), style)
        assert set(starred) == set(puzzle.path)
        assert len(starred) == len(puzzle.path)
        assert TASKS[style].answer(puzzle) == str(sum(starred.values()))


def test_the_column_specification_tells_nothing_of_the_path() -> None:
    specifications = {
        PAPER.to_text(puzzle).splitlines()[2] for level in PAPER_LENGTHS for puzzle in _many("paper", level)
    }
    assert specifications == {"\\begin{tabular}{l" + "r" * 10 + "}"}


@pytest.mark.parametrize("columns", [5, 10, 12])
def test_no_month_overflows_its_header_cell(columns: int) -> None:
    widest = max(drawing._label_width([name]) for name in PRODUCTS)
    width = (drawing._RIGHT - widest) // columns
    for month in MONTHS:
        head = drawing._head(month, width)
        assert head.ink.shape[1] <= width - drawing.MARGIN
        assert -head.left < width // 2 - 1
        assert head.left + head.ink.shape[1] < width - width // 2 - 1


def test_no_word_overflows_its_cell_in_the_fullest_table() -> None:
    widest = max(drawing._label_width([name]) for name in PRODUCTS)
    height, width = drawing._words().shape[2:]
    assert width < (drawing._RIGHT - widest) // len(MONTHS)
    assert height < drawing.row_height(drawing.MOST_ROWS)


def test_rows_are_as_high_as_in_the_paper() -> None:
    assert [drawing.row_height(rows) for rows in (5, 7, 9, 10, 11, 12)] == [77, 77, 77, 69, 61, 53]


def test_the_image_highlights_exactly_the_path() -> None:
    for puzzle in _many("compact", "HARD", 20):
        pixels = np.asarray(Image.open(io.BytesIO(COMPACT.render(puzzle))).convert("RGB"))
        tiles = pixels.reshape(6, 16, 6, 16, 3)
        yellow = (tiles == np.array(drawing.YELLOW)).all(axis=4).any(axis=(1, 3))
        assert {(int(r) - 1, int(c) - 1) for r, c in np.argwhere(yellow)} == set(puzzle.path)


def test_compact_text_question_and_chain_call_a_cell_by_one_word() -> None:
    puzzle = _many("compact", "HARD", 1)[0]
    lines = COMPACT.to_text(puzzle).replace("*", "").splitlines()
    for name, line, values in zip(puzzle.row_names, lines, puzzle.values, strict=True):
        assert line.split() == [f"{name}{c}:{value}" for c, value in zip(puzzle.column_names, values, strict=True)]
    steps = [line.split() for line in COMPACT.chain_of_thought(puzzle).splitlines()]
    read = dict(word.split(":") for line in lines for word in line.split())
    assert all(read[name] == value for name, value, *_ in steps)
    assert COMPACT.question(puzzle, "text") == f"from {steps[0][0]} to {steps[-1][0]}"


def test_images_depend_on_every_value_and_on_the_path() -> None:
    puzzle = _many("paper", "SIMPLE", 1)[0]
    shifted = tuple(tuple((v + 1) % 10 for v in row) for row in puzzle.values)
    others = [
        Table(puzzle.row_names, puzzle.column_names, shifted, puzzle.path),
        Table(puzzle.row_names, puzzle.column_names, puzzle.values, puzzle.path[1:]),
    ]
    assert len({PAPER.render(table) for table in (puzzle, *others)}) == 3


def test_names_and_digits_are_all_used_and_never_repeat() -> None:
    puzzles = _many("paper", "SIMPLE")
    assert {name for p in puzzles for name in p.row_names} == set(PRODUCTS)
    assert {p.column_names[0] for p in puzzles} == set(MONTHS)
    assert {v for p in puzzles for row in p.values for v in row} == set(range(10))
    assert all(len(set(p.row_names)) == 5 and len(set(p.column_names)) == 10 for p in puzzles)
    compact = _many("compact", "HARD", 1)[0]
    assert (compact.row_names, compact.column_names) == (COMPACT_ROWS[:5], COMPACT_COLUMNS[:5])


def test_questions_differ_by_modality_in_the_paper_and_name_both_ends() -> None:
    puzzle = _many("paper", "HARD", 1)[0]
    text, image = PAPER.question(puzzle, "text"), PAPER.question(puzzle, "image")
    assert "star" in text
    assert "yellow" in image
    for name in (*puzzle.place(puzzle.path[0]), *puzzle.place(puzzle.path[-1])):
        assert name in text
        assert name in image


@pytest.mark.parametrize("form", ["Answer: {}", "Answer:{}", "Answer:   {}  ", "Answer: {}.", "so\nAnswer:\n{}\nbye"])
def test_the_judge_tolerates_form(form: str) -> None:
    puzzle = _many("paper", "SIMPLE", 1)[0]
    verdict = PAPER.judge(puzzle, form.format(PAPER.answer(puzzle)))
    assert verdict.correct
    assert verdict.answer == PAPER.answer(puzzle)


@pytest.mark.parametrize(
    "form", ["{}", "answer {}", "Answer: {} apples", "Answer: -{}", "Answer: {}0", "Answer: {}\nAnswer: 0"]
)
def test_the_judge_is_strict_on_substance(form: str) -> None:
    puzzle = next(p for p in _many("paper", "SIMPLE") if PAPER.answer(p) != "0")
    assert not PAPER.judge(puzzle, form.format(PAPER.answer(puzzle))).correct


@pytest.mark.parametrize("span", [[0, 5], [5, 51], [51, 60]])
def test_impossible_lengths_are_refused(span: list[int]) -> None:
    level = {"train": 1, "eval": 1, "path_length": span}
    with pytest.raises(ValidationError, match=r"levels\.SIMPLE\.path_length is .* 50 cells"):
        ConsecutiveTableReadoutSettings.model_validate(_settings("paper", levels={"SIMPLE": level}))


@pytest.mark.parametrize(("style", "columns", "most"), [("paper", [10, 13], 12), ("compact", [5, 14], 13)])
def test_every_column_needs_a_name(style: str, columns: list[int], most: int) -> None:
    with pytest.raises(ValidationError, match=f"at most {most} columns"):
        ConsecutiveTableReadoutSettings.model_validate(_settings(style, columns=columns))


def test_a_misspelled_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="colums"):
        ConsecutiveTableReadoutSettings.model_validate(_settings("paper", colums=[10, 10]))
