"""The blind baseline of both table tasks."""

from __future__ import annotations

from s2h.baselines.baseline import Baseline, most_frequent
from s2h.puzzles.table_task import Table, TableTask


def table_baselines(task: TableTask) -> dict[str, Baseline[Table]]:
    """The most frequent sum of paths of that length: how many cells are highlighted is seen, but not their values."""
    return {"length of the path": most_frequent(task.answer, lambda puzzle: len(puzzle.path))}
