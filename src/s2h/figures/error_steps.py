"""First errors of predictions for HARD puzzles, those with a right answer included, by step of the chain and kind."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from s2h.figures.kinds import FigureKind, Tables, Titles
from s2h.figures.page import finish_page, message_page, open_grid
from s2h.figures.selection import (
    at_largest_budget,
    budgets_note,
    limits,
    recipes_of,
    setting_title,
    settings_of,
    spread,
)
from s2h.figures.style import ABSENT, GRID, INK, SMALL

TITLE = "Where predictions for HARD puzzles first go wrong"

_KINDS = {
    "perception": "#0b3954",
    "reasoning": "#b5354f",
    "permuted": "#2f9e74",
    "arithmetic": "#6aa5cf",
    "format": "#f2c14e",
    "unexplained": "#e4e4e4",
}  # from dark to light, so that they are distinguishable in grey
_LANE, _AROUND = 0.27, 0.5  # height of a recipe's lane, and of what is around a panel, in inches
_FILLED = 0.86  # of a lane, by the highest bar
_NO_STEP = -1.6  # where predictions stand that say nothing of which a step could be wrong
_HEIGHTS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)  # shares of the predictions that a lane may be high
_MODALITIES = ("image", "text")  # from the top


def draw(tables: Tables, titles: Titles) -> Figure:
    """A column for each task, a row for each modality; in it a lane of bars for each recipe."""
    hard = at_largest_budget(tables["error_steps"]).filter(pl.col("level") == "HARD")
    if hard.is_empty():
        return message_page(TITLE, "No run has been measured on HARD, or no prediction has an error.")
    lanes = recipes_of(hard, titles)
    settings = settings_of(hard, titles)
    highest = _highest(hard)
    grid = open_grid(len(settings), len(_MODALITIES), height=_AROUND + _LANE * len(lanes))
    for number, (setting, part) in enumerate(settings.items()):
        for row, modality in enumerate(_MODALITIES):
            axes = grid.panel(number, row)
            for place, recipe in enumerate(lanes):
                chosen = pl.col("modality") == modality, pl.col("recipe") == recipe
                _draw_lane(axes, part.filter(*chosen), place, highest=highest)
            _label(axes, part, lanes)
            axes.set_yticklabels([titles.recipe(recipe) for recipe in lanes] if grid.is_first(number) else [])
            axes.set_ylabel(f"HARD {modality}" if grid.is_first(number) else "")
            axes.set_xlabel("first wrong step" if row == 1 else "")
            axes.set_title(setting_title(setting, settings, titles) if row == 0 else "")
    return finish_page(grid.figure, TITLE, entries=_entries(hard), note=_note(hard, highest))


def _draw_lane(axes: Axes, rows: pl.DataFrame, place: int, *, highest: float) -> None:
    """Bars of one recipe, stacked by the kind of error; beside them how many have an error in all."""
    floor = float(place + 1)
    axes.axhline(floor, color=GRID, linewidth=0.6)
    stacked: dict[float, float] = {}
    for kind, colour in _KINDS.items():
        for step, share in rows.filter(pl.col("error") == kind).select("step", "share").iter_rows():
            x = _NO_STEP if step is None else float(step)
            height, bottom = share / highest * _FILLED, stacked.get(x, 0.0)
            axes.bar(x, -height, 0.85, bottom=floor - bottom, color=colour, edgecolor=INK, linewidth=0.25)
            stacked[x] = bottom + height
    total = f"{100 * rows['share'].sum():.0f} %" if rows.height else ABSENT
    axes.text(0.99, floor - 0.93, total, transform=axes.get_yaxis_transform(), size=SMALL, ha="right", va="top")


def _label(axes: Axes, part: pl.DataFrame, lanes: Sequence[str]) -> None:
    """Steps below, recipes at the left, the first at the top."""
    last = int(limits(part["step"].fill_null(0))[1])
    stride = next(stride for stride in (1, 2, 5, 10, 20, 50, 100) if last / stride <= 8)
    steps = range(0, last + 1, stride)
    unplaced = [_NO_STEP] if part["step"].null_count() else []
    axes.set_xticks([*unplaced, *steps], [*("none" for _ in unplaced), *map(str, steps)])
    axes.set_xlim(min([0, *unplaced]) - 0.9, last + 1.6 + last / 8)
    axes.set_ylim(len(lanes), 0)
    axes.set_yticks([place + 0.5 for place in range(len(lanes))])
    axes.tick_params(axis="y", length=0)
    axes.grid(False)


def _highest(hard: pl.DataFrame) -> float:
    """The share of the predictions that a lane is high."""
    stacked = hard.group_by("task", "trained_on", "model", "recipe", "modality", "step").agg(pl.col("share").sum())
    return next(height for height in _HEIGHTS if limits(stacked["share"])[1] <= height + 1e-9)


def _entries(hard: pl.DataFrame) -> list[Artist]:
    kinds = set(hard["error"])
    return [
        Patch(label=kind, facecolor=colour, edgecolor=INK, linewidth=0.4)
        for kind, colour in _KINDS.items()
        if kind in kinds
    ]


def _note(hard: pl.DataFrame, highest: float) -> str:
    unplaced = "; none: the error is in no step" if hard["step"].null_count() else ""
    return (
        f"Bars: share of all n = {spread(hard['predictions'])} predictions with the first error in this step, stacked "
        f"by kind; the full height of a lane is {100 * highest:.0f} %. Step 0: before the first step{unplaced}. At "
        "the right: all with an error, in the answer or on the way to it. Permuted: the right values in another order. "
        f"{budgets_note(hard).capitalize()}."
    )


ERROR_STEPS = FigureKind(TITLE, draw)
