"""A page that shows puzzles of every task and level, and scenes: what to look at before anything is trained."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from s2h.files import atomic_file
from s2h.puzzles.shards import read_shards
from s2h.supervision.formats import TRANSCRIPTION_HEADER
from s2h.templates import data_address, open_template

TEMPLATE = Path(__file__).with_name("gallery.html")
_SHOWN = 3  # puzzles of each level
_ENLARGED = 480  # pixels to which small images are brought, in whole multiples, so that their pixels stay square


def write_gallery(path: str | Path, shards: Mapping[str, Mapping[str, str]], *, titles: Mapping[str, str]) -> None:
    """Write one HTML file that holds everything it shows, images included.

    Args:
        path: the file.
        shards: for each task and level a Parquet file of puzzles or scenes.
        titles: of the tasks, by name.

    Raises:
        DataError: a shard cannot be read.
    """
    tasks = [
        {
            "name": task,
            "title": titles[task],
            "levels": {level: _examples(shard) for level, shard in levels.items()},
        }
        for task, levels in shards.items()
    ]
    page = open_template(TEMPLATE).render(tasks=tasks, transcription=TRANSCRIPTION_HEADER)
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _examples(shard: str) -> list[dict[str, Any]]:
    records = itertools.islice(read_shards([shard]), _SHOWN)
    return [record | {"picture": _picture(record["image"]["bytes"])} for record in records]


def _picture(png: bytes) -> dict[str, Any]:
    """The image as a data address, and the width in which it is shown."""
    with Image.open(io.BytesIO(png)) as image:
        width = image.width
    shown = width * max(1, _ENLARGED // width)
    source = data_address(png, "image/png")
    return {"source": source, "width": shown, "bytes": len(png), "enlarged": shown // width}
