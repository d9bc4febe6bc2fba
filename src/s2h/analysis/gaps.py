"""The two gaps of each run, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import polars as pl

from s2h.analysis.pages import ABSENT, Grid, Page, by_recipe, percent_interval, run_sections
from s2h.analysis.scores import RUN, SET, pair_scores, read_scores, with_interval
from s2h.analysis.statistics import bootstrap_interval, independent_bootstrap_interval
from s2h.analysis.study import Study, Table
from s2h.errors import DataError
from s2h.puzzles.record import LEVELS, MODALITIES

MODALITY_GAP = "text→image"
"""Text minus image, on the same puzzles of a level."""

LEVEL_GAP = "SIMPLE→HARD"
"""SIMPLE minus HARD, in one modality."""

_GAP_COLUMNS = [*RUN, "gap", "level", "modality", "points", "ci_low", "ci_high", "n_first", "n_second"]


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
    unpaired = pairs.filter(pl.col("n") == 0).select(*RUN, "level")
    if unpaired.height:
        raise DataError(
            f"text and image of {unpaired.row(0)} share no puzzle, so their gap is unknown: score it again."
        )
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


def to_page(gaps: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``measure_gaps`` gave.

    It has a table for each task, model, budget and seed, with a row for each recipe.
    """
    sections = run_sections(gaps, partial(_grid, recipe_titles=recipe_titles))
    return Page.of("Gaps", sections, note=_NOTE, empty=_EMPTY)


_NOTE = (
    "Differences in accuracy in percentage points with 95 % bootstrap intervals over puzzles. SIMPLE→HARD: "
    "SIMPLE minus HARD, different puzzles. text→image: text minus image, the same puzzles, in pairs. "
    f"{ABSENT}: not scored."
)
_EMPTY = "No run was scored on both sides of a gap."


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    columns = [(LEVEL_GAP, modality) for modality in MODALITIES] + [(MODALITY_GAP, level) for level in LEVELS]
    named = part.with_columns(of=pl.coalesce("level", "modality"))
    present = set(named.select("gap", "of").iter_rows())
    columns = [column for column in columns if column in present]
    lines = []
    for title, run in by_recipe(named, recipe_titles):
        cells = {
            (gap, of): percent_interval(points, low, high)
            for gap, of, points, low, high in run.select("gap", "of", "points", "ci_low", "ci_high").iter_rows()
        }
        lines.append((title, *(cells.get(column, ABSENT) for column in columns)))
    return Grid(("Recipe",), tuple(" ".join(column) for column in columns), tuple(lines))


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    gaps = measure_gaps(read_scores(study.score_files, ["correct"]))
    return gaps, to_page(gaps, study.recipe_titles)


GAPS = Table(make)
