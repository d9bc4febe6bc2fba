"""The blind baselines by task. A task without an entry has one: the most frequent answer."""

from collections.abc import Callable, Mapping
from typing import Any

from s2h.baselines.baseline import Baseline, most_frequent
from s2h.puzzles.task import Task
from s2h.registry import Registry

BASELINES: Registry[Callable[[Any], Mapping[str, Baseline[Any]]]] = Registry("blind baseline")
"""For each task a function of it that gives its baselines beside the most frequent answer, by name."""
BASELINES.add("consecutive_table_readout", "s2h.baselines.table_baselines:table_baselines")
BASELINES.add("table_readout", "s2h.baselines.table_baselines:table_baselines")
BASELINES.add("grid_navigation", "s2h.baselines.grid_baselines:grid_baselines")
BASELINES.add("visual_analogy", "s2h.baselines.analogy_baselines:analogy_baselines")


def find_baselines(task: Task[Any]) -> dict[str, Baseline[Any]]:
    """The baselines of a task with its settings, by name."""
    own = BASELINES[task.name](task) if task.name in BASELINES else {}
    return {"constant answer": most_frequent(task.answer), **own}
