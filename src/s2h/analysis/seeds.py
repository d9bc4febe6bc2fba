"""The spread of accuracy across the seeds of a training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import polars as pl

from s2h.analysis.baselines import with_guess_rates
from s2h.analysis.pages import ABSENT, Grid, Page, budget_sections, by_recipe, percent, sets_of
from s2h.analysis.scores import SET, read_scores
from s2h.analysis.statistics import across_seeds
from s2h.analysis.study import Study, Table

ANY_SEED = [name for name in SET if name != "seed"]
"""The columns that name the results of all seeds of a training on one evaluation set."""


def measure_spread(scores: pl.DataFrame) -> pl.DataFrame:
    """Accuracy across the seeds of a training.

    Args:
        scores: what ``read_scores`` gave, with the column correct.

    Returns:
        A row for each task, trained_on, recipe, budget, model, level and modality: n_seeds, mean, sd (sample standard
        deviation; null for one seed), min and max of the accuracies of the seeds.
    """
    return (
        scores.group_by(SET)
        .agg(accuracy=pl.col("correct").mean())
        .sort(SET)  # means of seeds in one order are the same to the last digit
        .group_by(ANY_SEED)
        .agg(across_seeds("accuracy"))
        .sort(ANY_SEED)
        .with_columns(pl.col("level", "modality").cast(pl.String))
    )


def to_page(spread: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``measure_spread`` gave: a table of means for each task, model and budget."""
    return Page.of("Across seeds", budget_sections(spread, partial(_grid, recipe_titles=recipe_titles)), note=_NOTE)


_NOTE = (
    "Accuracy (%): mean ± sample standard deviation across seeds, (least to most; number of seeds). One "
    f"seed has no spread. {ABSENT}: not scored."
)


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    columns = sets_of(part)
    lines = []
    for title, run in by_recipe(part, recipe_titles):
        cells = {(row["level"], row["modality"]): _mean(row) for row in run.iter_rows(named=True)}
        lines.append((title, *(cells.get(column, ABSENT) for column in columns)))
    return Grid(("Recipe",), tuple(" ".join(column) for column in columns), tuple(lines))


def _mean(row: dict[str, Any]) -> str:
    if row["sd"] is None:
        return percent(row["mean"])
    spread = f"{percent(row['min'])} to {percent(row['max'])}; {row['n_seeds']}"
    return f"{100 * row['mean']:.1f} ± {100 * row['sd']:.1f} ({spread})"


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    spread = measure_spread(read_scores(study.score_files, ["correct"]))
    return spread, with_guess_rates(to_page(spread, study.recipe_titles), study)


SEEDS = Table(make)
