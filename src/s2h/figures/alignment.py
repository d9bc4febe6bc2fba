"""Alignment of gradients along training, and whether it explains who generalises."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.stats import spearmanr

from s2h.analysis.pages import order_of
from s2h.figures.kinds import FigureKind, Tables, Titles
from s2h.figures.page import finish_page, message_page, open_panels, share_axis
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
    PALE,
    SMALL,
    RecipeStyle,
    draw_guess_rate,
    draw_intervals,
    guess_rate_entry,
    legend_entry,
    recipe_styles,
)
from s2h.puzzles.record import LEVELS

TITLE = "Does a step on the training examples help on HARD images?"

_FORMATS = {"text": "Text", "image": "Image", "image_via_text": "Image-via-Text", "image_to_text": "Image-to-Text"}
_MEASURES = {"cosine": "cosine", "preconditioned_cosine": "preconditioned\ncosine"}
_RUN = ["task", "trained_on", "recipe", "budget", "model", "seed"]
_FEWEST = 5  # runs of which a correlation is given
_HEIGHT, _PAGE_HEIGHT = 1.4, 9.0  # of a panel and of all, at most, in inches
_LEAST = 1.2  # of a panel, in inches: labels beside it need so much, however many there are
_ABOVE = 14  # points from a panel to its task's title; the pair's stands between them
_SIZES = (2.6, 5.2)  # of the marks of the smallest and the largest budget


class _Pair(NamedTuple):
    """A pair of gradients that are compared: source and target."""

    source_level: str
    source_format: str
    target_level: str
    target_format: str

    def title(self, *, with_target: bool) -> str:
        """Source (and target) of the pair, in the paper's words."""
        source, target = (
            f"{level} {_FORMATS.get(name, name)}"
            for level, name in ((self.source_level, self.source_format), (self.target_level, self.target_format))
        )
        return f"{source} → {target}" if with_target else source


def draw(tables: Tables, titles: Titles) -> Figure:
    """Two rows of panels for each task: along training for each source, and accuracy beside them."""
    measured = _with_share(tables["alignment"])
    if measured.is_empty():
        return message_page(TITLE, "No alignment has been measured: set `snapshots` under a model's `training`.")
    recipes = recipes_of(measured, titles)
    styles = recipe_styles([*titles.recipes, *recipes])
    settings = settings_of(measured, titles)
    pairs = _pairs(measured)
    rows = 2 * len(settings)
    figure, panels = open_panels([max(_LEAST, min(_HEIGHT, _PAGE_HEIGHT / rows))] * rows, len(pairs) + 1)
    for number, (setting, part) in enumerate(settings.items()):
        block = panels[2 * number : 2 * number + 2]
        shown = at_largest_budget(part)
        for row, measure in zip(block, _MEASURES, strict=True):
            _draw_measure(row[:-1], shown, measure, pairs=pairs, styles=styles)
        _label_pairs(block, pairs, setting_title(setting, settings, titles))
        _draw_exactness(block[0, -1], shown, styles)
        _draw_accuracy(block[1, -1], part, tables["summary"], styles=styles)
        draw_guess_rate(block[1, -1], guess_rate(tables["baselines"], _scored(part, tables["summary"]), "HARD"))
    entries = [*(legend_entry(titles.recipe(name), styles[name]) for name in recipes), guess_rate_entry()]
    return finish_page(figure, TITLE, entries=entries, note=_note(measured, pairs))


def _with_share(frame: pl.DataFrame) -> pl.DataFrame:
    """The table with the column share: how much of all steps of the run had been made, 0 to 1."""
    phases = frame.select(*_RUN, "phase", "steps").unique().sort(*_RUN, "phase")
    before = phases.with_columns(
        before=pl.col("steps").cum_sum().over(_RUN, order_by="phase") - pl.col("steps"),
        whole=pl.col("steps").sum().over(_RUN),
    ).drop("steps")
    joined = frame.join(before, on=[*_RUN, "phase"])
    return joined.with_columns(share=(pl.col("before") + pl.col("step")) / pl.col("whole"))


def _pairs(frame: pl.DataFrame) -> list[_Pair]:
    """Sources and targets, SIMPLE before HARD, formats in the paper's order."""
    level, name = order_of(LEVELS), order_of(_FORMATS)
    found = {_Pair(*row) for row in frame.select(_Pair._fields).iter_rows()}
    return sorted(found, key=lambda pair: (level(pair[2]), name(pair[3]), level(pair[0]), name(pair[1])))


def _draw_measure(
    row: NDArray[np.object_],
    shown: pl.DataFrame,
    measure: str,
    *,
    pairs: Sequence[_Pair],
    styles: Mapping[str, RecipeStyle],
) -> None:
    """One measure along training: a panel for each pair, all with the same axis, a line for each recipe."""
    known = shown[measure].drop_nulls()
    low, high = limits(pl.concat([known, pl.Series([0.0])]))  # the axis shows 0, beyond which a step does harm
    margin = 0.08 * (high - low or 1)
    for axes, pair in zip(row, pairs, strict=True):
        chosen = [pl.col(name) == value for name, value in pair._asdict().items()]
        _draw_along(axes, shown.filter(*chosen).drop_nulls(measure), measure, styles=styles)
        axes.axhline(0, color=PALE, linewidth=0.6)
        axes.set_ylim(low - margin, high + margin)
        if not known.len():
            axes.text(0.5, 0.5, "not known", transform=axes.transAxes, size=SMALL, ha="center")


def _draw_along(
    axes: Axes, part: pl.DataFrame, column: str, *, styles: Mapping[str, RecipeStyle], factor: float = 1.0
) -> None:
    """A line for each recipe: the mean over its seeds. It is open where one phase ends and the next begins."""
    for recipe in part["recipe"].unique().sort():
        rows = part.filter(pl.col("recipe") == recipe)
        means = rows.group_by("phase", "step").agg(pl.col("share", column).mean()).sort("phase", "step")
        for phase in means.partition_by("phase", maintain_order=True):
            line = styles[recipe].line(markersize=2.8, linewidth=0.9)
            axes.plot(100 * phase["share"], factor * phase[column], **line)
    axes.set_xlim(-3, 103)
    axes.set_xticks([0, 50, 100])


def _label_pairs(block: NDArray[np.object_], pairs: Sequence[_Pair], setting: str) -> None:
    several = len({pair[2:] for pair in pairs}) > 1
    block[0, 0].set_title("\n" * (1 + setting.count("\n")), loc="left", weight="bold")  # keeps the height free
    above = {"xytext": (0, _ABOVE), "textcoords": "offset points"}
    name = block[0, 0].annotate(setting, (0, 1), xycoords="axes fraction", weight="bold", **above)
    name.set_in_layout(False)  # a long one would widen the first column
    for place, pair in enumerate(pairs):
        block[0, place].set_title(pair.title(with_target=several), size=SMALL)
        block[1, place].set_xlabel("training progress (%)")
        block[0, place].tick_params(labelbottom=False, labelleft=place == 0)
        block[1, place].tick_params(labelleft=place == 0)
    for axes, measure in zip(block[:, 0], _MEASURES.values(), strict=True):
        axes.set_ylabel(measure)


def _draw_exactness(axes: Axes, shown: pl.DataFrame, styles: Mapping[str, RecipeStyle]) -> None:
    """How many examples of the target are answered word for word, along training."""
    _draw_along(axes, shown, "target_exact", styles=styles, factor=100)
    share_axis(axes)
    axes.set_ylabel("exact response\nmatch (%)")
    axes.set_title("the target itself", size=SMALL)


def _draw_accuracy(axes: Axes, part: pl.DataFrame, summary: pl.DataFrame, *, styles: Mapping[str, RecipeStyle]) -> None:
    """Accuracy on HARD images in the end against the mean alignment, a mark for each run."""
    measure = "preconditioned_cosine" if part["preconditioned_cosine"].drop_nulls().len() else "cosine"
    runs = _runs(part, summary, measure)
    budgets = sorted(runs["budget"].unique().to_list())
    for row in runs.iter_slices(1):
        style = styles[row["recipe"][0]]
        size = np.interp(budgets.index(row["budget"][0]), [0, max(len(budgets) - 1, 1)], _SIZES)
        draw_intervals(axes, row[measure], row, color=style.colour)
        axes.plot(row[measure], 100 * row["accuracy"], **style.line(markersize=size, linestyle="none", zorder=3))
    highest = 25 * math.ceil(4 * limits(runs["ci_high"])[1]) if runs.height else 100
    axes.set_ylim(-0.04 * highest, 1.3 * highest)  # the correlation stands at the top
    axes.set_yticks([0, highest / 2, highest], [f"{tick:g}" for tick in (0, highest / 2, highest)])
    axes.set_ylabel("HARD image\naccuracy (%)")
    axes.xaxis.set_major_locator(MaxNLocator(2))
    axes.set_xlabel(f"mean {_MEASURES[measure]}")
    axes.text(0.04, 0.98, _correlation(runs, measure), transform=axes.transAxes, size=SMALL, va="top")


def _scored(part: pl.DataFrame, summary: pl.DataFrame) -> list[str]:
    """The tasks on which runs are scored: several where they were trained together."""
    return sorted(set(summary.join(part, on="trained_on", how="semi")["task"]))


def _runs(part: pl.DataFrame, summary: pl.DataFrame, measure: str) -> pl.DataFrame:
    """Each run with its mean alignment and its accuracy on HARD images, over the tasks that were trained together."""
    key = ["trained_on", "recipe", "budget", "model", "seed"]
    hard = summary.filter(pl.col("level") == "HARD", pl.col("modality") == "image")
    accuracy = hard.group_by(key).agg(pl.col("accuracy", "ci_low", "ci_high").mean())
    means = part.group_by(key).agg(pl.col(measure).mean()).drop_nulls(measure)
    return means.join(accuracy, on=key).sort(key)


def _correlation(runs: pl.DataFrame, measure: str) -> str:
    """The number of runs, with their rank correlation unless they are few or do not differ."""
    differ = runs.height and min(runs[column].n_unique() for column in (measure, "accuracy")) > 1
    if runs.height < _FEWEST or not differ:
        return "one run" if runs.height == 1 else f"{runs.height} runs"
    rank = float(spearmanr(runs[measure], runs["accuracy"]).statistic)
    return f"{runs.height} runs\nrank correlation {rank:.2f}"


def _note(measured: pl.DataFrame, pairs: Sequence[_Pair]) -> str:
    targets = sorted({pair.title(with_target=True).partition(" → ")[2] for pair in pairs})
    shown = at_largest_budget(measured)
    sizes = "; larger marks: larger budgets" if measured["budget"].n_unique() > 1 else ""
    return (
        f"Cosine between the gradients of the loss on n = {spread(shown['puzzles'])} examples of the source, which "
        f"stands above each panel, and of the target, {' and '.join(targets)}. Preconditioned: as the optimizer would "
        f"scale the source's gradient. Along training: means over seeds, {budgets_note(shown)}. Below at the right: "
        f"every run, its alignment being the mean over sources and training{sizes}; bars: 95 % Wilson intervals. "
        f"{GUESS_NOTE}"
    )


ALIGNMENT = FigureKind(TITLE, draw)
