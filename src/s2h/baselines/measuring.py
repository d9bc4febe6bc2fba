"""How often each blind baseline is right on the evaluation sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from s2h.baselines.baseline_registry import find_baselines
from s2h.files import atomic_file
from s2h.puzzles.shards import PuzzleSet, draw_puzzle, read_shards
from s2h.puzzles.task import Level, Task
from s2h.puzzles.task_registry import make_task

SCHEMA = {
    "task": pl.String,
    "level": pl.String,
    "baseline": pl.String,  # its name
    "n": pl.Int64,  # evaluation puzzles
    "correct": pl.Int64,  # those whose guessed answer is right
}
LEARNED_FROM = 2_000
"""Training puzzles from which baselines learn."""


def write_baselines(output: str | Path, evaluation: Mapping[str, Mapping[str, Any]], seed: int) -> None:
    """Write what ``measure_baselines`` gives as a Parquet file.

    Args:
        output: the file; it appears whole or not at all.
        evaluation: of each task its settings, and shards and number of puzzles of each level.
        seed: seed of the study.
    """
    rows = [
        row
        for name, sets in evaluation.items()
        for task in [make_task(name, sets["settings"])]
        for level, paths in sets["shards"].items()
        for row in measure_baselines(task, level, _read(task, paths, sets["puzzles"][level]), seed)
    ]
    with atomic_file(output) as temporary:
        pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(temporary)


def measure_baselines(
    task: Task[Any], level: Level, puzzles: Sequence[Any], seed: int, *, learned_from: int = LEARNED_FROM
) -> list[tuple[Any, ...]]:
    """The rows of ``SCHEMA`` for one evaluation set, in the order of the task's baselines.

    Baselines learn from the first training puzzles of the level. These are drawn again, as symbols alone, so that a
    study without training sets has the same.

    Args:
        task: the task, with its settings.
        level: SIMPLE, MEDIUM or HARD.
        puzzles: of the evaluation set.
        seed: seed of the study.
        learned_from: number of training puzzles.
    """
    training = [draw_puzzle(task, PuzzleSet(seed, level, "train"), index)[0] for index in range(learned_from)]
    rows = []
    for name, learn in find_baselines(task).items():
        guess = learn(training)
        correct = sum(task.judge(puzzle, f"Answer: {guess(puzzle)}").correct for puzzle in puzzles)
        rows.append((task.name, level, name, len(puzzles), correct))
    return rows


def _read(task: Task[Any], shards: Sequence[str], number: int) -> list[Any]:
    """The first puzzles of a set."""
    return [task.from_json(row["puzzle"]) for row in islice(read_shards(list(shards), ["puzzle"]), number)]
