"""Mixtures: the examples of one training phase in the order in which they are seen.

A mixture holds prompts and responses, and says in which shard and row an image lies; it never copies image bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from s2h.errors import DataError
from s2h.files import whole_file
from s2h.puzzles.task import Level
from s2h.seeding import generator
from s2h.supervision.formats import TEXT_COLUMNS, prompt, response, shows_image
from s2h.supervision.recipes import Part, PartCount, Phase, count, examples_seen

SCHEMA = {
    "position": pl.Int64,  # place in the order of training, from 0
    "puzzle_id": pl.String,
    "level": pl.String,
    "format": pl.String,
    "chain": pl.String,
    "prompt": pl.String,  # the user's turn, without the image
    "response": pl.String,  # the model's turn
    "image_shard": pl.String,  # Parquet file of the image, relative to the working folder; empty for text
    "image_row": pl.Int64,  # row in that file; -1 for text
}


def read_puzzles(shards: Sequence[str]) -> pl.DataFrame:
    """The text columns of a puzzle set, with the shard and row of each image.

    Args:
        shards: the set's Parquet files in order.

    Raises:
        DataError: a shard cannot be read.
    """
    frames = []
    for shard in shards:
        try:
            frame = pl.read_parquet(shard, columns=list(TEXT_COLUMNS))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(f"the puzzle shard {shard} cannot be read ({error}); delete it and run again.") from None
        place = pl.lit(shard).alias("shard"), pl.int_range(pl.len(), dtype=pl.Int64).alias("row")
        frames.append(frame.with_columns(*place))
    return pl.concat(frames)


def assemble(phase: Phase, *, budget: int, puzzles: dict[Level, pl.DataFrame], key: tuple[int, str]) -> pl.DataFrame:
    """The examples of a phase in training order, as rows of ``SCHEMA``.

    The order is a function of the arguments alone. All formats of a level take the first puzzles of its set, which
    are in random order from the start; so parts of equal size hold the same puzzles, a smaller budget's puzzles are
    among a larger one's, and a set that grows changes no mixture.

    Args:
        phase: what to assemble.
        budget: examples of the run; the phase sees its own multiple of it.
        puzzles: what ``read_puzzles`` gave, by level; more than are needed do no harm.
        key: seed of the training and a name for the random order, e.g. the task.

    Raises:
        DataError: a level has fewer puzzles than the phase needs.
    """
    counts = count(phase, budget)
    views = [_view(counted, puzzles[counted.part.level]) for counted in counts]
    epoch = pl.concat(views)
    order = [_epoch_order(phase, counts, key, e) for e in range(math.ceil(phase.epochs))]
    rows = np.concatenate(order)[: examples_seen(phase, budget)]
    mixed = epoch[rows]
    return mixed.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("position")).select(
        pl.col(name).cast(kind) for name, kind in SCHEMA.items()
    )


def _shuffled(size: int, key: tuple[int, str], name: str) -> np.ndarray:
    return generator(key[0], key[1], name).permutation(size)


def _view(counted: PartCount, frame: pl.DataFrame) -> pl.DataFrame:
    """The examples of one part in one epoch."""
    part = counted.part
    if counted.unique > frame.height:
        raise DataError(
            f"{part.format} needs {counted.unique} {part.level} puzzles, but only {frame.height} were made: "
            "raise the level's 'train' or lower the budget."
        )
    chosen = frame[np.tile(np.arange(counted.unique), part.repeats)]
    said = prompt(part.format), response(part.format, part.chain)
    view = chosen.select("puzzle_id", *_labels(part), *said, *_image(part))
    if view["response"].null_count():
        raise DataError(f"the puzzles of level {part.level} have no chain of thought called {part.chain!r}")
    return view


def _labels(part: Part) -> Iterator[pl.Expr]:
    return (pl.lit(getattr(part, name)).alias(name) for name in ("level", "format", "chain"))


def _image(part: Part) -> tuple[pl.Expr, pl.Expr]:
    if shows_image(part.format):
        return pl.col("shard").alias("image_shard"), pl.col("row").alias("image_row")
    return pl.lit("").alias("image_shard"), pl.lit(-1, dtype=pl.Int64).alias("image_row")


def _epoch_order(phase: Phase, counts: list[PartCount], key: tuple[int, str], epoch: int) -> np.ndarray:
    """Row numbers of one epoch, over the parts written one after the other."""
    sizes = [c.epoch for c in counts]
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
    path: str | Path, phase: Phase, *, budget: int, shards: dict[Level, list[str]], key: tuple[int, str]
) -> None:
    """Assemble a phase from puzzle shards and write it as Parquet."""
    puzzles = {level: read_puzzles(files) for level, files in shards.items()}
    mixed = assemble(phase, budget=budget, puzzles=puzzles, key=key)
    with whole_file(path) as temporary:
        mixed.write_parquet(temporary, compression="zstd")


def mixture_rows(path: str | Path) -> int:
    """Number of examples in a mixture, from its footer alone."""
    rows: int = pq.read_metadata(path).num_rows
    return rows
