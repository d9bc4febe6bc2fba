"""The conversion of images to text: how many responses begin with it, and their accuracy when it is forced or not."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import polars as pl

from s2h.analysis.pages import ABSENT, Grid, Page, budget_sections, by_recipe, percent, percent_interval, rounded
from s2h.analysis.scores import RUN, read_scores, with_interval
from s2h.analysis.statistics import wilson_interval
from s2h.analysis.study import Study, Table
from s2h.puzzles.record import LEVELS
from s2h.supervision.conversion import CONVERSIONS, CONVERTED

_KEYS = (*RUN, "level", "conversion")
_MEASURES = ("converted", "tokens", "accuracy", "accuracy_converted", "accuracy_direct", "transcription_exact")

SCHEMA = {
    **{name: pl.Int64 if name in ("budget", "seed") else pl.String for name in _KEYS},
    "n": pl.Int64,  # responses to images
    "converted": pl.Float64,  # share of them that begin with the conversion
    "tokens": pl.Float64,  # their mean length; null where it is not known
    "accuracy": pl.Float64,
    "ci_low": pl.Float64,  # 95 % Wilson interval of the accuracy
    "ci_high": pl.Float64,
    "accuracy_converted": pl.Float64,  # of those that begin with the conversion; null where there are none
    "accuracy_direct": pl.Float64,  # of the others; likewise
    "transcription_exact": pl.Float64,  # share of those that begin with it whose transcription is right in every cell
}


def measure_conversion(scores: pl.DataFrame) -> pl.DataFrame:
    """One row for each run, level and conversion.

    Args:
        scores: what ``read_scores`` gave, with the columns prediction, correct, tokens, transcription and conversion.

    Returns:
        Rows of ``SCHEMA``, of responses to images.
    """
    converted, right = pl.col("converted"), pl.col("correct")
    counted = (
        scores.filter(modality="image")
        .with_columns(converted=pl.col("prediction").str.contains(CONVERTED))
        .group_by(_KEYS)
        .agg(
            n=pl.len(),
            converted=converted.mean(),
            tokens=pl.col("tokens").mean(),
            right=right.sum(),
            accuracy=right.mean(),
            accuracy_converted=right.filter(converted).mean(),
            accuracy_direct=right.filter(~converted).mean(),
            transcription_exact=(pl.col("transcription").filter(converted) == 1).mean(),
        )
        .sort(_KEYS)
    )
    measured = with_interval(counted, wilson_interval, ["right", "n"])
    return measured.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``measure_conversion`` gave.

    It has a table for each task, model and budget, with a row for each recipe, level and conversion, over the seeds.
    """
    sections = budget_sections(_over_seeds(frame), partial(_grid, recipe_titles=recipe_titles))
    return Page.of("Conversion of images to text", sections, note=_NOTE, empty="No run was scored on images.")


def _over_seeds(frame: pl.DataFrame) -> pl.DataFrame:
    keys = [name for name in _KEYS if name != "seed"]
    order = [pl.col(name) for name in keys[:-2]]
    order += [pl.col("level").cast(pl.Enum(LEVELS)), pl.col("conversion").cast(pl.Enum(CONVERSIONS))]
    means = (
        frame.group_by(keys, maintain_order=True)
        .agg(*(pl.col(name).mean() for name in _MEASURES), pl.col("n").max(), sd=pl.col("accuracy").std(ddof=1))
        .sort(order)
        .with_columns(right=pl.col("accuracy") * pl.col("n"))
    )
    return with_interval(means, wilson_interval, ["right", "n"])


_HEADERS = ("converted", "tokens", "accuracy", "if converted", "if not", "exact transcriptions")
_NOTE = (
    "Responses to images, means over the seeds. Conversion: free, the model decides whether its response begins with "
    "the image converted to text; forced, every response begins with it; forbidden, none does. Converted: % of the "
    "responses that begin with it. Tokens: mean length of a response. Accuracy (%): of all responses, with the 95 % "
    "Wilson interval over puzzles and, after ±, the sample standard deviation across seeds; of those that begin with "
    "the conversion; of the others. Exact transcriptions: % of the converted whose transcription is right in every "
    "cell. "
    f"{ABSENT}: no such response, or not known."
)


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    rows = [
        (title, row["level"], row["conversion"], *_cells(row))
        for title, run in by_recipe(part, recipe_titles)
        for row in run.iter_rows(named=True)
    ]
    return Grid(("Recipe", "Level", "Conversion"), _HEADERS, tuple(rows), grouped=2)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    spread = "" if row["sd"] is None else f" ± {100 * row['sd']:.1f}"
    accuracy = percent_interval(row["accuracy"], row["ci_low"], row["ci_high"]) + spread
    shares = (percent(row[name]) for name in _MEASURES[3:])
    return percent(row["converted"]), rounded(row["tokens"]), accuracy, *shares


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    columns = ["prediction", "correct", "tokens"]
    frame = measure_conversion(read_scores(study.score_files, columns, conversions=True, metrics=["transcription"]))
    return frame, to_page(frame, study.recipe_titles)


CONVERSION = Table(make)
