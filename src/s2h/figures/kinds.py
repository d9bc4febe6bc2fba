"""The class of a figure: the tables that it reads, and a function that draws them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:  # a plan lists the figures, and draws none
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
        tables: names of the tables that it reads.
        draw: makes it of them; where they have nothing to show, it is a figure that says so.
        data: files of this package that it reads beside them.
    """

    title: str
    tables: tuple[str, ...]
    draw: Callable[[Tables, Titles], Figure]
    data: tuple[Path, ...] = ()
