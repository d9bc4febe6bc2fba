"""Shards: a set of puzzles in Parquet files, each made alone and the same however the set is cut."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from s2h.errors import DataError
from s2h.files import whole_file
from s2h.puzzles.record import SCHEMA, Record
from s2h.puzzles.task import Level, Task
from s2h.seeding import generator

_ROWS_PER_GROUP = 500  # images of one row group are read together: small enough to fetch, large enough to compress


@dataclasses.dataclass(frozen=True, slots=True)
class PuzzleSet:
    """A set of puzzles, before it is made.

    Attributes:
        seed: seed of the study.
        level: SIMPLE, MEDIUM or HARD.
        split: train or eval; the two draw on different random streams.
    """

    seed: int
    level: Level
    split: str


def shard_count(puzzles: int, shard_size: int) -> int:
    """Number of shards of a set; a set of no puzzles has none."""
    return -(-puzzles // shard_size)


def shard_range(shard: int, *, puzzles: int, shard_size: int) -> tuple[int, int]:
    """First index and the index after the last of a shard. All but the last shard stay as they are when a set grows."""
    return shard * shard_size, min((shard + 1) * shard_size, puzzles)


def make_record(task: Task[Any], which: PuzzleSet, index: int) -> Record:
    """Puzzle ``index`` of a set: a function of the seed, the task's settings, level, split and index alone."""
    puzzle = task.sample(generator(which.seed, "puzzle", task.name, which.level, which.split, index), which.level)
    puzzle_id = f"{task.name}-{which.level}-{which.split}-{index:07d}"
    return Record(
        puzzle_id=puzzle_id,
        task=task.name,
        level=which.level,
        split=which.split,
        index=index,
        text=task.describe(puzzle),
        text_question=task.question(puzzle, "text"),
        image_question=task.question(puzzle, "image"),
        reasoning=task.reason(puzzle),
        answer_block=task.answer_block(puzzle),
        answer=task.answer(puzzle),
        puzzle=task.to_json(puzzle),
        image={"bytes": task.render(puzzle), "path": f"{puzzle_id}.png"},
    )


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
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for start in range(*span, _ROWS_PER_GROUP):
            stop = min(start + _ROWS_PER_GROUP, span[1])
            rows = [dataclasses.asdict(make_record(task, which, index)) for index in range(start, stop)]
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
            progress(stop - span[0])


def read_shards(shards: list[str], columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a set's shards in order, as dicts; a torn or foreign file raises DataError."""
    for shard in shards:
        try:
            with pq.ParquetFile(shard) as file:
                for batch in file.iter_batches(batch_size=256, columns=columns):
                    yield from batch.to_pylist()
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"the puzzle shard {shard} cannot be read ({error}); delete it and run again.") from None
