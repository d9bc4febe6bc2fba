"""Evaluation sets: the puzzles of one task and level that no training has seen, given as text or as images."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import polars as pl

from s2h.errors import DataError
from s2h.puzzles.shards import read_shards
from s2h.puzzles.task import Level, Modality
from s2h.supervision.formats import TEXT_COLUMNS, prompt, shows_image

_COLUMNS = [*TEXT_COLUMNS, "task", "level", "split", "answer", "puzzle"]


@dataclasses.dataclass(frozen=True, slots=True)
class EvalRow:
    """One puzzle of an evaluation set, in one modality.

    Attributes:
        index: ``q`` and the position in the set; never a number, as VLMEvalKit turns numeric indexes into other types.
        puzzle_id: of the puzzle's record.
        question: the user's turn without the image, worded as in training.
        answer: the gold answer.
        puzzle: the symbolic puzzle as JSON.
        image: a PNG file, or None in the text modality.
    """

    index: str
    puzzle_id: str
    question: str
    answer: str
    puzzle: str
    image: bytes | None


@dataclasses.dataclass(frozen=True, slots=True)
class EvalSet:
    """The evaluation puzzles of one (task, level) in one modality, in the order of their shards."""

    task: str
    level: Level
    modality: Modality
    rows: tuple[EvalRow, ...]

    @property
    def name(self) -> str:
        """What the set is called in file names and in VLMEvalKit's registry."""
        return f"{self.task}-{self.level}-{self.modality}"


def read_set(task: str, level: Level, modality: Modality, shards: Sequence[str], puzzles: int | None = None) -> EvalSet:
    """Read an evaluation set from its puzzle shards.

    Args:
        task: registered name of the task.
        level: level of the puzzles.
        modality: how the puzzles are given.
        shards: the set's Parquet files in order.
        puzzles: how many of the first puzzles to take; all by default.

    Raises:
        DataError: a shard cannot be read, holds other puzzles (of another task or level, or of the training split), or
            a puzzle comes twice, or there is none.
    """
    columns = [*_COLUMNS, "image"] if shows_image(modality) else _COLUMNS
    records = list(itertools.islice(read_shards(list(shards), columns), puzzles))
    for record in records:
        found = (record["task"], record["level"], record["split"])
        if found != (task, level, "eval"):
            raise DataError(
                f"the puzzle {record['puzzle_id']} is from {'/'.join(found)}, but scores are made on "
                f"{task}/{level}/eval: give the eval shards of this task and level."
            )
    ids = [record["puzzle_id"] for record in records]
    if len(set(ids)) < len(ids) or not ids:
        raise DataError(
            f"the evaluation set {task}/{level} has {len(set(ids))} different puzzles in {len(ids)} rows of "
            f"{len(shards)} shards: it needs at least one, and each of them once."
        )
    texts = pl.DataFrame([{name: record[name] for name in TEXT_COLUMNS} for record in records])
    questions = texts.select(prompt(modality)).to_series().to_list()
    rows = (_row(*each) for each in zip(range(len(records)), records, questions, strict=True))
    return EvalSet(task, level, modality, tuple(rows))


def _row(position: int, record: dict[str, object], question: str) -> EvalRow:
    image = record.get("image")
    return EvalRow(
        index=f"q{position:07d}",
        puzzle_id=str(record["puzzle_id"]),
        question=question,
        answer=str(record["answer"]),
        puzzle=str(record["puzzle"]),
        image=image["bytes"] if isinstance(image, dict) else None,
    )
