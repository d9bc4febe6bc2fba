"""The examples of a mixture, and the images that they refer to."""

from __future__ import annotations

import dataclasses
import io
from collections import OrderedDict
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from s2h.errors import DataError


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """One training example.

    Attributes:
        position: place in the mixture, from 0.
        format: what the response does with the puzzle: "text", "image" or "image_via_text".
        prompt: the user's turn, without the image.
        response: the model's turn.
        image: the picture (RGB), or None for a text example.
    """

    position: int
    format: str
    prompt: str
    response: str
    image: Image.Image | None


class Images:
    """Images by shard and row; the row groups used last are kept in memory, up to a limit.

    Args:
        limit: most bytes of encoded images to keep.
    """

    def __init__(self, limit: int = 2**30) -> None:
        self.limit = limit
        self._groups: OrderedDict[tuple[str, int], pa.ChunkedArray] = OrderedDict()
        self._files: dict[str, pq.ParquetFile] = {}
        self._held = 0

    def __call__(self, shard: str, row: int) -> Image.Image:
        """The picture in row ``row`` of ``shard``, as RGB."""
        file = self._open(shard)
        for group in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < rows:
                data = self._group(shard, group)[row].as_py()["bytes"]
                return Image.open(io.BytesIO(data)).convert("RGB")
            row -= rows
        raise DataError(f"{shard} has no such row: the mixture was made from another shard; run the workflow again.")

    def _open(self, shard: str) -> pq.ParquetFile:
        if shard not in self._files:
            try:
                self._files[shard] = pq.ParquetFile(shard, memory_map=True)
            except (OSError, pa.ArrowInvalid) as error:
                raise DataError(
                    f"the puzzle shard {shard} cannot be read ({error}); delete it and run again."
                ) from None
        return self._files[shard]

    def _group(self, shard: str, group: int) -> pa.ChunkedArray:
        key = (shard, group)
        if key in self._groups:
            self._groups.move_to_end(key)
            return self._groups[key]
        column = self._open(shard).read_row_group(group, columns=["image"]).column("image")
        self._groups[key] = column
        self._held += column.nbytes
        while self._held > self.limit and len(self._groups) > 1:
            self._held -= self._groups.popitem(last=False)[1].nbytes
        return column


class Mixture:
    """A mixture file, example by example."""

    def __init__(self, path: str | Path) -> None:
        try:
            self.frame = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(f"the mixture {path} cannot be read ({error}); delete it and run again.") from None
        if self.frame.height == 0:
            raise DataError(f"the mixture {path} is empty: raise the budget of the run.")
        self.path = Path(path)
        self._images = Images()

    def __len__(self) -> int:
        return self.frame.height

    def __getitem__(self, position: int) -> Example:
        row = self.frame.row(position, named=True)
        image = self._images(row["image_shard"], row["image_row"]) if row["image_shard"] else None
        return Example(position, row["format"], row["prompt"], row["response"], image)
