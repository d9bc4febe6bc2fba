"""Score files as the tables read them, and what two sets of scores have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from s2h.errors import DataError, unreadable
from s2h.puzzles.record import LEVELS, MODALITIES
from s2h.supervision.conversion import CONVERSIONS

RUN = ("task", "trained_on", "recipe", "budget", "model", "seed")
"""The columns that name a run."""

SET = (*RUN, "level", "modality")
"""The columns that name a run's results on one evaluation set."""

_ORDERS = {"level": LEVELS, "modality": MODALITIES, "conversion": CONVERSIONS}
"""Columns that are Enums, and the order of their values."""

_LATER = {"prompt_tokens": pl.Int64, "reasoning_tokens": pl.Int64, "finish": pl.String}
"""Columns that score files of before have not, and their types."""


def read_scores(
    score_files: Sequence[str | Path],
    columns: Sequence[str],
    *,
    external: bool = False,
    conversions: bool = False,
    metrics: Sequence[str] = (),
) -> pl.DataFrame:
    """The scores of all files, in any order.

    Args:
        score_files: Parquet files of the scores.
        columns: what is read beside the columns of ``SET`` and the puzzle's id; nothing else is.
        external: read the rows of external evaluation sets as well. They are other puzzles than the study's, cannot
            be pooled or paired with them, and are judged by the paper's metrics alone.
        conversions: read the rows in which the conversion to text was forced or forbidden as well. They are the same
            puzzles once more.
        metrics: columns that the files of some tasks have, and are null for the others.

    Returns:
        The columns of ``SET``, puzzle_id, ``columns`` and ``metrics``; level and modality are Enums, and so sort in
        their order. With ``external`` also external_eval: the name of an external set, null for the study's own;
        with ``conversions`` also conversion, an Enum.

    Raises:
        DataError: a file cannot be read, or a puzzle is scored twice for a run, modality and conversion.
    """
    more = [*["external_eval"] * external, *["conversion"] * conversions]
    frames = [_read(path, [*SET, "puzzle_id", *columns], more, metrics) for path in score_files]
    if not frames:
        raise DataError("there are no scores to summarise: give at least one score file.")
    scores = pl.concat(frames, how="vertical_relaxed")
    twice = scores.filter(scores.select(*SET, "puzzle_id", *["conversion"] * conversions).is_duplicated())
    if twice.height:
        raise DataError(f"puzzles of {twice.select(SET).row(0)} are scored more than once: give each score file once.")
    return scores


def _read(path: str | Path, columns: Sequence[str], more: Sequence[str], metrics: Sequence[str]) -> pl.DataFrame:
    """The rows of a file, with ``columns`` and ``metrics``; external sets and conversions are ``more`` columns."""
    try:
        scores = pl.scan_parquet(path, glob=False)
        optional = {**_LATER, **dict.fromkeys(metrics, pl.Float64)}
        lacking = [name for name in optional if name not in scores.collect_schema()]
        scores = scores.with_columns(pl.lit(None, optional[name]).alias(name) for name in lacking)
        scores = scores.with_columns(external_eval=pl.when("external").then("set_name"))
        if "external_eval" not in more:
            scores = scores.filter(pl.col("external_eval").is_null())
        if "conversion" not in more:
            scores = scores.filter(pl.col("conversion") == "free")
        orders = {name: order for name, order in _ORDERS.items() if name in (*columns, *more)}
        ordered = [pl.col(name).cast(pl.Enum(order)) for name, order in orders.items()]
        return scores.select(*columns, *metrics, *more).with_columns(ordered).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable("score file", path, error) from None


def pair_scores(first: pl.DataFrame, second: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Set two results against each other, puzzle by puzzle.

    Args:
        first: the columns of ``by``, puzzle_id and correct; each puzzle once in its group.
        second: likewise.
        by: columns that name a group; puzzles are looked for within it.

    Returns:
        A row for each group of either frame, in order: ``by``; scored_first and scored_second (puzzles of each); n
        (puzzles of both); left_out (puzzles of one alone); right_first and right_second (how many of the n each has
        right), only_first and only_second (how many it alone has right).
    """
    own, other = pl.col("correct"), pl.col("correct_second")
    shared = own.is_not_null() & other.is_not_null()
    counts = {
        "scored_first": own.is_not_null(),
        "scored_second": other.is_not_null(),
        "n": shared,
        "left_out": ~shared,
        "right_first": own & shared,
        "right_second": other & shared,
        "only_first": own & ~other,
        "only_second": other & ~own,
    }
    keys = [*by, "puzzle_id"]
    return (
        first.select(*keys, "correct")
        .join(second.select(*keys, correct_second="correct"), on=keys, how="full", coalesce=True)
        .group_by(by)
        .agg(**{name: which.sum().cast(pl.Int64) for name, which in counts.items()})
        .sort(by)
    )


def with_interval(
    frame: pl.DataFrame, interval: Callable[..., tuple[float, float]], columns: Sequence[str], *, prefix: str = ""
) -> pl.DataFrame:
    """The frame with ci_low and ci_high: what ``interval`` makes of the given columns of each row.

    Args:
        frame: any.
        interval: gives both ends.
        columns: what it is given; where one is null, so are the ends.
        prefix: stands before the names of the new columns.
    """
    ends = [(None, None) if None in row else interval(*row) for row in frame.select(columns).iter_rows()]
    names = f"{prefix}ci_low", f"{prefix}ci_high"
    return frame.with_columns(
        pl.Series(name, values, dtype=pl.Float64)
        for name, values in zip(names, zip(*ends, strict=True) if ends else ((), ()), strict=True)
    )
