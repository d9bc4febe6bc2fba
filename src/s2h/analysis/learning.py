"""How training runs went: loss, gradient, learning rate and speed along the steps of each phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl

from s2h.analysis.pages import Grid, Page, by_recipe, count, rounded, run_sections
from s2h.analysis.scores import RUN
from s2h.analysis.study import Study, Table
from s2h.analysis.training_runs import phases_of, read_manifest, read_steps

SCHEMA = {
    **{name: pl.Int64 if name in ("budget", "seed") else pl.String for name in RUN},  # task is what it was trained on
    "phase": pl.Int64,  # from 1
    "step": pl.Int64,  # the last of the bin, from 1
    "steps": pl.Int64,  # of the phase
    "examples": pl.Int64,  # seen in the phase by then
    "loss": pl.Float64,  # means over the steps of the bin, as are gradient norm and learning rate
    "gradient_norm": pl.Float64,
    "learning_rate": pl.Float64,
    "tokens_per_second": pl.Float64,  # tokens of the bin over its seconds
}
_BINS = 100  # at most, for each phase
_MEANS = ("loss", "gradient_norm", "learning_rate")


def learning_curves(models: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """A row for each bin of steps of each phase, as rows of ``SCHEMA``.

    Args:
        models: for each run the folders of its phases' models.
    """
    curves = [_curve(*each) for each in phases_of(models)]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *curves]).sort(*RUN, "phase", "step")


def _curve(training: Mapping[str, Any], phase: int, folder: str) -> pl.DataFrame:
    manifest, steps = read_manifest(folder), read_steps(folder)
    names = {**training, "task": training["trained_on"], "phase": phase, "steps": steps.height}
    return (
        binned(steps)
        .with_columns(
            **{name: pl.lit(value, SCHEMA[name]) for name, value in names.items()},
            examples=pl.min_horizontal(pl.col("step") * manifest["settings"]["batch_size"], manifest["examples"]),
        )
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    )


def binned(steps: pl.DataFrame) -> pl.DataFrame:
    """The steps of a phase in at most 100 bins of equal size (the last may be smaller): means, and last steps."""
    size = -(-steps.height // _BINS)
    return (
        steps.sort("step")
        .group_by((pl.col("step") - 1) // size, maintain_order=True)
        .agg(
            *(pl.col(name).mean() for name in _MEANS),
            tokens_per_second=pl.col("tokens").sum() / pl.col("seconds").sum(),
            last=pl.col("step").last(),
        )
        .drop("step")
        .rename({"last": "step"})
    )


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``learning_curves`` gave.

    It has a table for each task, model, budget and seed, with a row for each recipe and phase.
    """
    sections = run_sections(frame, partial(_grid, recipe_titles=recipe_titles))
    return Page.of("Learning", sections, note=_NOTE, empty="No run of this study was trained.")


_NOTE = (
    "Loss: mean over the target tokens of a step. First and last: means over the first and the last hundredth of a "
    "phase's steps; least: of any hundredth. The whole curves stand in the CSV and Parquet files."
)
_HEADERS = ("phase", "steps", "examples", "first loss", "least loss", "last loss", "last gradient norm", "tokens/s")


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    rows = tuple(
        (title, *_cells(int(phase), curve))
        for title, run in by_recipe(part, recipe_titles)
        for (phase,), curve in run.partition_by("phase", as_dict=True, maintain_order=True).items()
    )
    return Grid(("Recipe",), _HEADERS, rows)


def _cells(phase: int, curve: pl.DataFrame) -> tuple[str, ...]:
    first, last = curve.row(0, named=True), curve.row(-1, named=True)
    least = curve.select(pl.col("loss").min(), pl.col("tokens_per_second").mean()).row(0, named=True)
    losses = (first["loss"], least["loss"], last["loss"], last["gradient_norm"], least["tokens_per_second"])
    return (str(phase), count(last["steps"]), count(last["examples"]), *map(rounded, losses))


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    frame = learning_curves(study.models)
    return frame, to_page(frame, study.recipe_titles)


LEARNING = Table(make, significant=dict.fromkeys((*_MEANS, "tokens_per_second"), 6))
