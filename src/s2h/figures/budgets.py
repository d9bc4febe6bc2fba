"""The paper's main figure: what is right on HARD against the training budget, ours and what was published."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from s2h.analysis.published import read_published
from s2h.figures.kinds import FigureKind, Tables, Titles
from s2h.figures.page import finish_page, message_page, open_grid, share_axis
from s2h.figures.selection import (
    Setting,
    guess_rate,
    recipes_of,
    seeds_note,
    setting_title,
    settings_of,
    short_number,
    spread,
)
from s2h.figures.style import (
    GUESS_NOTE,
    PALE,
    RecipeStyle,
    draw_guess_rate,
    draw_intervals,
    guess_rate_entry,
    legend_entry,
    recipe_styles,
)

TITLE = "HARD against the training budget: answers, and exact match"

_ROWS = (("image", "accuracy"), ("image", "exact_match"), ("text", "accuracy"), ("text", "exact_match"))
"""Modality and column of each row of panels, from the top."""
_SCORES = {"accuracy": "right answers (%)", "exact_match": "exact match (%)"}
_INTERVALS = {"accuracy": "", "exact_match": "exact_"}  # before the names of the columns of a score's interval
_STEP = 0.028  # from recipe to recipe at one budget, as a share of the axis
_WIDEST = 0.7  # that all recipes of a budget take, in octaves
_SEPARATION = 0.17  # labels of the axis, as a share of it
_THEIRS: dict[str, Any] = {"linewidth": 0.8, "linestyle": (0, (3, 2)), "markerfacecolor": "white"}


def draw(tables: Tables, titles: Titles) -> Figure:
    """A column for each task, a row for each modality and score, a line for each recipe.

    The published figures stand where their metric does.
    """
    hard = tables["accuracy"].filter(pl.col("level") == "HARD")
    if hard.is_empty():
        return message_page(TITLE, "No run has been measured: the table accuracy has no row on HARD.")
    recipes = recipes_of(hard, titles)
    styles = recipe_styles([*titles.recipes, *recipes])
    settings = settings_of(hard, titles)
    published = {setting: _published(setting, part) for setting, part in settings.items()}
    rows = [row for row in _ROWS if hard[row[1]].null_count() < hard.height]
    guesses = {setting: guess_rate(tables["baselines"], [setting.task], "HARD") for setting in settings}
    grid = open_grid(len(settings), len(rows), height=1.3)
    for number, (setting, part) in enumerate(settings.items()):
        scale = _Scale.of(part, published[setting])
        for place, (modality, score) in enumerate(rows):
            axes = grid.panel(number, place)
            ours = _with_score(part.filter(pl.col("modality") == modality), score)
            theirs = published[setting].filter(pl.col("modality") == modality, pl.col("metric") == score)
            _draw_lines(axes, ours, theirs, scale=scale, order=recipes_of(part, titles), styles=styles)
            draw_guess_rate(axes, guesses[setting] if score == "accuracy" else None)
            _label(axes, modality, score, first=grid.is_first(number), lowest=place == len(rows) - 1)
            axes.set_title(setting_title(setting, settings, titles) if place == 0 else "")
    entries: list[Artist] = [legend_entry(titles.recipe(name), styles[name], linestyle="solid") for name in recipes]
    has_published = any(theirs.height for theirs in published.values())
    if has_published:
        entries += _sources()
    has_guesses = any(rate is not None for rate in guesses.values())
    if has_guesses:
        entries.append(guess_rate_entry())
    return finish_page(grid.figure, TITLE, entries=entries, note=_note(hard, has_published, has_guesses))


@dataclasses.dataclass(frozen=True, slots=True)
class _Scale:
    """The axis of the budgets, logarithmic.

    Attributes:
        ours: budgets of the study.
        theirs: published budgets.
    """

    ours: tuple[int, ...]
    theirs: tuple[int, ...]

    @classmethod
    def of(cls, ours: pl.DataFrame, theirs: pl.DataFrame) -> _Scale:
        """The budgets of both; 0, that of a model that was not trained, has no place on the axis."""
        return cls(*(tuple(sorted({*each["budget"]} - {0})) for each in (ours, theirs)))

    @property
    def ends(self) -> tuple[float, float]:
        """The limits of the axis."""
        budgets = [*self.ours, *self.theirs] or [1]
        margin = 2**0.5 if len(budgets) > 1 else 2.0
        return min(budgets) / margin, max(budgets) * margin

    @property
    def octaves(self) -> float:
        """How often the axis doubles."""
        low, high = self.ends
        return math.log2(high / low)

    def shift(self, place: int, recipes: int) -> float:
        """The factor that sets a recipe beside the others of its budget."""
        step = min(_STEP * self.octaves, _WIDEST / recipes)
        return float(2 ** (step * (place - (recipes - 1) / 2)))

    def ticks(self) -> list[int]:
        """Budgets that are labelled: our own first, then what finds room between them."""
        kept: list[int] = []
        for budget in (*self.ours, *self.theirs):
            if all(abs(math.log2(budget / other)) > _SEPARATION * self.octaves for other in kept):
                kept.append(budget)
        return sorted(kept)

    def apply(self, axes: Axes) -> None:
        """Give a panel this axis."""
        axes.set_xscale("log")
        axes.set_xlim(*self.ends)
        axes.set_xticks(self.ticks(), [short_number(budget) for budget in self.ticks()])
        axes.xaxis.set_minor_locator(NullLocator())


def _draw_lines(
    axes: Axes,
    ours: pl.DataFrame,
    theirs: pl.DataFrame,
    *,
    scale: _Scale,
    order: Sequence[str],
    styles: Mapping[str, RecipeStyle],
) -> None:
    """A line for each recipe of ours, and one for each that was published."""
    scale.apply(axes)
    for place, recipe in enumerate(order):
        style, shift = styles[recipe], scale.shift(place, len(order))
        if (own := ours.filter(pl.col("recipe") == recipe).sort("budget")).height:
            _draw_ours(axes, own, style, shift=shift)
        if (published := theirs.filter(pl.col("recipe") == recipe).sort("budget")).height:
            axes.plot(published["budget"], 100 * published["value"], **style.line(**_THEIRS))


def _with_score(part: pl.DataFrame, score: str) -> pl.DataFrame:
    """The rows that have a score, with it and its interval as share, ci_low and ci_high."""
    ends = (pl.col(f"{_INTERVALS[score]}{end}").alias(end) for end in ("ci_low", "ci_high"))
    return part.drop_nulls(score).with_columns(pl.col(score).alias("share"), *ends)


def _draw_ours(axes: Axes, own: pl.DataFrame, style: RecipeStyle, *, shift: float) -> None:
    """A line with its intervals; what was not trained is a level line across the panel."""
    for row in own.filter(pl.col("budget") == 0).iter_rows(named=True):
        axes.axhline(100 * row["share"], color=style.colour, linewidth=0.8)
    trained = own.filter(pl.col("budget") > 0)
    places = shift * trained["budget"]
    draw_intervals(axes, places, trained, color=style.colour)
    axes.plot(places, 100 * trained["share"], **style.line(linestyle="solid", zorder=3))


def _label(axes: Axes, modality: str, score: str, *, first: bool, lowest: bool) -> None:
    share_axis(axes)
    axes.tick_params(labelleft=first, labelbottom=lowest)
    axes.set_ylabel(f"HARD {modality}\n{_SCORES[score]}" if first else "")
    axes.set_xlabel("training examples" if lowest else "")


def _published(setting: Setting, part: pl.DataFrame) -> pl.DataFrame:
    """The published figures of the recipes that a task is trained with here."""
    shown = pl.col("recipe").is_in(part["recipe"].unique().to_list())
    rows = pl.col("task") == setting.task, pl.col("level") == "HARD"
    return read_published().filter(*rows, shown)


def _sources() -> list[Artist]:
    """Entries of a legend that tell ours from what was published."""
    line: dict[str, Any] = {"color": PALE, "marker": "o", "markeredgewidth": 0.7}
    return [Line2D([], [], label="ours", **line), Line2D([], [], label="published", **line | _THEIRS)]


def _note(hard: pl.DataFrame, published: bool, guesses: bool) -> str:
    ours = f"Bars: 95 % Wilson intervals on n = {spread(hard['n'])} puzzles; points: {seeds_note(hard)}."
    offset = " Our recipes of one budget stand a little apart."
    theirs = (
        " Published: exact match (arXiv 2501.02669) of models of eight billion parameters on puzzles of the paper's "
        "sizes."
    )
    return ours + offset + (theirs if published else "") + (f" {GUESS_NOTE}" if guesses else "")


BUDGETS = FigureKind(TITLE, draw)
