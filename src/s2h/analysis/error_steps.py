"""The step of the chain of thought in which predictions first go wrong, whether or not their answer is right."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import polars as pl

from s2h.analysis.failures import COLUMNS, with_outcome
from s2h.analysis.pages import Grid, Page, budget_sections, by_recipe, count, percent
from s2h.analysis.scores import read_scores
from s2h.analysis.seeds import ANY_SEED
from s2h.analysis.study import Study, Table

SCHEMA = {
    **{name: pl.Int64 if name == "budget" else pl.String for name in ANY_SEED},
    "step": pl.Int64,  # the first that is wrong, from 1; 0 for what comes before the steps; null where none is to blame
    "error": pl.String,  # its kind
    "errors": pl.Int64,  # predictions that first go wrong there and so, of all seeds
    "right": pl.Int64,  # those of them whose answer is right
    "predictions": pl.Int64,  # all predictions of the set, of all seeds
    "share": pl.Float64,  # errors / predictions
}


def count_error_steps(scores: pl.DataFrame) -> pl.DataFrame:
    """How many predictions first go wrong at each step, by kind of error.

    Args:
        scores: what ``read_scores`` gave, with ``s2h.analysis.failures.COLUMNS``.

    Returns:
        Rows of ``SCHEMA``. A set without an error has no row; errors in the chains of right answers count too.

    Raises:
        DataError: a wrong prediction has no error, or one that is not known.
    """
    predictions = scores.group_by(ANY_SEED).agg(predictions=pl.len())
    return (
        with_outcome(scores)
        .filter(pl.col("error").is_not_null())
        .group_by(*ANY_SEED, "first_error_step", "error")
        .agg(errors=pl.len(), right=pl.col("correct").sum())
        .join(predictions, on=ANY_SEED)
        .sort(*ANY_SEED, "first_error_step", "error", nulls_last=True)
        .with_columns(step="first_error_step", share=pl.col("errors") / pl.col("predictions"))
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    )


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``count_error_steps`` gave.

    One table per task, model and budget, with a row for each recipe and evaluation set that has an error.
    """
    sections = budget_sections(frame, partial(_grid, recipe_titles=recipe_titles))
    return Page.of("Where predictions go wrong", sections, note=_NOTE, empty="No prediction has an error.")


_NOTE = (
    "Predictions with an error in the answer or on the way to it, as a percentage of all predictions for a set, over "
    "all seeds, by the first wrong step of the chain of thought. Right: those of them whose answer is right. Before: "
    "an error before the first step, for instance in a transcription of the image. No step: the answer is wrong or "
    "missing, but every step is right. <1: more than none, but less than 0.5 %. Sets without an error are omitted. The "
    "CSV file lists every step and kind of error."
)
_SINGLE = range(1, 9)  # steps that have a column of their own


def _blocks() -> dict[str, pl.Expr]:
    """A filter for each column: the steps that it counts."""
    step = pl.col("step")
    return {
        "before": step == 0,
        **{f"step {number}": step == number for number in _SINGLE},
        f"step {_SINGLE.stop} or later": step >= _SINGLE.stop,
        "no step": step.is_null(),
    }


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    blocks = {name: block for name, block in _blocks().items() if not part.filter(block).is_empty()}
    rows = []
    for title, run in by_recipe(part, recipe_titles):
        for (level, modality), cell in run.partition_by("level", "modality", as_dict=True, maintain_order=True).items():
            shares = (_share(cell.filter(block)) for block in blocks.values())
            totals = count(cell["predictions"][0]), _share(cell), _share(cell, "right")
            rows.append((title, f"{level} {modality}", *totals, *shares))
    return Grid(("Recipe", "Set"), ("predictions", "with an error", "right", *blocks), tuple(rows), grouped=1)


def _share(rows: pl.DataFrame, counted: str = "errors") -> str:
    """The share of a count in %, without decimals; ``<1`` for a few predictions among many."""
    share = float((rows[counted] / rows["predictions"]).sum())
    return "<1" if percent(share) == "0" and share > 0 else percent(share)


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    frame = count_error_steps(read_scores(study.score_files, COLUMNS))
    return frame, to_page(frame, study.recipe_titles)


ERROR_STEPS = Table(make)
