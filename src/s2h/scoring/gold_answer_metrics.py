"""The readers of the paper's tasks: the columns of its released sets, and its metrics from the gold answer alone."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import TypeAdapter

from s2h.diagnosis.analogy_diagnoser import OPTION, analogy_metrics
from s2h.diagnosis.answers import read_answer
from s2h.diagnosis.grid_chains import stated_ends
from s2h.diagnosis.grid_diagnoser import GridDiagnoser, grid_metrics, moves_of
from s2h.diagnosis.table_diagnoser import TOTAL, step_values, total_values
from s2h.puzzles.analogy_texts import heads
from s2h.puzzles.grid_navigation import DESTINATION, EMPTY, MOVES, OBJECTS, OBSTACLES, SOURCE, Cell, Grid, read_moves
from s2h.puzzles.visual_analogy import read_option
from s2h.scoring.readers import Reader
from s2h.scoring.sets import EvalRow

_GRIDS: TypeAdapter[Grid] = TypeAdapter(Grid)
_STEP = re.compile(r"\(\s*(-?[01])\s*,\s*(-?[01])\s*\)")
_VALUE = re.compile(r"[0-9]{1,9}")


class TableReader(Reader):
    """Reads both table tasks; the gold answer is the list of values along the path."""

    form = TOTAL
    gold_form = (
        'the values along the path in their order, as in "3, 0, 12", or the sentence that adds them up, as in "The '
        'total is 3 + 0 + 12 = 15"; the total alone does not tell them'
    )

    def is_gold(self, answer: str) -> bool:
        return bool(total_values(answer)) or _is_list(answer)

    def measure(self, row: EvalRow, prediction: str) -> dict[str, float | None]:
        """The list of values, as the answer adds it up and as the chain reads it."""
        gold = _gold_values(row.answer)
        return {
            "exact_match": float(total_values(prediction) == gold),
            "cot_exact_match": float(step_values(prediction) == gold),
        }

    def is_right(self, row: EvalRow, answer: str) -> bool:
        return int(answer) == sum(_gold_values(row.answer))


class GridReader(Reader):
    """Reads Grid Navigation, whose columns hold the grid: rows of numbers with colons between them, places from 1.

    Obstacles are below 0. Which kinds of objects and obstacles there are is not in the file and does not matter to the
    metrics.
    """

    columns = ("text", "start_row", "start_col", "end_row", "end_col", "collect_objects_coordinates")
    form = GridDiagnoser.form
    gold_form = 'the moves, as in "Answer: right down", or as steps down and right, as in "[(0, 1), (1, 0)]"'

    def is_gold(self, answer: str) -> bool:
        if "Answer:" in answer:
            return read_moves(answer) is not None
        moves, rest = _gold_moves(answer), _STEP.sub("", answer)
        return bool(moves) and all(moves) and not rest.strip(" ,[]\n")

    def puzzle(self, row: Mapping[str, str]) -> str:
        """The symbolic grid as JSON."""
        return _GRIDS.dump_json(_read_grid(row)).decode()

    def measure(self, row: EvalRow, prediction: str) -> dict[str, float | None]:
        """The metrics of the answer, and whether the chain names source and destination."""
        grid = _GRIDS.validate_json(row.puzzle)
        chain = prediction[: read_answer(prediction, self.form).start]
        named = tuple(map(str.lower, stated_ends(chain) or ()))
        measured = grid_metrics(grid, read_moves(prediction), _gold_moves(row.answer))
        return {**measured, "source_dest_score": float(named == _ends(grid)) if chain.strip() else None}

    def is_right(self, row: EvalRow, answer: str) -> bool:
        grid = _GRIDS.validate_json(row.puzzle)
        return grid_metrics(grid, moves_of(answer), _gold_moves(row.answer))["exact_match"] == 1


class AnalogyReader(Reader):
    """Reads Visual Analogy; the gold answer is the right answer block."""

    form = OPTION
    gold_form = (
        'the whole answer block, from "Example 1: (color, XOR)" over both examples and four options to "Answer: 2"; '
        "the option alone does not tell it"
    )

    def is_gold(self, answer: str) -> bool:
        return all(head in answer for head in heads()) and read_option(answer) != ""

    def measure(self, row: EvalRow, prediction: str) -> dict[str, float | None]:
        return analogy_metrics(row.answer, prediction)

    def is_right(self, row: EvalRow, answer: str) -> bool:
        return answer == read_option(row.answer)


def _gold_values(answer: str) -> list[int]:
    """The values along the path: those that a sentence adds up, or all numbers."""
    return total_values(answer) or [int(number) for number in re.findall(r"[0-9]{1,9}", answer)]


def _is_list(answer: str) -> bool:
    """Whether a text is a list of values and nothing else; a number without brackets is none: it may be the total."""
    inner = answer.strip()
    values = re.split(r"[,;+\s]+", inner.strip("[]() "))
    several = len(values) > 1 or (inner.startswith("[") and inner.endswith("]"))
    return several and all(_VALUE.fullmatch(value) for value in values)


def _read_grid(row: Mapping[str, str]) -> Grid:
    numbers = [[int(cell) for cell in line.split(":") if cell] for line in row["text"].strip().split("\n")]
    if len({len(line) for line in numbers}) != 1:
        raise ValueError("its rows are not of one length")
    obstacle = next(iter(OBSTACLES))
    words = [[obstacle if number < 0 else EMPTY for number in line] for line in numbers]
    objects = [_place(*each.split("-")) for each in row["collect_objects_coordinates"].split(":")]
    if len(objects) > len(OBJECTS):
        raise ValueError(f"{len(objects)} objects are more than there are kinds")
    for (at, across), kind in zip(objects, OBJECTS, strict=False):
        words[at][across] = kind
    for word, side in ((SOURCE, "start"), (DESTINATION, "end")):
        at, across = _place(row[f"{side}_row"], row[f"{side}_col"])
        words[at][across] = word
    return Grid(tuple(map(tuple, words)))


def _ends(grid: Grid) -> tuple[str, ...]:
    """Source and destination as the paper's chains name them: a letter for the row, and one for the column."""
    cells = {word: cell for cell, word in grid.places().items()}
    return tuple(" ".join(chr(ord("a") + place) for place in cells[word]) for word in (SOURCE, DESTINATION))


def _place(row: str, column: str) -> Cell:
    found = int(float(row)) - 1, int(float(column)) - 1
    if min(found) < 0:
        raise ValueError(f"the place ({row}, {column}) lies outside")
    return found


def _gold_moves(answer: str) -> list[str]:
    """The moves of a gold answer: in words behind ``Answer:``, or as pairs of numbers."""
    if "Answer:" in answer:
        return read_moves(answer) or []
    names = {step: name for name, step in MOVES.items()}
    return [names.get((int(down), int(right)), "") for down, right in _STEP.findall(answer)]
