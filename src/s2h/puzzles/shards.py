"""Shards: a set of puzzles in Parquet files, each made alone and the same however the set is cut."""

from __future__ import annotations

import dataclasses
import hashlib
import mmap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from s2h.errors import DataError, unreadable
from s2h.files import atomic_file
from s2h.puzzles.record import SCHEMA, Record
from s2h.puzzles.task import SCENES, Split, Task, TrainingLevel
from s2h.seeding import generator

P = TypeVar("P")


_ROWS_PER_GROUP = 500  # images of one row group are read together: small enough to fetch, large enough to compress
_NESTED = ("image.path", "alternatives.list.element.name", "alternatives.list.element.reasoning")
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_TRIES = 10_000  # puzzles drawn for one record; five on average for an evaluation set
_EVAL_PART = 5  # one in so many keys is for evaluation: of the 120 of one cell in a 3 x 4 table 22, and 98 for training


@dataclasses.dataclass(frozen=True, slots=True)
class PuzzleSet:
    """A set of puzzles, before it is made.

    Attributes:
        seed: seed of the study.
        level: SIMPLE, MEDIUM, HARD or SCENES.
        split: train or eval.
    """

    seed: int
    level: TrainingLevel
    split: Split


def shard_count(puzzles: int, shard_size: int) -> int:
    """Number of shards that hold a set's first ``puzzles``; a set of none has none."""
    return -(-puzzles // shard_size)


def shard_range(shard: int, shard_size: int) -> tuple[int, int]:
    """First index of a shard and the index after its last.

    Shards are always whole, whatever the size of the set, so that a set that grows gets new shards and keeps the old.
    """
    return shard * shard_size, (shard + 1) * shard_size


def content_digest(text: str) -> int:
    """64 bits that tell texts apart: text forms of puzzles, which are all that images show, or split keys."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def split_of(key: str) -> Split:
    """The split to which the puzzles with this split key (``Task.split_key``) belong.

    Training and evaluation draw from different parts of all possible keys, so no set for training can ever share one
    with a set for evaluation, whatever their levels, sizes and seeds.
    """
    return "train" if content_digest(key) % _EVAL_PART else "eval"


def draw_puzzle(task: Task[P], which: PuzzleSet, index: int) -> tuple[P, str]:
    """Puzzle ``index`` of a set and its text form: a function of seed, task settings, level, split and index alone.

    Evaluation puzzles of a paired task with an odd index are twins of the one before.
    """
    rng = generator(which.seed, "puzzle", task.name, which.level, which.split, index)
    draw = partial(_sample, task, which, rng)
    if which.level != SCENES and which.split == "eval" and task.paired and index % 2:
        draw = partial(task.twin, rng, draw_puzzle(task, which, index - 1)[0], which.level)
    for _ in range(_TRIES):
        puzzle = draw()
        if split_of(task.split_key(puzzle)) == which.split:
            return puzzle, task.to_text(puzzle)
    raise DataError(
        f"{task.title} {which.level}: no {which.split} puzzle among {_TRIES} draws, so its settings leave room for "
        "very few puzzles: widen them."
    )


def _sample(task: Task[P], which: PuzzleSet, rng: np.random.Generator) -> P:
    if which.level == SCENES:
        return task.sample_scene(rng)
    return task.sample(rng, which.level, which.split)


def make_record(task: Task[Any], which: PuzzleSet, index: int) -> Record:
    """The record of puzzle ``index`` of a set; a scene has neither questions nor a solution."""
    puzzle, text = draw_puzzle(task, which, index)
    puzzle_id = f"{task.name}-{which.level}-{which.split}-{index:07d}"
    return Record(
        puzzle_id=puzzle_id,
        task=task.name,
        level=which.level,
        split=which.split,
        index=index,
        text=text,
        transcription_question=task.transcription_question(),
        puzzle=task.to_json(puzzle),
        image={"bytes": task.render(puzzle), "path": f"{puzzle_id}.png"},
        **(NO_SOLUTION if which.level == SCENES else _solution(task, puzzle)),
    )


NO_SOLUTION: dict[str, Any] = {
    "text_question": "", "image_question": "", "reasoning": "", "alternatives": [], "answer_block": "", "answer": "",
}  # fmt: skip
"""What the record of a scene holds in place of questions and a solution."""


def _solution(task: Task[P], puzzle: P) -> dict[str, Any]:
    """The columns of a record that a scene leaves empty."""
    return {
        "text_question": task.question(puzzle, "text"),
        "image_question": task.question(puzzle, "image"),
        "reasoning": task.chain_of_thought(puzzle),
        "alternatives": [{"name": name, "reasoning": chain} for name, chain in task.alternatives(puzzle).items()],
        "answer_block": task.answer_block(puzzle),
        "answer": task.answer(puzzle),
    }


def write_shard(
    path: str | Path, task: Task[Any], which: PuzzleSet, span: tuple[int, int], *, progress: Callable[[int], None]
) -> None:
    """Make the puzzles of ``span`` (first index, index after the last) and write them as one Parquet file.

    Args:
        path: the file; it appears whole or not at all.
        task: what to make.
        which: the set that the shard belongs to.
        span: the indexes that it holds.
        progress: called with the number of puzzles made so far, after each row group.
    """
    texts = [name for name in SCHEMA.names if name != "image"]
    # Images are compressed already: they stand in the file as they are, so that one can be read alone (image_places).
    compression = dict.fromkeys([*texts, *_NESTED], "zstd") | {"image.bytes": "none"}
    with (
        atomic_file(path) as temporary,
        pq.ParquetWriter(
            temporary, SCHEMA, compression=compression, use_dictionary=texts, write_statistics=texts
        ) as writer,
    ):
        for start in range(*span, _ROWS_PER_GROUP):
            stop = min(start + _ROWS_PER_GROUP, span[1])
            records = [make_record(task, which, index) for index in range(start, stop)]
            columns = {name: [getattr(record, name) for record in records] for name in SCHEMA.names}
            writer.write_table(pa.Table.from_pydict(columns, schema=SCHEMA))
            progress(stop - span[0])


def read_shards(shards: list[str], columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a set's shards in order, as dicts; a torn or foreign file raises DataError."""
    for shard in shards:
        try:
            with pq.ParquetFile(shard) as file:
                for batch in file.iter_batches(batch_size=256, columns=columns):
                    yield from batch.to_pylist()
        except (OSError, pa.ArrowInvalid) as error:
            raise unreadable("puzzle shard", shard, error) from None


def image_places(shard: str | Path) -> list[tuple[int, int]]:
    """Where the image of each row lies in a shard's file: (offset, size) in bytes.

    Reading those bytes gives the PNG file; Parquet's own readers fetch hundreds of images for one.

    Raises:
        DataError: the file cannot be read, or its images are not stored as ``write_shard`` stores them.
    """
    places: list[tuple[int, int]] = []
    try:
        metadata = pq.read_metadata(shard)
        with open(shard, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for group in range(metadata.num_row_groups):
                places += _image_places_of(data, metadata.row_group(group))
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise unreadable("puzzle shard", shard, error) from None
    return places


def _image_places_of(data: mmap.mmap, group: Any) -> list[tuple[int, int]]:
    """Places of the images of one row group: each value is its length in four bytes, then the PNG file."""
    chunks = (group.column(i) for i in range(group.num_columns))
    chunk = next(chunk for chunk in chunks if chunk.path_in_schema == "image.bytes")
    places, end = [], chunk.data_page_offset + chunk.total_compressed_size
    at = data.find(_PNG_START, chunk.data_page_offset, end)
    while at >= 0:
        size = int.from_bytes(data[at - 4 : at], "little")
        if data[at + size - len(_PNG_END) : at + size] != _PNG_END:
            raise ValueError(f"its images are not stored as they are: no PNG file of {size} bytes at {at}")
        places.append((at, size))
        at = data.find(_PNG_START, at + size, end)
    if len(places) != group.num_rows:
        raise ValueError(f"{len(places)} images for {group.num_rows} rows")
    return places
