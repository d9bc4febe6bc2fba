"""Learning curves: the loss against the examples seen."""

from __future__ import annotations

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from s2h.figures.kinds import FigureKind, Tables, Titles
from s2h.figures.page import finish_page, message_page, open_grid
from s2h.figures.selection import (
    at_largest_budget,
    budgets_note,
    by_recipe,
    limits,
    recipes_of,
    setting_title,
    settings_of,
    short_number,
)
from s2h.figures.style import RecipeStyle, legend_entry, recipe_styles

TITLE = "Loss against the examples seen"

_MARKS = 4  # of a phase
_THIN = {"marker": "", "linewidth": 0.4, "linestyle": "solid", "alpha": 0.4}


def draw(tables: Tables, titles: Titles) -> Figure:
    """A panel for each task, a line for each recipe; its phases stand after each other."""
    shown = at_largest_budget(tables["learning"])
    if shown.is_empty():
        return message_page(TITLE, "No run has been trained: the table learning is empty.")
    recipes = recipes_of(shown, titles)
    styles = recipe_styles([*titles.recipes, *recipes])
    settings = settings_of(_along_the_run(shown), titles)
    grid = open_grid(len(settings), 1, height=2.1)
    for number, (setting, part) in enumerate(settings.items()):
        axes = grid.panel(number, 0)
        for recipe, rows in by_recipe(part, titles):
            _draw_recipe(axes, rows, styles[recipe])
        axes.set_title(setting_title(setting, settings, titles))
        axes.set_yscale("log")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: short_number(number)))
        axes.set_xlabel("examples seen")
        axes.set_ylabel("loss per target token, nats" if grid.is_first(number) else "")
    entries = [legend_entry(titles.recipe(name), styles[name]) for name in recipes]
    return finish_page(grid.figure, TITLE, entries=entries, note=_note(shown))


def _along_the_run(frame: pl.DataFrame) -> pl.DataFrame:
    """The table with the column seen: examples of the phase and of all phases before it."""
    run = ["task", "trained_on", "recipe", "budget", "model", "seed"]
    phases = frame.group_by(*run, "phase").agg(whole=pl.col("examples").max()).sort("phase")
    before = phases.with_columns(before=pl.col("whole").cum_sum().over(run, order_by="phase") - pl.col("whole"))
    joined = frame.join(before.drop("whole"), on=[*run, "phase"])
    return joined.with_columns(seen=pl.col("before") + pl.col("examples"))


def _draw_recipe(axes: Axes, rows: pl.DataFrame, style: RecipeStyle) -> None:
    """The mean over the seeds, in its marker where a phase begins and ends; each of several seeds as a thin line."""
    if rows["seed"].n_unique() > 1:
        for run in rows.partition_by("seed", "phase", maintain_order=True):
            run = run.sort("step")
            axes.plot(run["seen"], run["loss"], **style.line(**_THIN))
    means = rows.group_by("phase", "step").agg(pl.col("seen", "loss").mean()).sort("phase", "step")
    for phase in means.partition_by("phase", maintain_order=True):
        axes.plot(phase["seen"], phase["loss"], **style.line(markevery=max(phase.height // _MARKS, 1), zorder=3))


def _note(shown: pl.DataFrame) -> str:
    seeds = shown["seed"].n_unique()
    lines = "Lines: one seed" if seeds == 1 else f"Lines: means over {seeds} seeds, each of which is a thin line"
    phases = "; the phases of a recipe stand after each other"
    several = phases if limits(shown["phase"])[1] > 1 else ""
    return (
        f"{lines}; {budgets_note(shown)}{several}. Recipes learn from different mixtures, so their losses differ too."
    )


LEARNING = FigureKind(TITLE, draw)
