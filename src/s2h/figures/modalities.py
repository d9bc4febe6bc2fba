"""Text against image: what each recipe makes of the same puzzles in either form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from s2h.figures.kinds import FigureKind, Tables, Titles
from s2h.figures.page import finish_page, message_page, open_panels
from s2h.figures.selection import (
    at_largest_budget,
    budgets_note,
    guess_rate,
    recipes_of,
    seeds_note,
    setting_title,
    settings_of,
    short_number,
    spread,
)
from s2h.figures.style import GRID, GUESS_NOTE, INK, RecipeStyle, draw_guess_rate, guess_rate_entry, recipe_styles
from s2h.puzzles.record import LEVELS

TITLE = "Text against image, recipe by recipe"

_MARKS = {"text": ("s", "white"), "image": ("o", None)}  # marker, and its filling (the recipe's colour by default)
_EXACT: dict[str, Any] = {"marker": "|", "markersize": 5, "markeredgewidth": 1.2, "linestyle": "none", "alpha": 0.6}
_SEPARATION = {"text": -0.15, "image": 0.15}  # from the middle of a recipe's line
_LINE, _AROUND = 0.19, 0.42  # height of a recipe's line, and of what is around a panel, in inches


def draw(tables: Tables, titles: Titles) -> Figure:
    """A row of panels for each task, a column for each level, a pair of points for each recipe.

    A stroke beside each point is the share of exact matches.
    """
    shown = at_largest_budget(tables["accuracy"])
    if shown.is_empty():
        return message_page(TITLE, "No run has been measured: the table accuracy is empty.")
    styles = recipe_styles([*titles.recipes, *shown["recipe"]])
    settings = settings_of(shown, titles)
    levels = [level for level in LEVELS if level in set(shown["level"])]
    heights = [_AROUND + _LINE * part["recipe"].n_unique() for part in settings.values()]
    figure, panels = open_panels(heights, len(levels))
    for row, (setting, part) in zip(panels, settings.items(), strict=True):
        recipes = recipes_of(part, titles)
        for axes, level in zip(row, levels, strict=True):
            _draw_panel(axes, part.filter(pl.col("level") == level), recipes, styles=styles)
            draw_guess_rate(axes, guess_rate(tables["baselines"], [setting.task], level), upright=True)
            axes.set_title(level)
        row[0].set_yticks(range(len(recipes)), _names(part, recipes, titles))
        name = setting_title(setting, settings, titles)
        row[0].text(-0.03, 1.04, name, transform=row[0].transAxes, ha="right", weight="bold")
    for axes in panels[-1]:
        axes.set_xlabel("share of puzzles (%)")
    return finish_page(figure, TITLE, entries=_entries(), note=_note(shown))


def _draw_panel(axes: Axes, part: pl.DataFrame, recipes: Sequence[str], *, styles: Mapping[str, RecipeStyle]) -> None:
    """The recipes from the top; text and image of each are joined by a line as long as their gap."""
    for place, recipe in enumerate(recipes):
        found = part.filter(pl.col("recipe") == recipe)
        ends = [(modality, found.filter(pl.col("modality") == modality)) for modality in _MARKS]
        joined = [(100 * rows["accuracy"][0], place + _SEPARATION[modality]) for modality, rows in ends if rows.height]
        if joined:
            axes.plot(*zip(*joined, strict=True), color=GRID, linewidth=2.5, zorder=1)
        for modality, rows in ends:
            _draw_points(axes, rows, place + _SEPARATION[modality], style=styles[recipe], modality=modality)
    axes.set_ylim(len(recipes) - 0.5, -0.5)
    axes.set_yticks(range(len(recipes)), [])
    axes.set_xlim(-4, 104)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)


def _draw_points(axes: Axes, rows: pl.DataFrame, place: float, *, style: RecipeStyle, modality: str) -> None:
    marker, filling = _MARKS[modality]
    axes.hlines([place] * rows.height, 100 * rows["ci_low"], 100 * rows["ci_high"], color=style.colour, linewidth=0.8)
    line = style.line(marker=marker, linestyle="none", markerfacecolor=filling or style.colour, zorder=3)
    axes.plot(100 * rows["accuracy"], [place] * rows.height, **line)
    exact = rows.drop_nulls("exact_match")
    axes.plot(100 * exact["exact_match"], [place] * exact.height, color=style.colour, zorder=2, **_EXACT)


def _names(part: pl.DataFrame, recipes: Sequence[str], titles: Titles) -> list[str]:
    """Titles of the recipes; with their budgets, where these differ."""
    if part["budget"].n_unique() == 1:
        return [titles.recipe(recipe) for recipe in recipes]
    budgets = dict(part.select("recipe", "budget").iter_rows())
    return [f"{titles.recipe(recipe)}, {short_number(budgets[recipe])}" for recipe in recipes]


def _entries() -> list[Artist]:
    line: dict[str, Any] = {"color": INK, "linestyle": "none", "markeredgewidth": 0.7}
    points = [
        Line2D([], [], label=f"{modality}: right answers", marker=marker, markerfacecolor=filling or INK, **line)
        for modality, (marker, filling) in _MARKS.items()
    ]
    return [*points, Line2D([], [], label="exact match", color=INK, **_EXACT), guess_rate_entry()]


def _note(shown: pl.DataFrame) -> str:
    return (
        f"Bars: 95 % Wilson intervals on n = {spread(shown['n'])} puzzles of a level, each given as text and as an "
        f"image; points: {seeds_note(shown)}, {budgets_note(shown)}. Exact match: the paper's own metric. {GUESS_NOTE}"
    )


MODALITIES = FigureKind(TITLE, draw)
