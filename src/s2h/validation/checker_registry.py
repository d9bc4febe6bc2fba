"""The checkers by task. A task without one is still checked for what holds for every record."""

from typing import Any

from s2h.puzzles.task import Task
from s2h.registry import Registry
from s2h.validation.checker import Checker

CHECKERS: Registry[type[Checker]] = Registry("checker")
CHECKERS.add("consecutive_table_readout", "s2h.validation.table_checker:RunChecker")
CHECKERS.add("table_readout", "s2h.validation.table_checker:WalkChecker")
CHECKERS.add("grid_navigation", "s2h.validation.grid_checker:GridChecker")
CHECKERS.add("visual_analogy", "s2h.validation.analogy_checker:AnalogyChecker")


def find_checker(task: Task[Any]) -> Checker | None:
    """The checker of a task with its settings; None where it has none."""
    return CHECKERS[task.name](task.settings) if task.name in CHECKERS else None
