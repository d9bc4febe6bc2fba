"""Tasks, tables and figures from outside the package: modules that the config names, and entry points.

A plugin is a module with a function ``register`` that takes nothing and adds to the registries, as the package does for
its own (docs/add-a-task.md). Importing it registers nothing: ``load_plugins`` calls ``register``, once in a process.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from s2h.errors import ConfigError
from s2h.puzzles.task import Task
from s2h.puzzles.task_registry import TASKS

GROUP = "s2h.tasks"
"""The entry points of installed packages whose value is a plugin; they are loaded wherever the package is installed."""

_LOADED: set[str] = set()


def load_plugins(names: Sequence[str]) -> None:
    """Register what plugins and the entry points of installed packages bring; each plugin once in a process.

    Args:
        names: modules, installed or below the current folder, which is that of the workflow.

    Raises:
        ConfigError: a module cannot be imported or is no plugin, or what it registers cannot be used.
    """
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"plugins is {names!r}: give a list of modules, as in plugins: [my_tasks.mazes].")
    if names:
        _search_current_folder()
    for name in [*names, *(point.value for point in entry_points(group=GROUP))]:
        if name not in _LOADED:
            _register(name)
            _LOADED.add(name)


def _search_current_folder() -> None:
    """Find modules below the current folder too, which a script does not; behind all that is installed.

    Only where the config names one: libraries take a folder ``wandb`` for a package that is installed.
    """
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.append(folder)


def _register(name: str) -> None:
    module = _import(name)
    if not callable(register := getattr(module, "register", None)):
        raise ConfigError(
            f"the plugin {name} has no function register(): give it one that adds its tasks, "
            f'for instance TASKS.add("my_task", "{name}:MyTask").'
        )
    before = set(TASKS)
    try:
        register()
        for task in set(TASKS) - before:
            _check_task(task)
    except ConfigError as error:
        raise ConfigError(f"the plugin {name}: {error}") from error


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(f"the plugin {name} imports {error.name}, which is not installed.") from error
        raise ConfigError(
            f"the plugin {name} is not there: no module {error.name} is installed or lies in {Path.cwd()}. Put it "
            "there, install it, or correct its name."
        ) from error
    except Exception as error:
        raise ConfigError(f"the plugin {name} cannot be imported ({type(error).__name__}: {error}).") from error


def _check_task(name: str) -> None:
    """Raise ConfigError where what is registered as a task is none of that name."""
    task = TASKS[name]
    if not (isinstance(task, type) and issubclass(task, Task)):
        raise ConfigError(f"the task {name!r} is registered as {TASKS.place(name)}: name a class derived from Task.")
    if task.name != name:
        raise ConfigError(f"the task {name!r} is registered as {TASKS.place(name)}, whose name is {task.name!r}.")
