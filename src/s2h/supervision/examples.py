"""The examples of a mixture, and the images that they refer to."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from s2h.errors import DataError, unreadable
from s2h.images import BrokenImageError, decode_image
from s2h.supervision.mixture import read_mixture


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """One training example.

    Attributes:
        position: place in the mixture, from 0.
        format: what the response does with the puzzle: "text", "image" or "image_via_text"; "conversation" for
            those of a corpus.
        prompt: the user's turn, without the image; the first of a conversation.
        response: the model's turn; the first of a conversation.
        image: the picture (RGB), or None for a text example. It stands before the prompt.
        more: the turns of a conversation after those two, of user and model by turns.
    """

    position: int
    format: str
    prompt: str
    response: str
    image: Image.Image | None
    more: tuple[str, ...] = ()

    @property
    def responses(self) -> tuple[str, ...]:
        """The model's turns, which are in the loss."""
        return (self.response, *self.more[1::2])


class ImageReader:
    """Images by file and place: reads the bytes of one image file and no others.

    Attributes:
        read: bytes read so far.
    """

    def __init__(self) -> None:
        self.read = 0
        self._files: dict[str, int] = {}

    def image_file(self, shard: str, offset: int, size: int) -> bytes:
        """The image file of ``size`` bytes that lies at ``offset`` in ``shard``, as it is."""
        data = os.pread(self._open(shard), size, offset)
        self.read += len(data)
        return data

    def __call__(self, shard: str, offset: int, size: int) -> Image.Image:
        """The picture of that file, as RGB."""
        data = self.image_file(shard, offset, size)
        try:
            return decode_image(data)
        except BrokenImageError as error:
            raise DataError(
                f"{shard} holds no image of {size} bytes at {offset} ({error}): the mixture was made from another "
                "shard; delete the mixture and run again."
            ) from None

    def __getstate__(self) -> dict[str, int | dict[str, int]]:
        """Open files stay behind when another process gets a copy."""
        return {"read": 0, "_files": {}}

    def _open(self, shard: str) -> int:
        if shard not in self._files:
            try:
                self._files[shard] = os.open(shard, os.O_RDONLY)
            except OSError as error:
                raise unreadable("shard", shard, error) from None
        return self._files[shard]


class Mixture:
    """The examples of a mixture, one by one.

    Args:
        frame: rows of ``s2h.supervision.mixture.SCHEMA`` or ``s2h.corpora.corpus_mixture.SCHEMA``.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame
        self.images = ImageReader()

    @classmethod
    def read(cls, path: str | Path) -> Mixture:
        """The mixture of a Parquet file; raises DataError where there is none, or it is empty."""
        frame = read_mixture(path)
        if frame.height == 0:
            raise DataError(f"the mixture {path} is empty: raise the budget of the run.")
        return cls(frame)

    def kept(self, which: NDArray[np.bool_]) -> Mixture:
        """The examples for which ``which bool[examples]`` is true, in their order, renumbered from 0."""
        return Mixture(self.frame.filter(pl.Series(which)))

    def __len__(self) -> int:
        return self.frame.height

    def __getitem__(self, position: int) -> Example:
        row = self.frame.row(position, named=True)
        place = row["image_shard"], row["image_offset"], row["image_bytes"]
        image = self.images(*place) if row["image_shard"] else None
        return Example(position, row["format"], row["prompt"], row["response"], image, tuple(row.get("more") or ()))
