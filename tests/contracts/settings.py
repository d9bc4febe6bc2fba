"""Settings of every registered task in each style: those of the configs that are shipped, and of ``--configfile``."""

from __future__ import annotations

from functools import cache
from typing import Any

from s2h.overlays import read_config
from s2h.puzzles.task import Task, TaskSettings
from s2h.puzzles.task_registry import TASKS, make_task
from tests.shipped import own_config


@cache
def _settings() -> dict[tuple[str, str], TaskSettings]:
    """The settings of each task and style, of the first config that has them."""
    found: dict[tuple[str, str], TaskSettings] = {}
    for config in filter(None, (read_config(), read_config("paper"), own_config())):
        for name in config.task_names():
            found.setdefault((name, config.task(name).style), config.task(name))
    return found


def styles(name: str) -> list[str]:
    """The styles in which a config has the task."""
    return [style for task, style in _settings() if task == name]


def task_settings(name: str, style: str) -> dict[str, Any]:
    """Valid settings of a task as a config file would hold them; a fresh copy, free to be changed."""
    settings: dict[str, Any] = _settings()[name, style].model_dump(mode="json")
    return settings


@cache
def shipped_task(name: str, style: str) -> Task[Any]:
    """The task with those settings."""
    return make_task(name, task_settings(name, style))


CASES = [(name, style, level) for name, style in sorted(_settings()) for level in task_settings(name, style)["levels"]]
"""Every task, style and level."""
SCENE_CASES = [case for case in sorted(_settings()) if shipped_task(*case).has_scenes]
"""Every task and style that has scenes."""
TASKS_WITHOUT_SETTINGS = [name for name in TASKS if not styles(name)]
"""Registered tasks that no config has: they would be tested by nothing here."""
