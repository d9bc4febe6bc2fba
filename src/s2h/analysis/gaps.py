"""The two gaps of each run with their intervals, and the spread of accuracy across seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from s2h.analysis.pages import (
    ABSENT,
    Section,
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
from s2h.analysis.scores import RUN, SET, pair_scores, read_scores, with_interval
from s2h.analysis.statistics import across_seeds, bootstrap_interval, independent_bootstrap_interval
from s2h.errors import DataError
from s2h.puzzles.record import LEVELS, MODALITIES

MODALITY_GAP = "text→image"
"""Text minus image, on the same puzzles of a level."""

LEVEL_GAP = "SIMPLE→HARD"
"""SIMPLE minus HARD, in one modality."""

_GAP_COLUMNS = [*RUN, "gap", "level", "modality", "points", "ci_low", "ci_high", "n_first", "n_second"]
_SEED_KEYS = [name for name in SET if name != "seed"]


def measure_gaps(scores: pl.DataFrame) -> pl.DataFrame:
    """Both gaps of each run.

    Args:
        scores: what ``read_scores`` gave, with the column correct.

    Returns:
        A row for each run and gap: the columns of ``RUN``, gap (``MODALITY_GAP`` or ``LEVEL_GAP``), level (null for
        LEVEL_GAP), modality (null for MODALITY_GAP), points (first share minus second, -1 to 1), ci_low and ci_high
        (95 % bootstrap over puzzles), n_first and n_second (puzzles). The puzzles of a modality gap are those scored
        in both modalities, and are resampled in pairs; SIMPLE and HARD are resampled each by itself. A gap of which
        one side was not scored has no row.

    Raises:
        DataError: text and image of a level share no puzzle.
    """
    gaps = pl.concat([_level_gaps(scores), _modality_gaps(scores)])
    order = pl.col("gap").cast(pl.Enum([LEVEL_GAP, MODALITY_GAP]))
    return gaps.sort(*RUN, order, "level", "modality").with_columns(pl.col("level", "modality").cast(pl.String))


def _modality_gaps(scores: pl.DataFrame) -> pl.DataFrame:
    text, image = (scores.filter(pl.col("modality") == modality) for modality in MODALITIES)
    both = pl.col("scored_first") > 0, pl.col("scored_second") > 0
    pairs = pair_scores(text, image, [*RUN, "level"]).filter(*both)
    apart = pairs.filter(pl.col("n") == 0).select(*RUN, "level")
    if apart.height:
        raise DataError(f"text and image of {apart.row(0)} share no puzzle, so their gap is unknown: score it again.")
    gaps = pairs.with_columns(
        gap=pl.lit(MODALITY_GAP),
        modality=pl.lit(None, pl.Enum(MODALITIES)),
        points=(pl.col("only_first") - pl.col("only_second")) / pl.col("n"),
        n_first="n",
        n_second="n",
    )
    return with_interval(gaps, bootstrap_interval, ["only_first", "only_second", "n"]).select(_GAP_COLUMNS)


def _level_gaps(scores: pl.DataFrame) -> pl.DataFrame:
    counts = scores.group_by(SET).agg(right=pl.col("correct").sum().cast(pl.Int64), n=pl.len().cast(pl.Int64))
    simple, hard = (counts.filter(pl.col("level") == level).drop("level") for level in ("SIMPLE", "HARD"))
    gaps = simple.join(hard, on=[*RUN, "modality"], suffix="_second").with_columns(
        gap=pl.lit(LEVEL_GAP),
        level=pl.lit(None, pl.Enum(LEVELS)),
        points=pl.col("right") / pl.col("n") - pl.col("right_second") / pl.col("n_second"),
        n_first="n",
    )
    counted = ["right", "n", "right_second", "n_second"]
    return with_interval(gaps, independent_bootstrap_interval, counted).select(_GAP_COLUMNS)


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
        .group_by(_SEED_KEYS)
        .agg(across_seeds("accuracy"))
        .sort(_SEED_KEYS)
        .with_columns(pl.col("level", "modality").cast(pl.String))
    )


def write_gaps(
    score_files: Sequence[str | Path],
    *,
    csv_path: str | Path,
    seeds_path: str | Path,
    markdown_path: str | Path,
    recipe_titles: Mapping[str, str],
    task_titles: Mapping[str, str],
) -> None:
    """Write the gaps and the spread across seeds, as CSV (4 decimals) and on one page.

    Args:
        score_files: Parquet files of the scores.
        csv_path: the columns of ``measure_gaps``.
        seeds_path: the columns of ``measure_spread``.
        markdown_path: a table of gaps for each task, model, budget and seed, with a row for each recipe; below, a
            table of means for each task, model and budget.
        recipe_titles: the paper's names; their order is that of the rows.
        task_titles: the paper's names.
    """
    scores = read_scores(score_files, ["correct"])
    gaps, spread = measure_gaps(scores), measure_spread(scores)
    write_csv(gaps, csv_path)
    write_csv(spread, seeds_path)
    write_page(render_markdown(gaps, spread, recipe_titles, task_titles), markdown_path)


def render_markdown(
    gaps: pl.DataFrame, spread: pl.DataFrame, recipe_titles: Mapping[str, str], task_titles: Mapping[str, str]
) -> str:
    """The page of both tables."""
    sections = run_sections(gaps, partial(_gap_section, recipe_titles=recipe_titles))
    return (
        render_page("Gaps", sections, task_titles)
        + f"\n{_GAP_NOTE}\n\n"
        + render_page("Across seeds", _seed_sections(spread, recipe_titles), task_titles)
        + f"\n{_SEED_NOTE}\n"
    )


_GAP_NOTE = (
    "Differences of right answers in points of per cent with 95 % bootstrap intervals over puzzles. SIMPLE→HARD: "
    "SIMPLE minus HARD, different puzzles. text→image: text minus image, the same puzzles, in pairs. "
    f"{ABSENT}: not scored."
)
_SEED_NOTE = (
    "Right answers in per cent: mean ± sample standard deviation across seeds, (least to most; number of seeds). One "
    f"seed has no spread. {ABSENT}: not scored."
)


def _gap_section(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Iterator[str]:
    columns = [(LEVEL_GAP, modality) for modality in MODALITIES] + [(MODALITY_GAP, level) for level in LEVELS]
    named = part.with_columns(of=pl.coalesce("level", "modality"))
    found = set(named.select("gap", "of").iter_rows())
    columns = [column for column in columns if column in found]
    yield from table_head(["Recipe"], [" ".join(column) for column in columns])
    for title, run in by_recipe(named, recipe_titles):
        cells = {
            (gap, of): percent_interval(points, low, high)
            for gap, of, points, low, high in run.select("gap", "of", "points", "ci_low", "ci_high").iter_rows()
        }
        yield table_line([title, *(cells.get(column, ABSENT) for column in columns)])


def _seed_sections(spread: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Iterator[Section]:
    keys = ["task", "model", "budget"]
    parts = spread.sort(keys, maintain_order=True).partition_by(keys, as_dict=True, maintain_order=True)
    for (task, model, budget), part in parts.items():
        yield str(task), f"{model}, budget {budget:,}", _seed_section(part, recipe_titles)


def _seed_section(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Iterator[str]:
    columns = sets_of(part)
    yield from table_head(["Recipe"], [" ".join(column) for column in columns])
    for title, run in by_recipe(part, recipe_titles):
        cells = {(row["level"], row["modality"]): _mean(row) for row in run.iter_rows(named=True)}
        yield table_line([title, *(cells.get(column, ABSENT) for column in columns)])


def _mean(row: dict[str, Any]) -> str:
    if row["sd"] is None:
        return percent(row["mean"])
    spread = f"{percent(row['min'])} to {percent(row['max'])}; {row['n_seeds']}"
    return f"{100 * row['mean']:.1f} ± {100 * row['sd']:.1f} ({spread})"
