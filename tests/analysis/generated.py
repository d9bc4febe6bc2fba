"""Scores as a scoring leaves them, made up by chance, and all else that tables are made from."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from s2h.analysis import alignment
from s2h.analysis.failures import ERRORS
from s2h.analysis.study import Study
from s2h.analysis.writing import write_table
from s2h.baselines import measuring
from s2h.overlays import read_values
from s2h.puzzles.record import LEVELS as ALL_LEVELS
from s2h.puzzles.shards import PuzzleSet, write_shard
from s2h.puzzles.task_registry import make_task
from s2h.supervision.conversion import CONVERSIONS

RECIPE_TITLES = {"text": "Text", "mix": "Mix", "align_mix": "Align-Mix"}
TASK_TITLES = {"table_readout": "Table Readout", "grid_navigation": "Grid Navigation"}
KINDS = {
    "format": [None],
    "permuted": ["value"],
    "perception": ["value", "row"],
    "reasoning": ["step"],
    "arithmetic": ["sum"],
}

SCHEMA: dict[str, Any] = {
    "puzzle_id": pl.String,
    "set_name": pl.String,
    "external": pl.Boolean,
    **dict.fromkeys(["task", "trained_on", "recipe"], pl.String),
    "budget": pl.Int64,
    "model": pl.String,
    "seed": pl.Int64,
    **dict.fromkeys(["level", "modality", "conversion", "question", "prediction", "gold", "answer"], pl.String),
    **dict.fromkeys(["parsed", "tolerant", "correct", "chain_correct"], pl.Boolean),
    "error": pl.String,
    "first_error_step": pl.Int64,
    **dict.fromkeys(["error_detail", "expected", "observed"], pl.String),
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


def score(run: Mapping[str, Any], level: str, modality: str, puzzle: int, **values: Any) -> dict[str, Any]:
    """A row; what is not given is null, the conversion is free, and a puzzle has one name everywhere."""
    name = f"{run['task']}-{level}-eval-{puzzle:07d}"
    named = {"puzzle_id": name, "set_name": "ours", "external": False, "level": level, "modality": modality}
    return dict.fromkeys(SCHEMA) | run | named | {"conversion": "free", "parsed": True, "tolerant": False} | values


def answers(
    run: dict[str, Any], right: dict[tuple[str, str], Sequence[bool]], exact: bool | None = None
) -> list[dict[str, Any]]:
    """Rows of a run that gets these puzzles right or wrong, by level and modality; all match exactly, or none."""
    said = {"chain_correct": False, "exact_match": exact}
    return [
        score(run, *cell, puzzle, correct=correct, error=None if correct else "unexplained", **said)
        for cell, column in right.items()
        for puzzle, correct in enumerate(column)
    ]


def frame(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows as ``read_scores`` gives them."""
    orders = {"level": ALL_LEVELS, "modality": MODALITIES, "conversion": CONVERSIONS}
    return pl.DataFrame(rows, schema=SCHEMA).with_columns(
        pl.col(name).cast(pl.Enum(order)) for name, order in orders.items()
    )


def from_outside(scores: pl.DataFrame) -> pl.DataFrame:
    """The scores, and below them the same of an external evaluation set: its puzzles have names of their own."""
    other = scores.with_columns(
        set_name=pl.lit("theirs"), external=pl.lit(True), puzzle_id=pl.lit("theirs-") + pl.col("puzzle_id")
    )
    return pl.concat([scores, other])


def generate(run: Mapping[str, Any], puzzles: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Rows of a run with predictions of every kind."""
    for level, modality, puzzle in itertools.product(LEVELS, MODALITIES, range(puzzles)):
        correct, steps = bool(rng.random() < 0.6), int(rng.integers(0, 9))
        error = str(rng.choice(ERRORS)) if rng.random() < 0.5 or not correct else None
        kind = rng.choice(KINDS.get(error or "", [None]))  # type: ignore[arg-type]
        chain = {"error": error, "first_error_step": steps if error else None, "error_detail": kind}
        chain |= {"gold": "1", "answer": "1" if correct else "2"}
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
        metrics["prediction"] = "Converted to text:\n\nn a:7" if modality == "image" and puzzle % 3 else "Answer: 7"
        metrics |= {"tokens": int(rng.integers(5, 100)), "seconds": float(rng.random())}
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


def whole_study(folder: Path, *, puzzles: int = 20, phases: int = 1, **values: Sequence[Any]) -> Study:
    """The same with models, puzzles and measured alignment."""
    files = study(folder, puzzles=puzzles, **values)
    runs = pl.concat([pl.scan_parquet(file) for file in files]).select(RUN_FILES).unique().sort(RUN_FILES).collect()
    names = ["/".join(map(str, row)) for row in runs.iter_rows()]
    tasks = values.get("task", list(TASK_TITLES))
    settings = {task: read_values("smoke")["tasks"][task] for task in tasks}
    models = {name: [trained(folder / "models" / name / f"phase-{n + 1}") for n in range(phases)] for name in names}
    return Study(
        score_files=[str(file) for file in files],
        models=models,
        shards={task: eval_shards(folder / "puzzles", task, settings[task], puzzles) for task in tasks},
        task_settings=settings,
        baselines=[guessed(folder / f"{task}.baselines", task, puzzles) for task in tasks],
        prices={"tiny": {"input": 1.0, "output": 2.0}},
        alignments=[aligned(folder / f"{number}.alignment", name) for number, name in enumerate(names) if phases],
        recipe_titles=RECIPE_TITLES,
        task_titles=TASK_TITLES,
    )


RUN_FILES = ["trained_on", "recipe", "budget", "model", "seed"]


def eval_shards(folder: Path, task: str, settings: Mapping[str, Any], puzzles: int) -> dict[str, list[str]]:
    """Shards with the evaluation puzzles of a task, by level."""
    shards = {}
    for level in LEVELS:
        path = folder / f"{task}-{level}.parquet"
        which = PuzzleSet(0, level, "eval")  # type: ignore[arg-type]
        write_shard(path, make_task(task, settings), which, (0, puzzles), progress=lambda done: None)
        shards[level] = [str(path)]
    return shards


def guessed(path: Path, task: str, puzzles: int) -> str:
    """A file of blind baselines, of which one is always wrong and one right for half of the puzzles."""
    rows = [
        (task, level, name, puzzles, correct)
        for level in LEVELS
        for name, correct in (("constant answer", 0), ("straight walk", puzzles // 2))
    ]
    pl.DataFrame(rows, schema=measuring.SCHEMA, orient="row").write_parquet(path)
    return str(path)


def trained(
    folder: Path, *, steps: int = 250, gpus: int | None = 2, measured: dict[str, float] | None = None, **changes: Any
) -> str:
    """The folder of a training run, in which each step has 10 examples and takes 2 seconds.

    ``measured`` is what was measured in each step beside what has always been.
    """
    manifest = {"parameters": 1000, "examples": 10 * steps - 5, "tokens": 500 * steps, "target_tokens": 200 * steps}
    manifest |= {"steps": steps, "processes": 2, "settings": {"batch_size": 10}}
    manifest |= {} if gpus is None else {"gpus": gpus}
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))
    lines = [
        {"step": step, "loss": 1 / step, "learning_rate": 0.001, "gradient_norm": 0.5, "tokens": 500}
        | {"target_tokens": 200, "seconds": 2.0, "tokens_per_second": 250.0, **(measured or {})}
        for step in range(1, steps + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(folder)


def aligned(path: Path, run: str, *, moments: bool = True) -> str:
    """A file with the measured alignment of a run's first phase, at two snapshots."""
    trained_on, recipe, budget, model, seed = run.split("/")
    names = {"task": trained_on, "trained_on": trained_on, "recipe": recipe, "budget": int(budget), "model": model}
    rows = [
        names
        | {"seed": int(seed), "phase": 1, "step": step, "steps": 250, "puzzles": 8, "source_level": "SIMPLE"}
        | {"source_format": form, "target_level": "HARD", "target_format": "image", "source_loss": 0.1}
        | {"target_loss": 2.0 / step, "target_exact": 0.25, "inner_product": 1e-6, "cosine": step / 1000}
        | {"preconditioned": 0.5 if moments else None, "preconditioned_cosine": 0.2 if moments else None}
        for step in (100, 250)
        for form in ("text", "image")
    ]
    pl.DataFrame(rows, schema=alignment.SCHEMA).write_parquet(path)
    return str(path)


def written(name: str, made_from: Study | Sequence[Path], folder: Path) -> tuple[list[dict[str, str]], str]:
    """The rows of a table's CSV file and its Markdown page; a study may be given as its score files."""
    if not isinstance(made_from, Study):
        files = [str(file) for file in made_from]
        made_from = Study(files, recipe_titles=RECIPE_TITLES, task_titles=TASK_TITLES)
    paths = {kind: folder / f"{name}.{end}" for kind, end in ENDINGS.items()}
    write_table(name, made_from, paths)
    return list(csv.DictReader(paths["csv"].open())), paths["markdown"].read_text(encoding="utf-8")


ENDINGS = {"csv": "csv", "parquet": "parquet", "markdown": "md", "latex": "tex", "html": "html"}
"""Of the files of a table."""
