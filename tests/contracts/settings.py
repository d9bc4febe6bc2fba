"""Settings of every registered task in each style: those of the configs that are shipped."""

from __future__ import annotations

from functools import cache
from typing import Any

from s2h.overlays import read_config
from s2h.puzzles.task import Task
from s2h.puzzles.task_registry import TASKS, make_task

OVERLAYS = {"compact": (), "paper": ("paper",)}
"""The config files to lay over the default for each style."""


@cache
def _configs() -> dict[str, Any]:
    return {style: read_config(*overlays) for style, overlays in OVERLAYS.items()}


def styles(name: str) -> list[str]:
    """The styles in which a shipped config has the task."""
    return [style for style, config in _configs().items() if config.task(name).style == style]


def task_settings(name: str, style: str) -> dict[str, Any]:
    """Valid settings of a task as a config file would hold them; a fresh copy, free to be changed."""
    settings: dict[str, Any] = _configs()[style].task(name).model_dump(mode="json")
    return settings


@cache
def shipped_task(name: str, style: str) -> Task[Any]:
    """The task with those settings."""
    return make_task(name, task_settings(name, style))


CASES = [
    (name, style, level) for name in TASKS for style in styles(name) for level in task_settings(name, style)["levels"]
]
"""Every task, style and level."""
