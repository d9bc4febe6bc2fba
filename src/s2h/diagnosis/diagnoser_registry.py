"""The diagnosers by task. A task without one is diagnosed line by line."""

from typing import Any

from s2h.diagnosis.diagnosis import Diagnoser
from s2h.puzzles.task import Task
from s2h.registry import Registry

DIAGNOSERS: Registry[type[Diagnoser[Any]]] = Registry("diagnoser")
DIAGNOSERS.add("consecutive_table_readout", "s2h.diagnosis.table_diagnoser:TableDiagnoser")
DIAGNOSERS.add("table_readout", "s2h.diagnosis.table_diagnoser:TableDiagnoser")
DIAGNOSERS.add("grid_navigation", "s2h.diagnosis.grid_diagnoser:GridDiagnoser")
DIAGNOSERS.add("visual_analogy", "s2h.diagnosis.analogy_diagnoser:AnalogyDiagnoser")

METRICS = (
    "exact_match", "cot_exact_match", "partial_score", "source_dest_score", "num_obstacles", "objects_collected",
    "objects", "labels_correct", "transcription",
)  # fmt: skip
"""The metrics of the paper's tasks, in the order of tables; each diagnoser has some of them, and may have others."""


def other_metrics() -> list[str]:
    """The metrics of registered diagnosers that are not among ``METRICS``, each once."""
    names = (metric for name in DIAGNOSERS for metric in DIAGNOSERS[name].metrics)
    return [*dict.fromkeys(name for name in names if name not in METRICS)]


def find_diagnoser(task: Task[Any], *, strict: bool = False) -> Diagnoser[Any]:
    """The diagnoser of a task with its settings; ``strict`` reads answers only where they stand as asked."""
    if task.name in DIAGNOSERS:
        return DIAGNOSERS[task.name](task, strict=strict)
    return Diagnoser(task, strict=strict)
