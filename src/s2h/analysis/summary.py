"""The table of what was found: a CSV file for machines, a page for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from s2h.analysis.pages import (
    ABSENT,
    Cell,
    by_recipe,
    percent,
    percent_interval,
    render_page,
    run_sections,
    sets_of,
    table_head,
    table_line,
    write_csv,
    write_page,
)
from s2h.analysis.scores import SET, read_scores, with_interval
from s2h.analysis.statistics import wilson_interval

_GAPS: tuple[tuple[str, Cell, Cell], ...] = (
    ("SIMPLE→HARD text", ("SIMPLE", "text"), ("HARD", "text")),
    ("SIMPLE→HARD image", ("SIMPLE", "image"), ("HARD", "image")),
    ("text→image SIMPLE", ("SIMPLE", "text"), ("SIMPLE", "image")),
    ("text→image HARD", ("HARD", "text"), ("HARD", "image")),
)


def summarise(score_files: Sequence[str | Path]) -> pl.DataFrame:
    """One row for each run, level and modality.

    Returns:
        The columns of ``SET``, n, correct (a count), accuracy, ci_low and ci_high (95 % Wilson interval), and
        chain_accuracy (share with a chain of thought that is right from end to end; 0 by nature for replies without
        one). Runs are in the order of their names, levels SIMPLE, MEDIUM, HARD, text before image.

    Raises:
        DataError: a file cannot be read, or a puzzle is scored twice for a run and modality.
    """
    frame = (
        read_scores(score_files, ["correct", "chain_correct"])
        .group_by(SET)
        .agg(
            n=pl.len().cast(pl.Int64),
            correct=pl.col("correct").sum().cast(pl.Int64),
            accuracy=pl.col("correct").mean(),
            chain_accuracy=pl.col("chain_correct").mean(),
        )
        .sort(SET)
        .with_columns(pl.col("level", "modality").cast(pl.String))
    )
    return with_interval(frame, wilson_interval, ["correct", "n"]).select(
        *SET, "n", "correct", "accuracy", "ci_low", "ci_high", "chain_accuracy"
    )


def write_summary(
    score_files: Sequence[str | Path],
    *,
    csv_path: str | Path,
    markdown_path: str | Path,
    recipe_titles: Mapping[str, str],
    task_titles: Mapping[str, str],
) -> None:
    """Write the summary as CSV (4 decimals) and as a Markdown page.

    Args:
        score_files: Parquet files of the scores.
        csv_path: the columns of ``summarise``.
        markdown_path: one table for each task, model, budget and seed, with a row for each recipe; where several
            tasks were trained together, their name stands behind the recipe.
        recipe_titles: the paper's names; their order is that of the rows.
        task_titles: the paper's names.
    """
    frame = summarise(score_files)
    write_csv(frame, csv_path)
    write_page(render_markdown(frame, recipe_titles, task_titles), markdown_path)


def render_markdown(frame: pl.DataFrame, recipe_titles: Mapping[str, str], task_titles: Mapping[str, str]) -> str:
    """The page of what ``summarise`` gave."""
    sections = run_sections(frame, partial(_section, recipe_titles=recipe_titles))
    return render_page("Results", sections, task_titles)


def _section(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Iterator[str]:
    """One table: sets that were scored, then the gaps between them."""
    cells = sets_of(part)
    gaps = [gap for gap in _GAPS if {gap[1], gap[2]} <= set(cells)]
    yield from table_head(["Recipe"], [*(" ".join(cell) for cell in cells), *(name for name, _, _ in gaps)])
    for title, run in by_recipe(part, recipe_titles):
        rows = {(row["level"], row["modality"]): row for row in run.iter_rows(named=True)}
        shares = (_share(rows.get(cell)) for cell in cells)
        points = (_points(rows.get(first), rows.get(second)) for _, first, second in gaps)
        yield table_line([title, *shares, *points])
    yield ""
    yield _caption(part)


def _share(row: dict[str, Any] | None) -> str:
    return ABSENT if row is None else percent_interval(row["accuracy"], row["ci_low"], row["ci_high"])


def _points(first: dict[str, Any] | None, second: dict[str, Any] | None) -> str:
    return ABSENT if first is None or second is None else percent(first["accuracy"] - second["accuracy"])


def _caption(part: pl.DataFrame) -> str:
    sizes = sorted(set(part["n"].to_list()))
    n = " to ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1])))
    return (
        f"Right answers in per cent with 95 % Wilson intervals, on n = {n} new puzzles for each level, given as text "
        "and as images. Gaps are in points of per cent: SIMPLE→HARD is SIMPLE minus HARD, text→image "
        f"is text minus image. {ABSENT}: not scored."
    )
