"""Decoding in batches beside one example at a time, through the same model, in the same run.

    python -m benchmarks.decoding [--model FOLDER] [--puzzles N]

Without a model folder the tiny model of the default config is built, with random weights: its predictions run to their
limit, which is the same work for both ways. A trained one (results/models/…/phase-1) ends them by itself.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from s2h.models.settings import ScoringSettings
from s2h.models.sources import TinySource
from s2h.models.tiny import build
from s2h.overlays import read_config
from s2h.puzzles.shards import PuzzleSet, write_shard
from s2h.puzzles.task import Level, Task
from s2h.scoring.backends import Backend, LocalBackend, make_chunks
from s2h.scoring.decoding import Prediction, Prompt, load_decoder
from s2h.scoring.sets import EvalSet, Evaluation
from s2h.supervision.formats import WORDS

TASK = "consecutive_table_readout"
LEVELS: tuple[Level, ...] = ("SIMPLE", "HARD")


def make_sets(task: Task[object], folder: Path, puzzles: int) -> list[EvalSet]:
    """Evaluation sets of the default study."""
    shards = {level: [str(folder / f"{level}.parquet")] for level in LEVELS}
    for level, (path,) in shards.items():
        write_shard(path, task, PuzzleSet(0, level, "eval"), (0, puzzles), progress=lambda done: None)
    return Evaluation(task, shards, dict.fromkeys(LEVELS, puzzles)).sets()


def timed(backend: Backend, prompts: list[Prompt]) -> tuple[float, list[Prediction]]:
    """Examples per second, and the predictions in the order of the prompts; starting processes is not counted."""
    chunks = list(make_chunks(prompts, backend.chunk_size))
    for _ in backend.generate([prompts[:1]]):
        pass  # whatever is done once
    started = time.perf_counter()
    predictions: dict[int, Prediction] = {}
    for position, found in backend.generate([[prompts[i] for i in chunk] for chunk in chunks]):
        predictions.update(zip(chunks[position], found, strict=True))
    return len(prompts) / (time.perf_counter() - started), [predictions[i] for i in range(len(prompts))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="model folder of the default study")
    parser.add_argument("--puzzles", type=int, default=50, help="of each level, each as text and as an image")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    arguments = parser.parse_args()
    config = read_config()
    task = config.task_object(TASK)
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.model or Path(name) / "model"
        if not arguments.model:
            source = config.models["tiny"].source
            assert isinstance(source, TinySource)
            build(source, vocabulary=task.vocabulary() | WORDS, image_size=task.image_size[0], seed=0, folder=folder)
        sets = make_sets(task, Path(name), arguments.puzzles)
        prompts = [Prompt(row.question, row.image) for each in sets for row in each.rows]
        report(folder, prompts, arguments.max_new_tokens)


def report(folder: Path, prompts: list[Prompt], limit: int) -> None:
    """Time each way and print a row for it."""
    alone = ScoringSettings(max_new_tokens=limit, batch_size=1)
    together = ScoringSettings(max_new_tokens=limit, batch_size="auto")
    ways: list[tuple[str, Backend]] = [
        ("one at a time", LocalBackend(load_decoder(folder, alone))),
        ("in batches", LocalBackend(load_decoder(folder, together))),
    ]
    print(f"{len(prompts)} examples, predictions of at most {limit} tokens.\n")
    print("| decoding | examples/s | speed-up | predictions that differ |")
    print("| --- | --: | --: | --: |")
    first: tuple[float, list[Prediction]] | None = None
    for title, backend in ways:
        speed, predictions = timed(backend, prompts)
        first = first or (speed, predictions)
        differ = sum(a.text != b.text for a, b in zip(predictions, first[1], strict=True))
        print(f"| {title} | {speed:.1f} | {speed / first[0]:.1f} | {differ} |", flush=True)


if __name__ == "__main__":
    main()
