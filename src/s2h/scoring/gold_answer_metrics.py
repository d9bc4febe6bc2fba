"""Scoring of predictions for external evaluation sets: the paper's metrics, from the gold answer alone."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import TypeAdapter

from s2h.diagnosis.analogy_diagnoser import analogy_metrics
from s2h.diagnosis.diagnosis import Diagnosis
from s2h.diagnosis.grid_diagnoser import grid_metrics
from s2h.diagnosis.table_diagnoser import step_values, total_values
from s2h.errors import DataError
from s2h.puzzles.grid_navigation import DESTINATION, EMPTY, MOVES, OBJECTS, OBSTACLES, SOURCE, Cell, Grid, read_moves
from s2h.puzzles.task import final_answer
from s2h.scoring.sets import EvalRow

GRID_COLUMNS = ("text", "start_row", "start_col", "end_row", "end_col", "collect_objects_coordinates")
"""The columns that hold a grid: rows of numbers with colons between them, obstacles below 0; places from 1."""

_GRIDS: TypeAdapter[Grid] = TypeAdapter(Grid)
_STEP = re.compile(r"\(\s*(-?[01])\s*,\s*(-?[01])\s*\)")


def grid_json(path: str | Path, row: dict[str, str]) -> str:
    """The symbolic grid of a row; raises DataError where its columns hold none.

    Which kinds of objects and obstacles there are is not in the file and does not matter to the metrics.
    """
    try:
        return _GRIDS.dump_json(_read_grid(row)).decode()
    except (ValueError, IndexError) as error:
        raise DataError(
            f"{path}, index {row['index']}: the columns {', '.join(GRID_COLUMNS)} hold no grid ({error})."
        ) from None


def _read_grid(row: dict[str, str]) -> Grid:
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


def _place(row: str, column: str) -> Cell:
    found = int(float(row)) - 1, int(float(column)) - 1
    if min(found) < 0:
        raise ValueError(f"the place ({row}, {column}) lies outside")
    return found


def released_diagnosis(task: str, row: EvalRow, prediction: str) -> Diagnosis:
    """What a prediction is worth by the paper's metrics; ``correct`` is its exact match.

    Args:
        task: whose puzzle it is.
        row: the puzzle; ``puzzle`` holds the symbolic grid.
        prediction: any text.
    """
    measure = {"grid_navigation": _grid, "visual_analogy": _analogy}.get(task, _table)
    metrics = measure(row, prediction)
    answer = final_answer(prediction) or ""
    correct = metrics["exact_match"] == 1
    return Diagnosis(bool(answer), answer, correct, False, None, None, None, None, None, metrics)


def _table(row: EvalRow, prediction: str) -> dict[str, float | None]:
    """The list of values, as the answer adds it up and as the chain reads it; the gold answer is that list."""
    gold = total_values(row.answer) or [int(number) for number in re.findall(r"[0-9]{1,9}", row.answer)]
    return {
        "exact_match": float(total_values(prediction) == gold),
        "cot_exact_match": float(step_values(prediction) == gold),
    }


def _grid(row: EvalRow, prediction: str) -> dict[str, float | None]:
    return grid_metrics(_GRIDS.validate_json(row.puzzle), read_moves(prediction), _gold_moves(row.answer))


def _gold_moves(answer: str) -> list[str]:
    """The moves of a gold answer: in words behind ``Answer:``, or as pairs of numbers."""
    if "Answer:" in answer:
        return read_moves(answer) or []
    names = {step: name for name, step in MOVES.items()}
    return [names.get((int(down), int(right)), "") for down, right in _STEP.findall(answer)]


def _analogy(row: EvalRow, prediction: str) -> dict[str, float | None]:
    return analogy_metrics(row.answer, prediction)
