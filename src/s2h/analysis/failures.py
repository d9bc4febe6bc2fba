"""What replies fail at: how many are right with a right chain, and where the others first go wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import polars as pl

from s2h.analysis.pages import (
    ABSENT,
    by_recipe,
    percent,
    render_page,
    run_sections,
    table_head,
    table_line,
    write_csv,
    write_page,
)
from s2h.analysis.scores import SET, read_scores
from s2h.diagnosis.diagnosis import Error
from s2h.errors import DataError

ERRORS: tuple[str, ...] = get_args(Error)
"""Kinds of the first error of a reply."""

OUTCOMES = ("right_chain", "right_flawed", "right_unchained", *ERRORS)
"""What becomes of a reply: right with a right chain, with a flaw in its chain, without a chain; else its error."""

COLUMNS = ["correct", "chain_correct", "error", "wrong_step", "wrong_kind"]
"""The columns of the scores that this table is made from."""

_SHOWN = 3  # pairs of error and wrong_kind that are named


def explain_failures(scores: pl.DataFrame) -> pl.DataFrame:
    """One row for each run, level and modality.

    Args:
        scores: what ``read_scores`` gave, with ``COLUMNS``.

    Returns:
        The columns of ``SET``, n, the share of each of ``OUTCOMES`` among the n replies (they add up to 1),
        mean_wrong_step (of the first wrong steps, flawed chains of right answers included; null where there are none)
        and most_frequent (up to three pairs of error and wrong_kind with their counts, likewise).

    Raises:
        DataError: a wrong reply has no error, or one that is not of ``ERRORS``.
    """
    named = with_outcome(scores)
    shares = {name: (pl.col("outcome") == name).mean() for name in OUTCOMES}
    return (
        named.group_by(SET)
        .agg(n=pl.len().cast(pl.Int64), **shares, mean_wrong_step=pl.col("wrong_step").mean())
        .join(_most_frequent(scores), on=SET, how="left")
        .sort(SET)
        .with_columns(pl.col("level", "modality").cast(pl.String))
    )


def with_outcome(scores: pl.DataFrame) -> pl.DataFrame:
    """The scores with the column outcome: which of ``OUTCOMES`` each is.

    Raises:
        DataError: a wrong reply has no error, or one that is not of ``ERRORS``.
    """
    named = scores.with_columns(outcome=_outcome())
    unknown = named.filter(~pl.col("outcome").is_in(OUTCOMES).fill_null(False))
    if unknown.height:
        raise DataError(
            f"a wrong reply of {unknown.select(SET).row(0)} has the error {unknown['error'][0]}, expected one of "
            f"{', '.join(ERRORS)}: score the run again."
        )
    return named


def _outcome() -> pl.Expr:
    right, flawed = pl.col("correct"), pl.col("error").is_not_null()
    return (
        pl.when(right & pl.col("chain_correct"))
        .then(pl.lit("right_chain"))
        .when(right & flawed)
        .then(pl.lit("right_flawed"))
        .when(right)
        .then(pl.lit("right_unchained"))
        .otherwise("error")
    )


def count_errors(scores: pl.DataFrame) -> pl.DataFrame:
    """How often each pair of error and wrong_kind occurs: the columns of ``SET``, both, and count, most frequent first.

    Flawed chains of right answers count too.
    """
    return (
        scores.filter(pl.col("error").is_not_null())
        .group_by(*SET, "error", "wrong_kind")
        .agg(count=pl.len().cast(pl.Int64))
        .sort(*SET, "count", "error", "wrong_kind", descending=[False] * len(SET) + [True, False, False])
    )


def _most_frequent(scores: pl.DataFrame) -> pl.DataFrame:
    """The first pairs of each set as one text, such as ``perception: wrong value (12), format (3)``."""
    error = pl.concat_str("error", "wrong_kind", separator=": ", ignore_nulls=True)
    words = pl.format("{} ({})", error, "count").head(_SHOWN).str.join(", ")
    return count_errors(scores).group_by(SET, maintain_order=True).agg(most_frequent=words)


def write_failures(
    score_files: Sequence[str | Path],
    *,
    csv_path: str | Path,
    markdown_path: str | Path,
    recipe_titles: Mapping[str, str],
    task_titles: Mapping[str, str],
) -> None:
    """Write what replies fail at as CSV (4 decimals) and as a Markdown page.

    Args:
        score_files: Parquet files of the scores.
        csv_path: the columns of ``explain_failures``.
        markdown_path: one table for each task, model, budget and seed, with a row for each recipe, level and modality.
        recipe_titles: the paper's names; their order is that of the rows.
        task_titles: the paper's names.
    """
    frame = explain_failures(read_scores(score_files, COLUMNS))
    write_csv(frame, csv_path)
    write_page(render_markdown(frame, recipe_titles, task_titles), markdown_path)


def render_markdown(frame: pl.DataFrame, recipe_titles: Mapping[str, str], task_titles: Mapping[str, str]) -> str:
    """The page of what ``explain_failures`` gave."""
    sections = run_sections(frame, partial(_section, recipe_titles=recipe_titles))
    return render_page("Failures", sections, task_titles) + f"\n{_NOTE}\n"


_HEADS = ("right, chain right", "right, chain flawed", "right, no chain", *ERRORS)
_NOTE = (
    "Replies in per cent of n, by what becomes of them: right answers by their chain of thought, wrong ones by the "
    "first thing that is wrong. First wrong step: mean place in the chain, from 1 (0: before the steps). Most "
    "frequent: what is first wrong, with the number of replies; the flawed chains of right answers count in both. "
    f"{ABSENT}: no such reply."
)


def _section(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Iterator[str]:
    yield from table_head(["Recipe", "Set"], ["n", *_HEADS, "first wrong step"], ["most frequent"])
    for title, run in by_recipe(part, recipe_titles):
        for row in run.iter_rows(named=True):
            yield table_line([title, f"{row['level']} {row['modality']}", *_cells(row)])


def _cells(row: dict[str, Any]) -> list[str]:
    step = ABSENT if row["mean_wrong_step"] is None else f"{row['mean_wrong_step']:.1f}"
    return [f"{row['n']:,}", *(percent(row[name]) for name in OUTCOMES), step, row["most_frequent"] or ABSENT]
