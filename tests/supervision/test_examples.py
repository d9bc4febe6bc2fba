"""Examples are the rows of their mixture; of an image only its own bytes are read."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from s2h.errors import DataError
from s2h.overlays import read_config
from s2h.supervision.examples import Mixture
from s2h.supervision.mixture import write_mixture


@pytest.fixture(scope="module")
def path(readout_shards: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four examples of Mix, with images and without."""
    path = tmp_path_factory.mktemp("mixture") / "phase-1.parquet"
    phase = read_config().recipes["mix"].phases[0]
    write_mixture(path, phase, budget=24, shards={"consecutive_table_readout": readout_shards}, key=(0, "test"))
    return path


def test_an_example_is_its_row_and_the_puzzles_own_image(path: Path, readout_shards: dict[str, list[str]]) -> None:
    shards = [pl.read_parquet(shard) for paths in readout_shards.values() for shard in paths]
    images = {row["puzzle_id"]: row["image"]["bytes"] for shard in shards for row in shard.iter_rows(named=True)}
    mixture = Mixture.read(path)
    for position, row in enumerate(mixture.frame.iter_rows(named=True)):
        example = mixture[position]
        told = (example.position, example.format, example.prompt, example.response, example.responses)
        assert told == (position, row["format"], row["prompt"], row["response"], (row["response"],))
        if row["format"] == "text":
            assert example.image is None
        else:
            expected = Image.open(io.BytesIO(images[row["puzzle_id"]])).convert("RGB")
            assert np.array_equal(np.asarray(example.image), np.asarray(expected))
    assert mixture.images.read == mixture.frame["image_bytes"].sum()


def test_a_copy_for_another_process_reads_the_same(path: Path) -> None:
    mixture = Mixture.read(path)
    position = mixture.frame["image_shard"].to_list().index(mixture.frame["image_shard"].max())
    first = mixture[position].image
    assert first is not None
    copy = pickle.loads(pickle.dumps(mixture))
    assert copy.images.read == 0
    assert copy[position].image.tobytes() == first.tobytes()


def test_some_of_the_examples_are_kept_in_order(path: Path) -> None:
    mixture = Mixture.read(path)
    kept = mixture.kept(np.arange(24) % 3 == 1)
    assert [kept[i].response for i in range(len(kept))] == [mixture[i].response for i in range(1, 24, 3)]
    assert [kept[i].position for i in range(len(kept))] == list(range(8))


def test_an_empty_mixture_and_images_that_are_not_there_are_named(path: Path, tmp_path: Path) -> None:
    frame = Mixture.read(path).frame.filter(pl.col("image_bytes") > 0)
    frame.clear().write_parquet(tmp_path / "empty.parquet")
    with pytest.raises(DataError, match="is empty: raise the budget"):
        Mixture.read(tmp_path / "empty.parquet")
    with pytest.raises(DataError, match=r"holds no image of .* the mixture was made from another shard"):
        Mixture(frame.with_columns(pl.col("image_offset") + 1))[0]
    with pytest.raises(DataError, match="cannot be read"):
        Mixture(frame.with_columns(image_shard=pl.lit(str(tmp_path / "nowhere"))))[0]
