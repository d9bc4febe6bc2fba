"""Scores: a row for each evaluation puzzle and modality, as Parquet files hold them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from s2h.diagnosis.diagnoser_registry import METRICS
from s2h.files import atomic_file


@dataclasses.dataclass(frozen=True, slots=True)
class Score:
    """One puzzle, given in one modality, with a model's prediction and its verdict.

    Attributes:
        puzzle_id: of the puzzle's record; for an external evaluation set the set's name and the puzzle's index there.
        set_name: of the evaluation set.
        external: whether that set is from outside.
        task: registered name of the task.
        trained_on: the task that the model was trained on, or the name of several that were trained together.
        recipe: how the model's training was supervised.
        budget: training examples of a phase.
        model: name of the model in the config.
        seed: seed of the training.
        level: SIMPLE, MEDIUM or HARD.
        modality: text or image.
        conversion: free, forced or forbidden: whether the prediction begins with the conversion of the image to text.
        question: the user's turn, without the image.
        prediction: the model's output, unchanged.
        gold: the right answer.
        answer: the answer that was read from the prediction; empty when none was.
        parsed: an answer of the right form was found.
        tolerant: it does not stand as the question asks, so that only the tolerant reader found it.
        correct: the answer solves the puzzle.
        chain_correct: there is a chain of thought, and nothing in the prediction is wrong.
        error: format, perception, permuted, reasoning, arithmetic or unexplained; None where nothing is wrong.
        first_error_step: the first step that is wrong, from 1; 0 for what comes before the steps.
        error_detail: what is wrong there.
        expected: what should stand there.
        observed: what does.
        metrics: of the task, by name; a column each in the file.
        tokens: new tokens of the prediction, its end included; None where the model does not tell.
        seconds: decoding time, shared evenly among the examples of a batch.
        prompt_tokens: of the prompt, image included; None where the model does not tell.
        reasoning_tokens: of ``tokens``, those that were reasoning; likewise.
        finish: why the prediction ended (``s2h.scoring.decoding.Prediction``).
        reply_error: why there is no prediction, where a server gave none.
    """

    puzzle_id: str
    set_name: str
    external: bool
    task: str
    trained_on: str
    recipe: str
    budget: int
    model: str
    seed: int
    level: str
    modality: str
    conversion: str
    question: str
    prediction: str
    gold: str
    answer: str
    parsed: bool
    tolerant: bool
    correct: bool
    chain_correct: bool
    error: str | None
    first_error_step: int | None
    error_detail: str | None
    expected: str | None
    observed: str | None
    metrics: dict[str, float | None]
    tokens: int | None
    seconds: float
    prompt_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish: str | None = None
    reply_error: str | None = None


_TYPES = {"str": pl.String, "int": pl.Int64, "bool": pl.Boolean, "float": pl.Float64}


def _schema() -> dict[str, Any]:
    """Columns of the file, in order: the fields of a score, with a column for each metric."""
    columns: dict[str, Any] = {}
    for field in dataclasses.fields(Score):
        if field.name == "metrics":
            columns |= dict.fromkeys(METRICS, pl.Float64)
        else:
            columns[field.name] = _TYPES[str(field.type).removesuffix(" | None")]
    return columns


SCHEMA = _schema()
"""Columns of every score file and their types."""


def write_scores(path: str | Path, scores: Iterable[Score]) -> None:
    """Write scores as a Parquet file with the columns of ``SCHEMA``; metrics that a task has not are null.

    Behind them stand the metrics of its diagnoser that are not among ``METRICS``.
    """
    rows: list[dict[str, Any]] = []
    others: dict[str, Any] = {}
    for score in scores:
        others |= dict.fromkeys((name for name in score.metrics if name not in METRICS), pl.Float64)
        row = dataclasses.asdict(score)
        rows.append(row | dict.fromkeys(METRICS) | row.pop("metrics"))
    frame = pl.DataFrame(rows, schema=SCHEMA | others)
    with atomic_file(path) as temporary:
        frame.write_parquet(temporary, compression="zstd")
