"""The cost of each run: examples, tokens and hours of its training, predictions and hours of its decoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from s2h.analysis.pages import ABSENT, Grid, Page, Section, by_recipe, count, duration, parts, percent, rounded
from s2h.analysis.scores import RUN, read_scores
from s2h.analysis.study import Study, Table
from s2h.analysis.training_runs import TRAINING, phases_of, read_manifest, read_steps

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
    # Means over training_hours, and the peak, of the steps that were measured; null in training runs of before.
    "tflops_per_second": pl.Float64,  # 1e12 FLOP/s of each device
    "mfu": pl.Float64,  # share of the device's peak; null where that is not known, and on a CPU
    "data_wait": pl.Float64,  # share of the time
    "peak_memory_gb": pl.Float64,  # 1e9 bytes, of tensors on the fullest GPU, or of a process where CPUs train
    "predictions": pl.Int64,  # that were decoded, on external sets and with every conversion too
    "prediction_tokens": pl.Int64,  # null where the model does not tell
    "decoding_hours": pl.Float64,
    "predictions_per_second": pl.Float64,
    # Of these predictions; null in scores of before, and tokens where the model does not tell.
    "prompt_tokens": pl.Int64,
    "reasoning_tokens": pl.Int64,  # of prediction_tokens
    "truncated": pl.Int64,  # cut off at the longest prediction
    "filtered": pl.Int64,  # cut off by a content filter
    "refused": pl.Int64,  # prompts that the server refused
    "failed": pl.Int64,  # prompts without a usable reply in several tries
    "usd": pl.Float64,  # their price; null where the config gives none
}
_ENDINGS = {"truncated": "length", "filtered": "content_filter", "refused": "refused", "failed": "failed"}
_SUMMED = ("examples", "tokens", "target_tokens", "steps")
_SPEEDS = ("tflops_per_second", "mfu", "data_wait")
_HOURS = ("training_hours", "gpu_hours", "process_hours", "decoding_hours")
_HOUR = 3600.0  # seconds


def measure_costs(
    score_files: Sequence[str],
    models: Mapping[str, Sequence[str]],
    prices: Mapping[str, Mapping[str, float]] | None = None,
) -> pl.DataFrame:
    """One row for each run.

    Args:
        score_files: Parquet files of the scores.
        models: for each run the folders of its phases' models.
        prices: for each model that has any, USD per million tokens of ``input`` and of ``output``.

    Returns:
        Rows of ``SCHEMA``. Tasks that were trained together have a row each, with the same training: do not add
        these up.
    """
    return (
        _decoding(read_scores(score_files, _READ, external=True, conversions=True))
        .pipe(_priced, prices or {})
        .join(training_costs(models), on=TRAINING, how="left")
        .with_columns(pl.col("phases").fill_null(0))
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
        .sort(RUN)
    )


_READ = ("tokens", "seconds", "prompt_tokens", "reasoning_tokens", "finish")


def _decoding(scores: pl.DataFrame) -> pl.DataFrame:
    ended = pl.col("finish").is_not_null().any()
    return (
        # Sums of seconds in one order are the same to the last digit.
        scores.sort(*RUN, "puzzle_id", "modality", "conversion")
        .group_by(RUN, maintain_order=True)
        .agg(
            predictions=pl.len(),
            prediction_tokens=_known_sum("tokens"),
            prompt_tokens=_known_sum("prompt_tokens"),
            reasoning_tokens=_known_sum("reasoning_tokens"),
            **{name: pl.when(ended).then((pl.col("finish") == word).sum()) for name, word in _ENDINGS.items()},
            decoding_hours=pl.col("seconds").sum() / _HOUR,
            predictions_per_second=_rate(pl.len(), pl.col("seconds").sum()),
        )
    )


def _known_sum(name: str) -> pl.Expr:
    """The sum of a column; null where nothing of it is known."""
    return pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum())


def _priced(runs: pl.DataFrame, prices: Mapping[str, Mapping[str, float]]) -> pl.DataFrame:
    """The runs with ``usd``."""
    rows = [(model, price["input"], price["output"]) for model, price in prices.items()]
    known = pl.DataFrame(rows, schema={"model": pl.String, "input": pl.Float64, "output": pl.Float64}, orient="row")
    usd = (pl.col("prompt_tokens") * pl.col("input") + pl.col("prediction_tokens") * pl.col("output")) / 1e6
    return runs.join(known, on="model", how="left", maintain_order="left").with_columns(usd=usd).drop("input", "output")


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
        **{name: _mean_over_time(name) for name in _SPEEDS},
        peak_memory_gb=pl.col("peak_memory_gb").max(),
    )


def _mean_over_time(name: str) -> pl.Expr:
    """The mean of a measure weighted by seconds, where it was measured; null where it never was."""
    seconds = pl.when(pl.col(name).is_not_null()).then(pl.col("seconds"))
    return _rate((pl.col(name) * seconds).sum(), seconds.sum())


_PHASE = {
    **{name: SCHEMA[name] for name in (*TRAINING, *_SUMMED, "parameters", "processes", "gpus")},
    **{name: SCHEMA[name] for name in (*_SPEEDS, "peak_memory_gb")},
    "seconds": pl.Float64,
}


def _phase(training: Mapping[str, Any], phase: int, folder: str) -> dict[str, Any]:
    manifest = read_manifest(folder)
    counts = {name: manifest[name] for name in (*_SUMMED, "parameters", "processes")}
    # A manifest of before GPUs were counted has none.
    return {**training, **counts, "gpus": manifest.get("gpus", 0), **_measured(read_steps(folder))}


def _measured(steps: pl.DataFrame) -> dict[str, float | None]:
    """The seconds of a phase, and what was measured in its steps."""
    later = [pl.lit(None, pl.Float64).alias(name) for name in (*_SPEEDS, "peak_memory_gb") if name not in steps.columns]
    speeds = [_mean_over_time(name).alias(name) for name in _SPEEDS]
    return (
        steps.with_columns(later)
        .select(pl.col("seconds").sum(), *speeds, pl.col("peak_memory_gb").max())
        .row(0, named=True)
    )


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``measure_costs`` gave.

    It has tables for each task and model, of training, of decoding and of what is known of the replies, with a row for
    each recipe, budget and seed.
    """
    return Page.of("Costs", _sections(frame, recipe_titles), note=_NOTE)


def _sections(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Iterator[Section]:
    for (task, model), part in parts(frame, ("task", "model")):
        for work, columns in _COLUMNS.items():
            if work == "replies" and part["prompt_tokens"].null_count() == part.height:
                continue  # a model that was decoded here
            yield Section(str(task), f"{model}: {work}", _grid(part, columns, recipe_titles))


_NOTE = (
    "Examples, tokens and training: of all phases; the time is that of steps, waiting for data included, without "
    "starting and saving. GPU time: training time multiplied by the number of GPUs, 0 on a CPU. TFLOP/s and MFU: "
    "10¹² operations per second of each device, and their share of the card's peak. Waiting: share of "
    "the time spent waiting for data. Decoding: all scored predictions, on text and on images. Replies: truncated, cut "
    "off at the longest prediction; filtered, cut off by a content filter; refused, prompts that the server refused; "
    "failed, prompts without a usable reply; USD, the price of these predictions' tokens. Tasks "
    f"that were trained together show the same training each. {ABSENT}: nothing was trained, or it was not measured."
)
_RUN = {"budget": "budget", "seed": "seed"}
_COLUMNS = {
    "training": {
        **_RUN,
        "phases": "phases",
        "parameters": "parameters",
        "examples": "examples",
        "tokens": "tokens",
        "training_hours": "training",
        "gpu_hours": "GPU time",
        "examples_per_second": "examples/s",
        "tokens_per_second": "tokens/s",
        "tflops_per_second": "TFLOP/s",
        "mfu": "MFU",
        "data_wait": "waiting",
        "peak_memory_gb": "memory",
    },
    "decoding": {
        **_RUN,
        "predictions": "predictions",
        "prediction_tokens": "tokens",
        "decoding_hours": "decoding",
        "predictions_per_second": "predictions/s",
    },
    "replies": {
        **_RUN,
        "prompt_tokens": "prompt tokens",
        "reasoning_tokens": "reasoning tokens",
        **{name: name for name in _ENDINGS},
        "usd": "USD",
    },
}
"""The columns of the tables of a model."""


def _grid(part: pl.DataFrame, columns: Mapping[str, str], recipe_titles: Mapping[str, str]) -> Grid:
    rows = tuple(
        (title, *(_shown(name, row[name]) for name in columns))
        for title, runs in by_recipe(part, recipe_titles)
        for row in runs.sort("budget", "seed").iter_rows(named=True)
    )
    return Grid(("Recipe",), tuple(columns.values()), rows)


def _shown(name: str, value: Any) -> str:
    if SCHEMA[name] == pl.Int64:
        return count(value)
    if name in ("mfu", "data_wait"):
        return ABSENT if value is None else f"{percent(value)} %"
    if name == "peak_memory_gb":
        return ABSENT if value is None else f"{rounded(value)} GB"
    return duration(value) if name in _HOURS else rounded(value)


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    frame = measure_costs(study.score_files, study.models, study.prices)
    return frame, to_page(frame, study.recipe_titles)


COSTS = Table(make, significant=dict.fromkeys((*_HOURS, "tflops_per_second", "usd"), 6))
