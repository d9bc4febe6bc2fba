"""The class of a figure: its title, and the function that draws it from tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import polars as pl
from matplotlib.figure import Figure

Tables = Mapping[str, pl.DataFrame]
"""The tables that a figure reads, by name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Titles:
    """The paper's names of recipes and tasks, in the order in which they are shown."""

    recipes: Mapping[str, str]
    tasks: Mapping[str, str]

    def recipe(self, name: str) -> str:
        """The title of a recipe; one that has none is called by its name."""
        return self.recipes.get(name, name)

    def task(self, name: str) -> str:
        """The title of a task; one that has none is called by its name."""
        return self.tasks.get(name, name)


@dataclasses.dataclass(frozen=True, slots=True)
class FigureKind:
    """One of the figures.

    Attributes:
        title: what it shows, as its file says too.
        draw: makes it from its tables (``figure_registry``); where they have nothing to show, it is a figure that says
            so.
    """

    title: str
    draw: Callable[[Tables, Titles], Figure]
