"""Pairs of evaluation puzzles with the same question and other examples: is the answer drawn from the examples?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl

from s2h.analysis.pages import Grid, Page, by_recipe, count, percent, percent_interval, run_sections
from s2h.analysis.scores import SET, read_scores, with_interval
from s2h.analysis.statistics import wilson_interval
from s2h.analysis.study import Study, Table
from s2h.puzzles.shards import read_shards
from s2h.puzzles.task_registry import make_task

_PAIRS = {"puzzle_id": pl.String, "pair": pl.Int64}


def read_pairs(
    shards: Mapping[str, Mapping[str, Sequence[str]]], settings: Mapping[str, Mapping[str, Any]]
) -> pl.DataFrame:
    """To which pair each evaluation puzzle belongs.

    Args:
        shards: of each task and level.
        settings: of each task, as a config file holds them.

    Returns:
        A row for each puzzle of the paired tasks: puzzle_id, and pair, its number in the set.
    """
    rows = [
        (row["puzzle_id"], row["index"] // 2)
        for name, levels in shards.items()
        if make_task(name, settings[name]).paired
        for paths in levels.values()
        for row in read_shards(list(paths), ["puzzle_id", "index"])
    ]
    return pl.DataFrame(rows, schema=_PAIRS, orient="row")


def measure_exchange(scores: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """One row for each run, level and modality of a paired task.

    Args:
        scores: what ``read_scores`` gave, with the columns correct and answer.
        pairs: what ``read_pairs`` gave.

    Returns:
        The columns of ``SET``, pairs (those of which both puzzles were scored), accuracy (on their puzzles), both_right
        (share of the pairs), ci_low and ci_high (its 95 % Wilson interval), and same_answer (share of the pairs to
        which the run gives one answer, of which at most one can be right).
    """
    alike = (pl.col("answer").n_unique() == 1) & (pl.col("answer").first() != "")
    found = (
        scores.join(pairs, on="puzzle_id")
        .group_by(*SET, "pair")
        .agg(scored=pl.len(), right=pl.col("correct").sum(), alike=alike)
        .filter(pl.col("scored") == 2)
        .group_by(SET)
        .agg(
            pairs=pl.len().cast(pl.Int64),
            accuracy=pl.col("right").sum() / (2 * pl.len()),
            both=(pl.col("right") == 2).sum().cast(pl.Int64),
            same_answer=pl.col("alike").mean(),
        )
        .sort(SET)
        .with_columns(pl.col("level", "modality").cast(pl.String), both_right=pl.col("both") / pl.col("pairs"))
    )
    return with_interval(found, wilson_interval, ["both", "pairs"]).select(
        *SET, "pairs", "accuracy", "both_right", "ci_low", "ci_high", "same_answer"
    )


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``measure_exchange`` gave.

    It has a table for each task, model, budget and seed, with a row for each recipe and evaluation set.
    """
    sections = run_sections(frame, partial(_grid, recipe_titles=recipe_titles))
    return Page.of("Exchanged examples", sections, note=_NOTE, empty=_EMPTY)


_NOTE = (
    "Pairs of puzzles with the same query and options, and examples of different relations, so that different options "
    "are right. Both right (%): with the 95 % Wilson interval over pairs. Same answer (%): pairs to which the model "
    "gives one answer. A model that does not look at the examples has none both right, and all with the same answer."
)
_EMPTY = "No task of this study has evaluation puzzles in pairs."


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    lines = [
        (
            title,
            f"{row['level']} {row['modality']}",
            count(row["pairs"]),
            percent(row["accuracy"]),
            percent_interval(row["both_right"], row["ci_low"], row["ci_high"]),
            percent(row["same_answer"]),
        )
        for title, run in by_recipe(part, recipe_titles)
        for row in run.iter_rows(named=True)
    ]
    return Grid(("Recipe", "Set"), ("pairs", "accuracy", "both right", "same answer"), tuple(lines), grouped=1)


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    scores = read_scores(study.score_files, ["correct", "answer"])
    frame = measure_exchange(scores, read_pairs(study.shards, study.task_settings))
    return frame, to_page(frame, study.recipe_titles)


EXCHANGE = Table(make)
