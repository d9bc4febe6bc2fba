"""Mixtures: the examples of one training phase in the order in which they are seen.

A mixture holds prompts and responses, and says where in which file an image lies; it never copies image bytes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from s2h.errors import DataError
from s2h.files import atomic_file
from s2h.parquet import read_parquet
from s2h.phases import Part, Phase
from s2h.puzzles.shards import image_places
from s2h.puzzles.task import TrainingLevel
from s2h.seeding import generator
from s2h.supervision.formats import (
    INTERNALISED,
    TEXT_COLUMNS,
    answer_block,
    chain_of_thought,
    has_image,
    joined,
    prompt,
    transcription,
)
from s2h.supervision.recipes import PartCount, count, examples_seen, kept_share, shortened

SCHEMA = {
    "position": pl.Int64,  # place in the order of training, from 0
    "puzzle_id": pl.String,
    "task": pl.String,
    "level": pl.String,
    "format": pl.String,
    "chain": pl.String,
    "chain_kept": pl.Float64,  # share of the chain of thought that is kept, 1 unless it is internalised
    "prompt": pl.String,  # the user's turn, without the image
    "response": pl.String,  # the model's turn
    "image_shard": pl.String,  # Parquet file of the image, relative to the mixture's folder; empty for text
    "image_offset": pl.Int64,  # place of the image's PNG file in that file, in bytes; -1 for text
    "image_bytes": pl.Int64,  # its size; 0 for text
}

Source = tuple[str, TrainingLevel]
"""A task and a level of it."""


def read_puzzles(shards: Sequence[str]) -> pl.DataFrame:
    """The text columns of a puzzle set, with the place of each image.

    Args:
        shards: the set's Parquet files in order.

    Raises:
        DataError: a shard cannot be read.
    """
    frames = []
    for shard in shards:
        frame = read_parquet("puzzle shard", shard, TEXT_COLUMNS)
        offsets, sizes = zip(*image_places(shard), strict=True)
        frames.append(
            frame.with_columns(
                pl.lit(shard).alias("shard"), pl.Series("offset", offsets), pl.Series("size", sizes, pl.Int64)
            )
        )
    return pl.concat(frames)


def read_puzzle_sets(shards: Mapping[str, Mapping[TrainingLevel, Sequence[str]]]) -> dict[Source, pl.DataFrame]:
    """The puzzles of each set, by task and level, as ``read_puzzles`` gives them.

    Args:
        shards: of each task and level the set's Parquet files in order.
    """
    return {(task, level): read_puzzles(paths) for task, levels in shards.items() for level, paths in levels.items()}


def assemble(
    phase: Phase, *, budget: int, puzzles: Mapping[Source, pl.DataFrame], key: tuple[int, str]
) -> pl.DataFrame:
    """The examples of a phase in training order, as rows of ``SCHEMA``.

    The order is a function of the arguments alone. All formats of a level take the first puzzles of its set, which
    are in random order from the start; so parts of equal size hold the same puzzles, a smaller budget's puzzles are
    among a larger one's, and a set that grows changes no mixture. Several tasks share the budget evenly.

    Args:
        phase: what to assemble.
        budget: examples of the run; the phase sees its own multiple of it.
        puzzles: what ``read_puzzles`` gave, by task and level; more than are needed do no harm.
        key: seed of the training and a name for the random order, e.g. the task.

    Raises:
        DataError: a level has fewer puzzles than the phase needs.
    """
    tasks = sorted({task for task, _ in puzzles})
    counts = count(phase, budget, len(tasks))
    views = [_view(counted, task, puzzles[task, counted.part.level]) for counted in counts for task in tasks]
    epoch, sizes = pl.concat(views), [counted.epoch * len(tasks) for counted in counts]
    order = [_epoch_order(phase, sizes, key, e) for e in range(math.ceil(phase.epochs))]
    rows = np.concatenate(order)[: examples_seen(phase, budget, len(tasks))]
    mixed = epoch[rows].with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("position"))
    return (
        _internalised(mixed)
        .with_columns(joined([pl.col("transcription"), pl.col("reasoning"), pl.col("answer_block")]))
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    )


def _internalised(mixed: pl.DataFrame) -> pl.DataFrame:
    """Keep as much of internalised chains as their places allow."""
    kept = [
        kept_share(position, mixed.height) if chain == INTERNALISED else 1.0
        for position, chain in enumerate(mixed["chain"])
    ]
    if min(kept, default=1.0) == 1.0:
        return mixed.with_columns(pl.lit(1.0).alias("chain_kept"))
    reasoning = [shortened(text, share) for text, share in zip(mixed["reasoning"], kept, strict=True)]
    return mixed.with_columns(pl.Series("chain_kept", kept), pl.Series("reasoning", reasoning))


def _shuffled(size: int, key: tuple[int, str], name: str) -> np.ndarray:
    return generator(key[0], key[1], name).permutation(size)


def _view(counted: PartCount, task: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The examples of one part and task in one epoch; the parts of their responses are still apart."""
    part = counted.part
    if counted.unique > frame.height:
        raise DataError(
            f"{part.format} needs {counted.unique} {part.level} puzzles of {task}, but only {frame.height} were made: "
            "raise the level's 'train' or lower the budget."
        )
    chosen = frame[np.tile(np.arange(counted.unique), part.repeats)]
    view = chosen.select(
        "puzzle_id",
        pl.lit(task).alias("task"),
        *(pl.lit(getattr(part, name)).alias(name) for name in ("level", "format", "chain")),
        prompt(part.format),
        transcription(part.format, part.convert_tokens).alias("transcription"),
        chain_of_thought(part.format, part.chain).alias("reasoning"),
        answer_block(part.format).alias("answer_block"),
        *_image(part),
    )
    if view["reasoning"].null_count():
        raise DataError(f"the puzzles of {task} {part.level} have no chain of thought called {part.chain!r}")
    return view


def _image(part: Part) -> list[pl.Expr]:
    names = {"image_shard": ("shard", ""), "image_offset": ("offset", -1), "image_bytes": ("size", 0)}
    if has_image(part.format):
        return [pl.col(column).alias(name) for name, (column, _) in names.items()]
    return [pl.lit(absent).cast(SCHEMA[name]).alias(name) for name, (_, absent) in names.items()]


def _epoch_order(phase: Phase, sizes: Sequence[int], key: tuple[int, str], epoch: int) -> np.ndarray:
    """Row numbers of one epoch, over the parts written one after the other."""
    starts = np.cumsum([0, *sizes[:-1]])
    if phase.order == "shuffled":
        return _shuffled(sum(sizes), key, f"epoch-{epoch}")
    parts = [s + _shuffled(n, key, f"epoch-{epoch}-{i}") for i, (s, n) in enumerate(zip(starts, sizes, strict=True))]
    rows = np.concatenate(parts)
    if phase.order == "sequential":
        return rows
    # Interleaved: example j of a part of n stands at (j + 1/2) / n of the epoch; ties keep the order of the parts.
    places = np.concatenate([(np.arange(n) + 0.5) / n for n in sizes])
    return rows[np.argsort(places, kind="stable")]


def write_mixture(
    path: str | Path,
    phase: Phase,
    *,
    budget: int,
    shards: Mapping[str, Mapping[TrainingLevel, Sequence[str]]],
    key: tuple[int, str],
) -> None:
    """Assemble a phase from puzzle shards, given by task and level, and write it as Parquet."""
    mixed = assemble(phase, budget=budget, puzzles=read_puzzle_sets(shards), key=key)
    place = Path(path).parent
    with atomic_file(path) as temporary:
        _with_shards(mixed, lambda shard: os.path.relpath(shard, place)).write_parquet(temporary, compression="zstd")


def read_mixture(path: str | Path) -> pl.DataFrame:
    """The rows of a mixture, with the paths of its shards as seen from here.

    Raises:
        DataError: the file cannot be read.
    """
    frame = read_parquet("mixture", path)
    place = Path(path).parent
    return _with_shards(frame, lambda shard: os.path.normpath(place / shard))


def _with_shards(mixed: pl.DataFrame, change: Callable[[str], str]) -> pl.DataFrame:
    """The mixture with other paths for its shards."""
    changed = {shard: change(shard) for shard in mixed["image_shard"].unique() if shard}
    return mixed.with_columns(pl.col("image_shard").replace(changed))
