"""Scores as a scoring leaves them, made up by chance."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from s2h.analysis.failures import ERRORS

RECIPE_TITLES = {"text": "Text", "mix": "Mix", "align_mix": "Align-Mix"}
TASK_TITLES = {"table_readout": "Table Readout", "grid_navigation": "Grid Navigation"}
KINDS = {"format": [None], "perception": ["value", "row"], "reasoning": ["step"], "arithmetic": ["sum"]}

SCHEMA: dict[str, Any] = {
    "puzzle_id": pl.String,
    "set_name": pl.String,
    "outside": pl.Boolean,
    **dict.fromkeys(["task", "trained_on", "recipe"], pl.String),
    "budget": pl.Int64,
    "model": pl.String,
    "seed": pl.Int64,
    **dict.fromkeys(["level", "modality", "question", "prediction", "gold", "answer"], pl.String),
    **dict.fromkeys(["parsed", "correct", "chain_correct"], pl.Boolean),
    "error": pl.String,
    "wrong_step": pl.Int64,
    **dict.fromkeys(["wrong_kind", "expected", "found"], pl.String),
    **dict.fromkeys(["transcription", "exact_match", "cot_exact_match", "partial_score"], pl.Float64),
    **dict.fromkeys(["source_dest_score", "num_obstacles", "objects_collected", "objects"], pl.Float64),
    "labels_correct": pl.Float64,
    "tokens": pl.Int64,
    "seconds": pl.Float64,
}
LEVELS = ("SIMPLE", "HARD")
MODALITIES = ("text", "image")


def run_of(**changes: Any) -> dict[str, Any]:
    """The columns that name a run."""
    run = {"task": "table_readout", "recipe": "mix", "budget": 30000, "model": "tiny", "seed": 0} | changes
    return {"trained_on": run["task"]} | run


def score(run: dict[str, Any], level: str, modality: str, puzzle: int, **values: Any) -> dict[str, Any]:
    """A row; what is not given is null, and a puzzle has one name in all runs and modalities."""
    name = f"{run['task']}-{level}-eval-{puzzle:07d}"
    named = {"puzzle_id": name, "set_name": "ours", "outside": False, "level": level, "modality": modality}
    return dict.fromkeys(SCHEMA) | run | named | values


def answers(run: dict[str, Any], right: dict[tuple[str, str], Sequence[bool]]) -> list[dict[str, Any]]:
    """Rows of a run that gets these puzzles right or wrong, by level and modality."""
    return [
        score(run, *cell, puzzle, correct=correct, chain_correct=False, error=None if correct else "unexplained")
        for cell, column in right.items()
        for puzzle, correct in enumerate(column)
    ]


def frame(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows as ``read_scores`` gives them."""
    levels, modalities = pl.Enum(["SIMPLE", "MEDIUM", "HARD"]), pl.Enum(["text", "image"])
    return pl.DataFrame(rows, schema=SCHEMA).with_columns(
        pl.col("level").cast(levels), pl.col("modality").cast(modalities)
    )


def from_outside(scores: pl.DataFrame) -> pl.DataFrame:
    """The scores, and below them the same of a set from outside: its puzzles have names of their own."""
    other = scores.with_columns(
        set_name=pl.lit("theirs"), outside=pl.lit(True), puzzle_id=pl.lit("theirs-") + pl.col("puzzle_id")
    )
    return pl.concat([scores, other])


def generate(run: dict[str, Any], puzzles: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Rows of a run with replies of every kind."""
    for level, modality, puzzle in itertools.product(LEVELS, MODALITIES, range(puzzles)):
        correct, steps = bool(rng.random() < 0.6), int(rng.integers(0, 9))
        error = str(rng.choice(ERRORS)) if rng.random() < 0.5 or not correct else None
        kind = rng.choice(KINDS.get(error or "", [None]))  # type: ignore[arg-type]
        chain = {"error": error, "wrong_step": steps if error else None, "wrong_kind": kind}
        unchained = error is not None or rng.random() < 0.5
        metrics: dict[str, Any] = {"exact_match": float(correct), "cot_exact_match": float(not unchained)}
        if run["task"] == "grid_navigation":
            objects = int(rng.integers(1, 5))
            metrics = {"exact_match": float(correct), "partial_score": float(correct or rng.random() < 0.3)}
            metrics |= {"source_dest_score": float(rng.random() < 0.8), "objects": objects}
            metrics |= {"objects_collected": objects if correct else int(rng.integers(0, objects + 1))}
            metrics |= {"num_obstacles": None if correct else float(rng.integers(0, 4))}
        if modality == "image":
            metrics["transcription"] = float(rng.random())
        yield score(run, level, modality, puzzle, correct=correct, chain_correct=correct and not unchained, **chain) | (
            metrics
        )


def study(folder: Path, *, puzzles: int = 20, **values: Sequence[Any]) -> list[Path]:
    """A score file for each run of a small study: two tasks, two recipes, two seeds, unless told otherwise."""
    grid = {"task": list(TASK_TITLES), "recipe": ["mix", "text"], "seed": [0, 1]} | values
    files = []
    for number, choice in enumerate(itertools.product(*grid.values())):
        run = run_of(**dict(zip(grid, choice, strict=True)))
        rows = pl.DataFrame(list(generate(run, puzzles, np.random.default_rng(number))), schema=SCHEMA)
        files.append(folder / f"{number}.parquet")
        rows.sample(fraction=1, shuffle=True, seed=number).write_parquet(files[-1])
    return files
