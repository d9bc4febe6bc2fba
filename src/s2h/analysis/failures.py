"""Failures: how many predictions are correct with a valid chain of thought, and the first error of the others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, get_args

import polars as pl

from s2h.analysis.pages import ABSENT, Grid, Page, by_recipe, percent, run_sections
from s2h.analysis.scores import SET, read_scores
from s2h.analysis.study import Study, Table
from s2h.diagnosis.diagnosis import Error
from s2h.errors import DataError

ERRORS: tuple[str, ...] = get_args(Error)
"""Kinds of the first error of a prediction."""

OUTCOMES = ("correct_valid_cot", "correct_permuted_cot", "correct_invalid_cot", "correct_no_cot", *ERRORS)
"""Outcomes of a prediction: correct with a chain of thought that is valid, has its values in another order, is invalid
otherwise, or is missing; else its error."""

COLUMNS = ["correct", "chain_correct", "error", "first_error_step", "error_detail"]
"""The columns of the scores that this table is made from."""

_SHOWN = 3  # pairs of error and error_detail that are named


def explain_failures(scores: pl.DataFrame) -> pl.DataFrame:
    """One row for each run, level and modality.

    Args:
        scores: what ``read_scores`` gave, with ``COLUMNS``.

    Returns:
        The columns of ``SET``, n, the share of each of ``OUTCOMES`` among the n predictions (they add up to 1),
        mean_first_error_step (mean number of the first wrong step, invalid chains of correct answers included; null
        where there is none) and most_frequent (up to three pairs of error and error_detail with counts, likewise).

    Raises:
        DataError: a wrong prediction has no error, or one that is not of ``ERRORS``.
    """
    named = with_outcome(scores)
    shares = {name: (pl.col("outcome") == name).mean() for name in OUTCOMES}
    return (
        named.group_by(SET)
        .agg(n=pl.len().cast(pl.Int64), **shares, mean_first_error_step=pl.col("first_error_step").mean())
        .join(_most_frequent(scores), on=SET, how="left")
        .sort(SET)
        .with_columns(pl.col("level", "modality").cast(pl.String))
    )


def with_outcome(scores: pl.DataFrame) -> pl.DataFrame:
    """The scores with the column outcome: which of ``OUTCOMES`` each is.

    Raises:
        DataError: a wrong prediction has no error, or one that is not of ``ERRORS``.
    """
    named = scores.with_columns(outcome=_outcome())
    unknown = named.filter(~pl.col("outcome").is_in(OUTCOMES).fill_null(False))
    if unknown.height:
        raise DataError(
            f"a wrong prediction of {unknown.select(SET).row(0)} has the error {unknown['error'][0]}, expected one of "
            f"{', '.join(ERRORS)}: score the run again."
        )
    return named


def _outcome() -> pl.Expr:
    right, flawed = pl.col("correct"), pl.col("error").is_not_null()
    return (
        pl.when(right & pl.col("chain_correct"))
        .then(pl.lit("correct_valid_cot"))
        .when(right & (pl.col("error") == "permuted"))
        .then(pl.lit("correct_permuted_cot"))
        .when(right & flawed)
        .then(pl.lit("correct_invalid_cot"))
        .when(right)
        .then(pl.lit("correct_no_cot"))
        .otherwise("error")
    )


def count_errors(scores: pl.DataFrame) -> pl.DataFrame:
    """How often each pair of error and error_detail occurs, most frequent first.

    Invalid chains of correct answers count too.

    Returns:
        The columns of ``SET``, error, error_detail and count.
    """
    return (
        scores.filter(pl.col("error").is_not_null())
        .group_by(*SET, "error", "error_detail")
        .agg(count=pl.len().cast(pl.Int64))
        .sort(*SET, "count", "error", "error_detail", descending=[False] * len(SET) + [True, False, False])
    )


def _most_frequent(scores: pl.DataFrame) -> pl.DataFrame:
    """The first pairs of each set as one text, such as ``perception: wrong value (12), format (3)``."""
    error = pl.concat_str("error", "error_detail", separator=": ", ignore_nulls=True)
    words = pl.format("{} ({})", error, "count").head(_SHOWN).str.join(", ")
    return count_errors(scores).group_by(SET, maintain_order=True).agg(most_frequent=words)


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``explain_failures`` gave.

    It has a table for each task, model, budget and seed, with a row for each recipe, level and modality.
    """
    return Page.of("Failures", run_sections(frame, partial(_grid, recipe_titles=recipe_titles)), note=_NOTE)


_HEADERS = ("correct, valid CoT", "correct, values permuted", "correct, invalid CoT", "correct, no CoT", *ERRORS)
_NOTE = (
    "Outcomes as a percentage of the n predictions: correct answers by the validity of their chain of thought (CoT), "
    "wrong ones by the first error. Permuted: the right values in another order. First wrong step: mean position in "
    "the chain, from 1 (0: before the steps). Most frequent: first errors with their number of predictions; invalid "
    f"chains of correct answers count in both. {ABSENT}: no such prediction."
)


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    lines = [
        (title, f"{row['level']} {row['modality']}", *_cells(row))
        for title, run in by_recipe(part, recipe_titles)
        for row in run.iter_rows(named=True)
    ]
    return Grid(
        ("Recipe", "Set"), ("n", *_HEADERS, "first wrong step"), tuple(lines), notes=("most frequent",), grouped=1
    )


def _cells(row: dict[str, Any]) -> list[str]:
    step = ABSENT if row["mean_first_error_step"] is None else f"{row['mean_first_error_step']:.1f}"
    return [f"{row['n']:,}", *(percent(row[name]) for name in OUTCOMES), step, row["most_frequent"] or ABSENT]


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    frame = explain_failures(read_scores(study.score_files, COLUMNS))
    return frame, to_page(frame, study.recipe_titles)


FAILURES = Table(make)
