"""Difficulty curves: accuracy against what makes a puzzle hard, within SIMPLE and HARD and from one to the other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from s2h.figures.kinds import FigureKind, Tables, Titles
from s2h.figures.page import finish_page, message_page, open_grid, share_axis
from s2h.figures.selection import (
    at_largest_budget,
    budgets_note,
    guess_rate,
    limits,
    recipes_of,
    setting_title,
    settings_of,
    spread,
)
from s2h.figures.style import (
    GUESS_NOTE,
    SMALL,
    RecipeStyle,
    draw_guess_rate,
    draw_intervals,
    guess_rate_entry,
    legend_entry,
    recipe_styles,
)
from s2h.puzzles.record import LEVELS

TITLE = "Accuracy against the difficulty of the puzzle"

_MODALITIES = ("image", "text")  # from the top
_SHADES = {"SIMPLE": "#f1efe6", "MEDIUM": "#e4e6ec", "HARD": "#dde3ee"}
_MOST_WITH_BARS = 6  # recipes: the intervals of more would hide the lines
_BAND = 13.0  # height of a level's label above 100, in %
_SHIFT = 0.05  # from recipe to recipe, as a share of a bin


def draw(tables: Tables, titles: Titles) -> Figure:
    """A column for each task and measure, a row for each modality, a line for each recipe and level."""
    shown = at_largest_budget(tables["difficulty"])
    if shown.is_empty():
        return message_page(TITLE, "No run has been measured on a task whose puzzles have measures of difficulty.")
    recipes = recipes_of(shown, titles)
    styles = recipe_styles([*titles.recipes, *recipes])
    settings = settings_of(shown, titles)
    columns = [
        (setting, measure, part.filter(pl.col("measure") == measure))
        for setting, part in settings.items()
        for measure in part["measure"].unique(maintain_order=True)
    ]
    labels = max(_label_lines(_ranges(part)) for _, _, part in columns)
    grid = open_grid(len(columns), len(_MODALITIES), height=1.45)
    for number, (setting, measure, part) in enumerate(columns):
        for row, modality in enumerate(_MODALITIES):
            axes = grid.panel(number, row)
            _draw_bands(axes, _ranges(part))
            share_axis(axes, headroom=_BAND * labels)
            _draw_guesses(axes, _ranges(part), tables["baselines"], setting.task)
            _draw_lines(axes, part.filter(pl.col("modality") == modality), recipes, styles=styles)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.tick_params(labelleft=grid.is_first(number), labelbottom=row == 1)
            axes.set_ylabel(f"{modality}\naccuracy (%)" if grid.is_first(number) else "")
            axes.set_xlabel(measure if row == 1 else "")
            axes.set_title(setting_title(setting, settings, titles) if row == 0 else "")
    entries = [*(legend_entry(titles.recipe(name), styles[name]) for name in recipes), guess_rate_entry()]
    return finish_page(
        grid.figure, TITLE, entries=entries, note=_note(shown, with_bars=len(recipes) <= _MOST_WITH_BARS)
    )


def _ranges(part: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """The range of the measure in each level."""
    return {
        level: (limits(rows["low"])[0] - 0.5, limits(rows["high"])[1] + 0.5)
        for level in LEVELS
        if (rows := part.filter(pl.col("level") == level)).height
    }


def _label_lines(ranges: Mapping[str, tuple[float, float]]) -> int:
    """How many labels stand above each other: those of ranges that meet would stand on each other."""
    pairs = itertools.combinations(ranges.values(), 2)
    meet = any(first[1] > second[0] and second[1] > first[0] for first, second in pairs)
    return len(ranges) if meet else 1


def _draw_bands(axes: Axes, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Shade and label the range of each level."""
    lines = _label_lines(ranges)
    for place, (level, (low, high)) in enumerate(ranges.items()):
        axes.axvspan(low, high, color=_SHADES[level], linewidth=0, alpha=0.75, zorder=0)
        above = 100 + _BAND * (0.75 + place % lines)
        axes.text((low + high) / 2, above, level, size=SMALL - 0.5, ha="center", va="center")
    axes.set_xlim(min(low for low, _ in ranges.values()), max(high for _, high in ranges.values()))


def _draw_guesses(axes: Axes, ranges: Mapping[str, tuple[float, float]], baselines: pl.DataFrame, task: str) -> None:
    """The guess rate of each level, across its range."""
    for level, (low, high) in ranges.items():
        draw_guess_rate(axes, guess_rate(baselines, [task], level), span=(low, high))


def _draw_lines(axes: Axes, part: pl.DataFrame, recipes: Sequence[str], *, styles: Mapping[str, RecipeStyle]) -> None:
    """A line for each recipe and level: their puzzles differ in more than the measure, so levels are not joined."""
    for place, recipe in enumerate(recipes):
        for rows in part.filter(pl.col("recipe") == recipe).sort("low").partition_by("level"):
            width = rows["high"] - rows["low"] + 1
            shift = _SHIFT * (place - (len(recipes) - 1) / 2) * width
            middles = (rows["low"] + rows["high"]) / 2 + shift
            if len(recipes) <= _MOST_WITH_BARS:
                draw_intervals(axes, middles, rows, color=styles[recipe].colour)
            axes.plot(middles, 100 * rows["accuracy"], **styles[recipe].line(markersize=2.8, linewidth=0.9, zorder=3))


def _note(shown: pl.DataFrame, *, with_bars: bool) -> str:
    bars = f"Bars: 95 % Wilson intervals on the n = {spread(shown['n'])} puzzles of a point. " if with_bars else ""
    left_out = "" if with_bars else f"Each point is of n = {spread(shown['n'])} puzzles; see the table for intervals. "
    return f"{bars}{left_out}Shaded: the range of each level. Means over seeds; {budgets_note(shown)}. {GUESS_NOTE}"


DIFFICULTY = FigureKind(TITLE, draw)
