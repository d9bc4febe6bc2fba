"""Evaluation sets: the puzzles of one task and level that no training has seen, given as text or as images."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Self

import polars as pl

from s2h.diagnosis.diagnoser_registry import find_diagnoser
from s2h.diagnosis.diagnosis import Diagnosis
from s2h.errors import DataError
from s2h.puzzles.record import MODALITIES
from s2h.puzzles.shards import read_shards
from s2h.puzzles.task import Level, Modality, Task
from s2h.puzzles.task_registry import make_task
from s2h.supervision.conversion import Conversion
from s2h.supervision.formats import TEXT_COLUMNS, has_image, prompt

_COLUMNS = [*TEXT_COLUMNS, "task", "level", "split", "answer", "puzzle"]


@dataclasses.dataclass(frozen=True, slots=True)
class EvalRow:
    """One puzzle of an evaluation set, in one modality.

    Attributes:
        index: ``q`` and the position in the set; never a number, as VLMEvalKit turns numeric indexes into other types.
        puzzle_id: of the puzzle's record.
        question: the user's turn without the image, worded as in training.
        answer: the gold answer.
        puzzle: what the judge needs to know: the symbolic puzzle as JSON.
        image: a picture file, or None in the text modality.
    """

    index: str
    puzzle_id: str
    question: str
    answer: str
    puzzle: str
    image: bytes | None


class EvalSet:
    """Evaluation puzzles of one task and level in one modality, and the judge of predictions for them.

    Args:
        name: what the set is called in file names and in VLMEvalKit's registry.
        task: registered name.
        level: of the puzzles.
        modality: how they are given.
        rows: the puzzles, in order.

    Attributes:
        external: whether the set is from outside.
        conversion: whether responses begin with the conversion of the image to text.
    """

    external = False
    conversion: Conversion = "free"

    def __init__(self, name: str, task: Task[Any], level: Level, modality: Modality, rows: Sequence[EvalRow]) -> None:
        self.name, self.level, self.modality, self.rows = name, level, modality, tuple(rows)
        self.task = task.name
        self._task, self._diagnoser = task, find_diagnoser(task)

    def under(self, conversion: Conversion) -> Self:
        """The same puzzles with another conversion, as a set with a name of its own."""
        changed = copy.copy(self)
        changed.name, changed.conversion = f"{self.name}-{conversion}", conversion
        return changed

    def strictly(self) -> Self:
        """The same set, with answers read only where they stand as the question asks."""
        changed = copy.copy(self)
        changed._diagnoser = find_diagnoser(self._task, strict=True)
        return changed

    def diagnose(self, row: EvalRow, prediction: str) -> Diagnosis:
        """The diagnosis of a prediction for one of the puzzles."""
        return self._diagnoser.diagnose(self._task.from_json(row.puzzle), prediction)


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """The evaluation puzzles of a task that are scored.

    Attributes:
        task: the task, with its settings.
        shards: evaluation shards of each level, in order.
        puzzles: how many puzzles of each level are scored: the first of its shards.
        modalities: how they are given.
    """

    task: Task[Any]
    shards: Mapping[Level, Sequence[str]]
    puzzles: Mapping[Level, int]
    modalities: Sequence[Modality] = MODALITIES

    @classmethod
    def of(cls, name: str, *, settings: Mapping[str, Any], **values: Any) -> Evaluation:
        """An evaluation from a task's name and its settings as a config file holds them; ``values`` are the rest."""
        return cls(make_task(name, settings), **values)

    def sets(self) -> list[EvalSet]:
        """The evaluation sets of the task: levels in order, and each modality of a level."""
        return [
            read_set(self.task, level, modality, paths, self.puzzles[level])
            for level, paths in self.shards.items()
            for modality in self.modalities
        ]


def read_set(
    task: Task[Any], level: Level, modality: Modality, shards: Sequence[str], puzzles: int | None = None
) -> EvalSet:
    """Read an evaluation set from its puzzle shards.

    Args:
        task: the task, with its settings.
        level: level of the puzzles.
        modality: how the puzzles are given.
        shards: the set's Parquet files in order.
        puzzles: how many of the first puzzles to take; all by default.

    Raises:
        DataError: a shard cannot be read, holds other puzzles (of another task or level, or of the training split), or
            a puzzle comes twice, or there is none.
    """
    columns = [*_COLUMNS, "image"] if has_image(modality) else _COLUMNS
    records = list(itertools.islice(read_shards(list(shards), columns), puzzles))
    for record in records:
        origin = (record["task"], record["level"], record["split"])
        if origin != (task.name, level, "eval"):
            raise DataError(
                f"the puzzle {record['puzzle_id']} is from {'/'.join(origin)}, but scores are made on "
                f"{task.name}/{level}/eval: give the eval shards of this task and level."
            )
    refuse_repeats(f"{task.name}/{level}", [record["puzzle_id"] for record in records])
    texts = pl.DataFrame([{name: record[name] for name in TEXT_COLUMNS} for record in records])
    questions = texts.select(prompt(modality)).to_series().to_list()
    rows = [_row(*each) for each in zip(range(len(records)), records, questions, strict=True)]
    return EvalSet(f"{task.name}-{level}-{modality}", task, level, modality, rows)


def refuse_repeats(name: str, ids: Sequence[str]) -> None:
    """Raise DataError where a set has no puzzle, or one of them twice: predictions would be merged in silence."""
    if len(set(ids)) < len(ids) or not ids:
        raise DataError(
            f"the evaluation set {name} has {len(set(ids))} different puzzles in {len(ids)} rows: it needs at least "
            "one, and each of them once."
        )


def position_index(position: int) -> str:
    """The index of a puzzle in a set; never a number."""
    return f"q{position:07d}"


def _row(position: int, record: dict[str, object], question: str) -> EvalRow:
    image = record.get("image")
    return EvalRow(
        index=position_index(position),
        puzzle_id=str(record["puzzle_id"]),
        question=question,
        answer=str(record["answer"]),
        puzzle=str(record["puzzle"]),
        image=image["bytes"] if isinstance(image, dict) else None,
    )
