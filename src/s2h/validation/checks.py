"""Checking a shard, puzzle by puzzle, into a small file that says what was found."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from s2h.diagnosis.diagnoser_registry import find_diagnoser
from s2h.files import atomic_file
from s2h.puzzles.shards import PuzzleSet, content_digest, read_shards, split_of
from s2h.puzzles.task import Task
from s2h.validation.checker import Checker, Mismatch, require

SCHEMA = {
    "puzzle_id": pl.String,
    "content": pl.UInt64,  # digest of the text form: equal for equal puzzles
    "key": pl.UInt64,  # digest of the split key (``Task.split_key``); null where it is not known
    "kind": pl.String,  # where the record is wrong; null where it is right
    "problem": pl.String,  # what is wrong; null where nothing is
}
_PROGRESS_EVERY = 200  # puzzles


def check_record(
    task: Task[Any], checker: Checker | None, which: PuzzleSet, index: int, record: Mapping[str, Any]
) -> Mismatch | None:
    """The first problem of a record; None where there is none.

    Args:
        task: the task, with its settings.
        checker: the second opinion on its puzzles; None where the task has none.
        which: the set that the record should belong to.
        index: its place in the set.
        record: the columns of ``s2h.puzzles.record.Record``.
    """
    try:
        _check_bookkeeping(task, which, index, record)
        if checker is not None:
            checker.check(record)
        else:
            _check_response(task, record)
    except Mismatch as found:
        return found
    except Exception as error:  # damaged data may break a parser anywhere: that too is a finding
        return Mismatch("record", f"it cannot be read: {type(error).__name__}: {error}")
    return None


def _check_bookkeeping(task: Task[Any], which: PuzzleSet, index: int, record: Mapping[str, Any]) -> None:
    """Check what holds for the records of every task."""
    place = (task.name, which.level, which.split, index)
    actual = tuple(record[name] for name in ("task", "level", "split", "index"))
    require(actual == place, "record", f"it is {actual}, where {place} should be")
    puzzle_id = f"{task.name}-{which.level}-{which.split}-{index:07d}"
    require(record["puzzle_id"] == puzzle_id, "record", f"it is called {record['puzzle_id']}, not {puzzle_id}")
    puzzle = task.from_json(record["puzzle"])
    key = task.split_key(puzzle)
    require(split_of(key) == which.split, "record", f"by its split key it does not belong to {which.split}: {key}")
    require(task.to_text(puzzle) == record["text"], "text", "the text is not that of the symbolic puzzle")
    require(task.judge(puzzle, record["answer_block"]).correct, "answer", "the answer is not judged to be right")
    with Image.open(io.BytesIO(record["image"]["bytes"])) as image:
        size, kind = image.size, image.format
        image.verify()  # follows the file to its end, checksums included
    require((kind, size) == ("PNG", task.image_size), "image", f"the image is a {kind} of {size} pixels")


def _check_response(task: Task[Any], record: Mapping[str, Any]) -> None:
    """Check that the chain of thought is valid by the task's own diagnoser, where there is no checker."""
    prediction = f"{record['reasoning']}\n\n{record['answer_block']}"
    diagnosis = find_diagnoser(task).diagnose(task.from_json(record["puzzle"]), prediction)
    require(diagnosis.chain_correct, "reasoning", f"the response is not judged to be right: {diagnosis.error_detail}")


def _key(task: Task[Any], record: Mapping[str, Any]) -> int | None:
    """The digest of a puzzle's split key; None where the puzzle cannot be read, which ``check_record`` says."""
    try:
        return content_digest(task.split_key(task.from_json(record["puzzle"])))
    except Exception:  # as in check_record
        return None


def check_shard(
    shard: str | Path,
    output: str | Path,
    *,
    task: Task[Any],
    checker: Checker | None,
    which: PuzzleSet,
    span: tuple[int, int],
    progress: Callable[[int], None],
) -> None:
    """Check every record of a shard; write a row for each (``SCHEMA``).

    The file also says where the shard lies from there, its size and its SHA-256 digest.

    Args:
        shard: the Parquet file.
        output: the Parquet file that says what was found.
        task: the task, with its settings.
        checker: the second opinion on its puzzles; None where the task has none.
        which: the set that the shard belongs to.
        span: the indexes that it should hold.
        progress: called with the number of records checked so far.

    Raises:
        DataError: the file cannot be read.
    """
    rows = []
    for place, record in enumerate(read_shards([str(shard)])):
        found = check_record(task, checker, which, span[0] + place, record)
        kind, problem = (found.kind, str(found)) if found else (None, None)
        rows.append((record["puzzle_id"], content_digest(record["text"]), _key(task, record), kind, problem))
        if len(rows) % _PROGRESS_EVERY == 0:
            progress(len(rows))
    if len(rows) != span[1] - span[0]:
        rows.append(("", 0, None, "record", f"the shard has {len(rows)} records, not {span[1] - span[0]}"))
    data = Path(shard).read_bytes()
    from_here = os.path.relpath(shard, Path(output).parent)
    facts = {"shard": from_here, "bytes": str(len(data)), "sha256": hashlib.sha256(data).hexdigest()}
    with atomic_file(output) as temporary:
        pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(temporary, metadata=facts)
    progress(span[1] - span[0])
