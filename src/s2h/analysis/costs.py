"""What each run cost: examples, tokens and hours of its training, replies and hours of its decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl

from s2h.analysis.pages import ABSENT, Grid, Page, by_recipe, count, duration, model_sections, rounded
from s2h.analysis.scores import RUN, read_scores
from s2h.analysis.study import Study, Table
from s2h.analysis.trainings import TRAINING, phases_of, read_manifest, read_steps

SCHEMA = {
    **{name: pl.Int64 if name in ("budget", "seed") else pl.String for name in RUN},
    "phases": pl.Int64,  # of the training; 0 for a run that trains nothing, whose training has no other numbers
    "parameters": pl.Int64,  # of the model after its last phase
    "examples": pl.Int64,  # seen in all phases, as are tokens and steps
    "tokens": pl.Int64,
    "target_tokens": pl.Int64,
    "steps": pl.Int64,
    "processes": pl.Int64,  # that trained together, most of any phase
    "gpus": pl.Int64,  # likewise; 0 on a CPU
    "training_hours": pl.Float64,  # of computing steps
    "gpu_hours": pl.Float64,  # of these on each GPU, all GPUs together
    "process_hours": pl.Float64,  # of these in each process, all processes together
    "examples_per_second": pl.Float64,  # over training_hours
    "tokens_per_second": pl.Float64,
    "replies": pl.Int64,  # that were decoded, those to sets from outside included
    "reply_tokens": pl.Int64,  # null where the model does not tell
    "decoding_hours": pl.Float64,
    "replies_per_second": pl.Float64,
}
_SUMMED = ("examples", "tokens", "target_tokens", "steps")
_HOURS = ("training_hours", "gpu_hours", "process_hours", "decoding_hours")
_HOUR = 3600.0  # seconds


def measure_costs(score_files: Sequence[str], models: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """One row for each run.

    Args:
        score_files: Parquet files of the scores.
        models: for each run the folders of its phases' models.

    Returns:
        Rows of ``SCHEMA``. Tasks that were trained together have a row each, with the same training: do not add
        these up.
    """
    return (
        _decoding(read_scores(score_files, ["tokens", "seconds"], outside=True))
        .join(training_costs(models), on=TRAINING, how="left")
        .with_columns(pl.col("phases").fill_null(0))
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
        .sort(RUN)
    )


def _decoding(scores: pl.DataFrame) -> pl.DataFrame:
    known = pl.col("tokens").is_not_null().any()
    return (
        scores.sort(*RUN, "puzzle_id", "modality")  # sums of seconds in one order are the same to the last digit
        .group_by(RUN, maintain_order=True)
        .agg(
            replies=pl.len(),
            reply_tokens=pl.when(known).then(pl.col("tokens").sum()),
            decoding_hours=pl.col("seconds").sum() / _HOUR,
            replies_per_second=_rate(pl.len(), pl.col("seconds").sum()),
        )
    )


def _rate(number: pl.Expr, seconds: pl.Expr) -> pl.Expr:
    return pl.when(seconds > 0).then(number / seconds)


def training_costs(models: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """A row for each training: the columns of ``TRAINING`` and those of ``SCHEMA`` that tell of it."""
    phases = pl.DataFrame([_phase(*each) for each in phases_of(models)], schema=_PHASE)
    hours = pl.col("seconds") / _HOUR
    return phases.group_by(TRAINING, maintain_order=True).agg(
        *(pl.col(name).sum() for name in _SUMMED),
        phases=pl.len().cast(pl.Int64),
        parameters=pl.col("parameters").last(),
        processes=pl.col("processes").max(),
        gpus=pl.col("gpus").max(),
        training_hours=hours.sum(),
        gpu_hours=(hours * pl.col("gpus")).sum(),
        process_hours=(hours * pl.col("processes")).sum(),
        examples_per_second=_rate(pl.col("examples").sum(), pl.col("seconds").sum()),
        tokens_per_second=_rate(pl.col("tokens").sum(), pl.col("seconds").sum()),
    )


_PHASE = {
    **{name: SCHEMA[name] for name in (*TRAINING, *_SUMMED, "parameters", "processes", "gpus")},
    "seconds": pl.Float64,
}


def _phase(training: Mapping[str, Any], phase: int, folder: str) -> dict[str, Any]:
    story = read_manifest(folder)
    told = {name: story[name] for name in (*_SUMMED, "parameters", "processes")}
    # A manifest of before GPUs were counted has none.
    return {**training, **told, "gpus": story.get("gpus", 0), "seconds": float(read_steps(folder)["seconds"].sum())}


def lay_out(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``measure_costs`` gave.

    It has a table for each task and model, with a row for each recipe, budget and seed.
    """
    return Page.of("Costs", model_sections(frame, partial(_grid, recipe_titles=recipe_titles)), note=_NOTE)


_NOTE = (
    "Examples, tokens and training: of all phases; the time is that of computing steps, without loading, starting and "
    "saving. GPU time: the same times the GPUs that trained, 0 on a CPU. Decoding: all replies that were scored, to "
    "texts and to images. Tasks that were trained together show the same training each. "
    f"{ABSENT}: nothing was trained."
)
_COLUMNS = {
    "budget": "budget",
    "seed": "seed",
    "phases": "phases",
    "parameters": "parameters",
    "examples": "examples",
    "tokens": "tokens",
    "training_hours": "training",
    "gpu_hours": "GPU time",
    "examples_per_second": "examples/s",
    "tokens_per_second": "tokens/s",
    "replies": "replies",
    "decoding_hours": "decoding",
    "replies_per_second": "replies/s",
}


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    rows = tuple(
        (title, *(_shown(name, row[name]) for name in _COLUMNS))
        for title, runs in by_recipe(part, recipe_titles)
        for row in runs.sort("budget", "seed").iter_rows(named=True)
    )
    return Grid(("Recipe",), tuple(_COLUMNS.values()), rows)


def _shown(name: str, value: Any) -> str:
    if SCHEMA[name] == pl.Int64:
        return count(value)
    return duration(value) if name in _HOURS else rounded(value)


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    frame = measure_costs(study.score_files, study.models)
    return frame, lay_out(frame, study.recipe_titles)


COSTS = Table(make, reads=frozenset({"models"}), significant=dict.fromkeys(_HOURS, 6))
