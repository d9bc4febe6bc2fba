"""Mixtures of a corpus: its conversations in the order in which a training sees them.

As those of puzzles they hold text, and say where in which file an image lies.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from s2h.corpora.corpus_shards import image_places
from s2h.errors import DataError
from s2h.files import atomic_file
from s2h.parquet import read_parquet
from s2h.seeding import generator

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "position": pl.Int64,  # place in the order of training, from 0
    "puzzle_id": pl.String,  # id of the entry
    "task": pl.String,  # name of the corpus
    "format": pl.String,  # "conversation"
    "prompt": pl.String,  # the user's first turn, without the image
    "response": pl.String,  # the model's first turn
    "more": pl.List(pl.String),  # the turns after those, of user and model by turns
    "image_shard": pl.String,  # Parquet file of the image, relative to the mixture's folder; empty for text
    "image_offset": pl.Int64,  # place of the image file in that file, in bytes; -1 for text
    "image_bytes": pl.Int64,  # its size; 0 for text
    "image_width": pl.Int32,  # pixels; 0 for text
    "image_height": pl.Int32,
}


def write_mixture(path: str | Path, corpus: str, shards: Sequence[str], *, epochs: int, seed: int) -> None:
    """Order the conversations of a corpus and write them as Parquet.

    Args:
        path: where to.
        corpus: its name.
        shards: all of its shards, in order.
        epochs: how often each conversation is seen; each epoch has an order of its own.
        seed: decides the orders, with the name of the corpus and the number of the epoch.

    Raises:
        DataError: a shard cannot be read, or there is no conversation.
    """
    place = Path(path).parent
    whole = pl.concat([_read_shard(corpus, shard, os.path.relpath(shard, place)) for shard in shards])
    if not whole.height:
        raise DataError(f"the corpus {corpus} has no conversation to train on.")
    orders = [generator(seed, "corpus", corpus, epoch).permutation(whole.height) for epoch in range(epochs)]
    mixed = whole[np.concatenate(orders)].with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("position"))
    with atomic_file(path) as temporary:
        mixed.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items()).write_parquet(
            temporary, compression="zstd"
        )


def _read_shard(corpus: str, shard: str, name: str) -> pl.DataFrame:
    """The conversations of a shard, with the places of their images."""
    frame = read_parquet("corpus shard", shard, ["entry_id", "turns", "width", "height"])
    places = image_places(shard)
    texts = pl.col("turns").list.eval(pl.element().struct.field("text"))
    return frame.select(
        pl.col("entry_id").alias("puzzle_id"),
        pl.lit(corpus).alias("task"),
        pl.lit("conversation").alias("format"),
        texts.list.get(0).alias("prompt"),
        texts.list.get(1).alias("response"),
        texts.list.slice(2).alias("more"),
        pl.Series("image_offset", [offset for offset, _ in places], pl.Int64),
        pl.Series("image_bytes", [size for _, size in places], pl.Int64),
        pl.col("width").alias("image_width"),
        pl.col("height").alias("image_height"),
    ).with_columns(pl.when(pl.col("image_bytes") > 0).then(pl.lit(name)).otherwise(pl.lit("")).alias("image_shard"))
