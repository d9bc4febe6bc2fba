"""How fast training examples are read, and how many bytes for it: ``python -m benchmarks.loader``.

The yardstick is what the released code does: raw arrays, 100 images a file, and the whole file is loaded for each
example. Both read the same puzzles of the paper's size in the same random order, in the same run, on one core.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.puzzles import settings
from s2h.models.sources import TinySource
from s2h.models.tiny import make_processor
from s2h.phases import Phase
from s2h.puzzles.shards import PuzzleSet, write_shard
from s2h.puzzles.task_registry import make_task
from s2h.supervision.examples import Mixture
from s2h.supervision.formats import WORDS
from s2h.supervision.mixture import Source, assemble, read_puzzles
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.tokenisation.lengths import count_tokens
from s2h.training.batches import BatchPlan, Limits

_BLOCK = 100  # images in a file of the released code
_MICRO_BATCH = 16  # examples
_BLOCKS = 3  # of them, about a gigabyte of the paper's tables


def image_phase() -> Phase:
    """All examples with images, in random order."""
    return Phase.model_validate({"parts": [{"level": "HARD", "format": "image", "share": 1}]})


def make_mixture(folder: Path, puzzles: int) -> Mixture:
    """Table Readout HARD at the paper's size, every puzzle once."""
    task = make_task("table_readout", settings("table_readout"))
    shard = folder / "shard.parquet"
    write_shard(shard, task, PuzzleSet(0, "HARD", "train"), (0, puzzles), progress=lambda done: None)
    sets: dict[Source, pl.DataFrame] = {("table_readout", "HARD"): read_puzzles([str(shard)])}
    return Mixture(assemble(image_phase(), budget=puzzles, puzzles=sets, key=(0, "bench")))


def write_blocks(folder: Path, mixture: Mixture) -> list[Path]:
    """The first images as raw arrays, as the released code keeps them."""
    paths = []
    for block in range(_BLOCKS):
        paths.append(folder / f"block-{block}.npy")
        pictures = [np.asarray(mixture[block * _BLOCK + i].image) for i in range(_BLOCK)]
        np.save(paths[-1], np.stack(pictures))
    return paths


def rate(read: Callable[[int], Any], order: list[int]) -> float:
    """Examples per second of wall time."""
    start = time.perf_counter()
    for position in order:
        read(position)
    return len(order) / (time.perf_counter() - start)


def reading(puzzles: int) -> None:
    """Print examples/s and bytes of our loader and of the yardstick."""
    from transformers import Qwen2VLImageProcessor

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mixture = make_mixture(folder, puzzles)
        shown = int(mixture.frame["image_bytes"].sum()) / puzzles
        blocks = write_blocks(folder, mixture)
        mixture.images.read = 0
        order = np.random.default_rng(0).permutation(puzzles).tolist()
        encode = Qwen2VLImageProcessor(size={"shortest_edge": 128 * 28 * 28, "longest_edge": 1280 * 28 * 28})
        lines = [("s2h, picture decoded", rate(mixture.__getitem__, order), mixture.images.read / puzzles)]
        few = order[:60]
        encoded = rate(lambda position: encode(mixture[position].image, return_tensors="pt"), few)
        lines.append(("s2h, encoded for Qwen2.5-VL (1,280 tokens)", encoded, shown))
        chosen = [position for position in order if position < _BLOCK * _BLOCKS][:12]
        loaded = rate(lambda position: np.load(blocks[position // _BLOCK])[position % _BLOCK].copy(), chosen)
        lines.append(("np.load of 100-image blocks", loaded, blocks[0].stat().st_size))
    print("| loader | examples/s of one process | bytes read per example | multiple of the image file |")
    print("| --- | --: | --: | --: |")
    for title, speed, read in lines:
        print(f"| {title} | {speed:.1f} | {read:,.0f} | {read / shown:,.2f} |")


def mixed_lengths(task: str, budget: int) -> BatchPlan:
    """A Mix+ of the default study for two processes."""
    from s2h.overlays import read_config

    config = read_config()
    kind, phase = config.task_object(task), config.recipes["mix_plus"].phases[0]
    sets: dict[Source, pl.DataFrame] = {}
    with tempfile.TemporaryDirectory() as name:
        for level in ("SIMPLE", "HARD"):
            shard = Path(name) / f"{level}.parquet"
            write_shard(shard, kind, PuzzleSet(0, level, "train"), (0, budget // 2), progress=lambda done: None)
            sets[task, level] = read_puzzles([str(shard)])
        mixture = Mixture(assemble(phase, budget=budget, puzzles=sets, key=(0, task)))
        processor = make_processor(TinySource(), kind.vocabulary() | WORDS, kind.image_size[0])
        lengths = count_tokens(mixture, ExampleEncoder(processor))
    return BatchPlan(lengths, batch_size=128, limits=Limits(_MICRO_BATCH), world_size=2)


def padding(budget: int) -> None:
    """Print how much of what is computed is padding, with examples grouped by length and in their own order."""
    print("\n| Mix+ of | tokens per example | padding, grouped by length | padding, in their own order |")
    print("| --- | --: | --: | --: |")
    for task in ("consecutive_table_readout", "table_readout", "grid_navigation", "visual_analogy"):
        plan = mixed_lengths(task, budget)
        computed = 0
        tokens = plan.lengths.tokens
        for step in range(plan.steps):
            positions = list(plan.positions(step))
            groups = [positions[i : i + _MICRO_BATCH] for i in range(0, len(positions), _MICRO_BATCH)]
            computed += sum(len(group) * int(tokens[group].max()) for group in groups)
        in_order = 1 - int(tokens.sum()) / computed
        cells = [f"{tokens.mean():.0f}", f"{100 * plan.padding():.1f} %", f"{100 * in_order:.1f} %"]
        print(f"| {task} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--puzzles", type=int, default=600, help="examples that are read")
    parser.add_argument("--budget", type=int, default=1536, help="examples of the mixtures whose padding is measured")
    arguments = parser.parse_args()
    print("Reading examples of Table Readout HARD, 1500 x 800 pixels, in random order.\n")
    reading(arguments.puzzles)
    padding(arguments.budget)


if __name__ == "__main__":
    main()
