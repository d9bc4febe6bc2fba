"""Accuracy against what makes a puzzle hard: the length of its path, its turns, its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from s2h.analysis.baselines import with_guess_rates
from s2h.analysis.pages import ABSENT, Grid, Page, Section, by_recipe, count, parts, percent_interval
from s2h.analysis.scores import read_scores, with_interval
from s2h.analysis.seeds import ANY_SEED
from s2h.analysis.statistics import wilson_interval
from s2h.analysis.study import Study, Table
from s2h.errors import DataError
from s2h.puzzles.record import LEVELS, MODALITIES
from s2h.puzzles.shards import read_shards
from s2h.puzzles.task_registry import make_task

SCHEMA = {
    **{name: pl.Int64 if name == "budget" else pl.String for name in ANY_SEED},
    "measure": pl.String,  # its name in the task
    "low": pl.Int64,  # the least value of the bin
    "high": pl.Int64,  # the greatest
    "n": pl.Int64,  # puzzles of the bin
    "accuracy": pl.Float64,  # mean over the seeds
    "ci_low": pl.Float64,  # 95 % Wilson interval of that mean on n puzzles
    "ci_high": pl.Float64,
}
_MEASURES = {"puzzle_id": pl.String, "task": pl.String, "level": pl.String, "measure": pl.String, "value": pl.Int64}
_BINS = 12  # at most, for each level


def read_measures(
    shards: Mapping[str, Mapping[str, Sequence[str]]], settings: Mapping[str, Mapping[str, Any]]
) -> pl.DataFrame:
    """The difficulty measures of each evaluation puzzle.

    Args:
        shards: of each task and level.
        settings: of each task, as a config file holds them.

    Returns:
        A row for each puzzle and measure: puzzle_id, task, level, measure, value. Tasks without measures have none.
    """
    rows = [
        (row["puzzle_id"], name, level, measure, value)
        for name, levels in shards.items()
        for task in [make_task(name, settings[name])]
        for level, paths in levels.items()
        for row in read_shards(list(paths), ["puzzle_id", "puzzle"])
        for measure, value in task.difficulty(task.from_json(row["puzzle"])).items()
    ]
    return pl.DataFrame(rows, schema=_MEASURES, orient="row")


def with_bins(measures: pl.DataFrame) -> pl.DataFrame:
    """The puzzles' measures with low and high, the ends of the bin that holds the value.

    The values of a measure in one level lie in at most twelve bins of equal width, from the least value on; where there
    are few values, each has a bin.
    """
    least = pl.col("value").min().over("task", "level", "measure")
    most = pl.col("value").max().over("task", "level", "measure")
    width = (most - least) // _BINS + 1
    low = least + (pl.col("value") - least) // width * width
    return measures.with_columns(low=low, high=low + width - 1)


def difficulty_curves(scores: pl.DataFrame, measures: pl.DataFrame) -> pl.DataFrame:
    """One row for each training, level, modality and bin of a measure, over the training's seeds.

    Args:
        scores: what ``read_scores`` gave, with the column correct.
        measures: what ``read_measures`` gave.

    Returns:
        Rows of ``SCHEMA``; a bin without puzzles has none.

    Raises:
        DataError: a puzzle was scored that no shard holds.
    """
    scored = scores.select("puzzle_id", "task").unique()
    measured = measures.join(scored, on=["puzzle_id", "task"], how="semi")
    _refuse_unknown(scored, measured)
    keys = [*ANY_SEED, "measure", "low", "high"]
    bins = (
        scores.join(with_bins(measured).drop("task", "level", "value"), on="puzzle_id")
        .group_by(*keys, "seed")
        .agg(correct=pl.col("correct").mean(), n=pl.len())
        .sort(*keys, "seed")
        .group_by(keys, maintain_order=True)
        .agg(accuracy=pl.col("correct").mean(), n=pl.col("n").max())
        .with_columns(right=pl.col("accuracy") * pl.col("n"))
    )
    return with_interval(bins, wilson_interval, ["right", "n"]).select(pl.col(n).cast(t) for n, t in SCHEMA.items())


def _refuse_unknown(scored: pl.DataFrame, measured: pl.DataFrame) -> None:
    """A task either measures all of its puzzles or none."""
    tasks = measured.select("task").unique()
    unknown = scored.join(tasks, on="task", how="semi").join(measured, on="puzzle_id", how="anti")
    if unknown.height:
        raise DataError(
            f"the puzzle {unknown['puzzle_id'].sort()[0]} was scored, but the evaluation shards do not hold it: score "
            "the run again."
        )


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``difficulty_curves`` gave.

    It has a table for each task, model, budget and measure, with a row for each bin and a column for each recipe.
    """
    sections = (
        Section(str(task), f"{model}, budget {budget:,}, by {measure}", _grid(part, str(measure), recipe_titles))
        for (task, model, budget, measure), part in parts(frame, ("task", "model", "budget", "measure"))
    )
    empty = "No task of this study measures its puzzles."
    return Page.of("Accuracy by difficulty", sections, note=_NOTE, empty=empty)


_NOTE = (
    "Accuracy (%), mean over the seeds, with the 95 % Wilson interval of that mean on the n puzzles of "
    f"the row. {ABSENT}: not scored."
)


_BIN = ("level", "modality", "low", "high")


def _grid(part: pl.DataFrame, measure: str, recipe_titles: Mapping[str, str]) -> Grid:
    runs = [(title, _cells(run)) for title, run in by_recipe(part, recipe_titles)]
    rows = tuple(
        (
            f"{level} {modality}",
            _span(low, high),
            count(n),
            *(run.get((level, modality, low), ABSENT) for _, run in runs),
        )
        for level, modality, low, high, n in _bins(part)
    )
    return Grid(("Set", measure), ("n", *(title for title, _ in runs)), rows, grouped=1)


def _bins(part: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Level, modality, low, high and puzzles of each bin; a modality's levels stand below each other."""
    order = [pl.col("modality").cast(pl.Enum(MODALITIES)), pl.col("level").cast(pl.Enum(LEVELS)), pl.col("low")]
    bins = part.group_by("level", "modality", "low", "high").agg(pl.col("n").max())
    yield from bins.sort(order).iter_rows()


def _cells(run: pl.DataFrame) -> dict[tuple[str, str, int], str]:
    return {
        (row["level"], row["modality"], row["low"]): percent_interval(row["accuracy"], row["ci_low"], row["ci_high"])
        for row in run.iter_rows(named=True)
    }


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    scores = read_scores(study.score_files, ["correct"])
    frame = difficulty_curves(scores, read_measures(study.shards, study.task_settings))
    return frame, with_guess_rates(to_page(frame, study.recipe_titles), study)


DIFFICULTY = Table(make)
