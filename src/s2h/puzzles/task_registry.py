"""The tasks by name. A new task is one module, one line here and one entry in the config."""

from collections.abc import Mapping
from typing import Any

from s2h.puzzles.task import Task
from s2h.registry import Registry

TASKS: Registry[type[Task[Any]]] = Registry("task")
TASKS.add("consecutive_table_readout", "s2h.puzzles.consecutive_table_readout:ConsecutiveTableReadout")
TASKS.add("table_readout", "s2h.puzzles.table_readout:TableReadout")
TASKS.add("grid_navigation", "s2h.puzzles.grid_navigation:GridNavigation")
TASKS.add("visual_analogy", "s2h.puzzles.visual_analogy:VisualAnalogy")


def make_task(name: str, settings: Mapping[str, Any]) -> Task[Any]:
    """A task with its settings as a config file holds them; mistakes raise ConfigError or ValidationError."""
    kind = TASKS[name]
    return kind(kind.settings_type.model_validate(settings))
