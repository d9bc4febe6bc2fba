"""Evaluation sets from files: those that this project writes, and those from outside.

External evaluation sets have the columns of the paper's code: index, question, answer, and image or image_path, and
those that the task's reader asks for. Only the gold answer of their puzzles is known (for grids also the grid), so
predictions get the paper's metrics and no diagnosis.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from s2h.diagnosis.answers import read_answer, without_thinking
from s2h.diagnosis.diagnosis import Diagnosis
from s2h.errors import DataError
from s2h.puzzles.task import Level, Modality
from s2h.puzzles.task_registry import make_task
from s2h.scoring.readers import Reader, find_reader
from s2h.scoring.row_files import Row, RowImages, columns_of, read_rows
from s2h.scoring.sets import EvalRow, EvalSet, position_index, refuse_repeats
from s2h.tokenisation.special_tokens import plain_question

OURS = ("puzzle_id", "task", "level", "settings", "puzzle")
"""Columns that mark a file of this project: the input of the judge."""


class ExternalEval(EvalSet):
    """Puzzles from outside; ``EvalRow.puzzle`` is what the task's reader made of a row."""

    external = True

    def __init__(self, name: str, task: str, level: Level, modality: Modality, rows: Sequence[EvalRow]) -> None:
        self.name, self.task, self.level, self.modality, self.rows = name, task, level, modality, tuple(rows)
        self._reader, self._strict = find_reader(task), False

    def strictly(self) -> Self:
        changed = copy.copy(self)
        changed._strict = True
        return changed

    def diagnose(self, row: EvalRow, prediction: str) -> Diagnosis:
        """The verdict on the answer, which is all that is diagnosed, and the metrics of the task's reader."""
        text = without_thinking(prediction)
        metrics = self._reader.measure(row, text)
        found = read_answer(text, self._reader.form, strict=self._strict)
        correct = bool(found.answer) and self._reader.is_right(row, found.answer)
        return Diagnosis(
            parsed=bool(found.answer),
            answer=found.answer,
            correct=correct,
            chain_correct=False,
            error=None,
            first_error_step=None,
            error_detail=None,
            expected=None,
            observed=None,
            metrics=metrics,
            tolerant=found.tolerant,
        )


def read_own(path: str | Path) -> EvalSet:
    """A set that ``vlmevalkit_tsv.write_tsv`` wrote, named like its file; raises DataError where it is none."""
    path = Path(path)
    rows = _read(path, ("index", "question", "answer", *OURS))
    numeric = next((row["index"] for row in rows if row["index"].isnumeric()), None)
    if numeric is not None:
        raise DataError(f"{path} has the index {numeric}: VLMEvalKit turns numbers into other types; write q{numeric}.")
    first, picture = rows[0], RowImages(path, rows)
    task = make_task(first["task"], json.loads(first["settings"]))
    modality: Modality = "image" if "image" in first else "text"
    eval_rows = [
        EvalRow(
            index=row["index"],
            puzzle_id=row["puzzle_id"],
            question=row["question"],
            answer=row["answer"],
            puzzle=row["puzzle"],
            image=picture(row) if modality == "image" else None,
        )
        for row in rows
    ]
    return EvalSet(path.stem, task, first["level"], modality, eval_rows)  # type: ignore[arg-type]


def read_external(name: str, path: str | Path, *, task: str, level: Level, modality: Modality) -> EvalSet:
    """An external evaluation set.

    Args:
        name: what the set is called.
        path: tab-separated file, or JSON lines; image paths in it are relative to its folder.
        task: whose puzzles these are.
        level: what tables call their level.
        modality: how the puzzles are given.

    Raises:
        ConfigError: the task has no reader.
        DataError: the file cannot be read, lacks a column, an image is missing or torn, a puzzle comes twice, or a
            question or gold answer is none.
    """
    path, reader = Path(path).expanduser(), find_reader(task)
    rows = _read(path, ("index", "question", "answer", *reader.columns))
    picture = RowImages(path, rows)
    images = [picture(row) if modality == "image" else None for row in rows]
    pairs = enumerate(zip(rows, images, strict=True))
    return ExternalEval(
        name,
        task,
        level,
        modality,
        [_outside_row(name, path, reader, position, row, image) for position, (row, image) in pairs],
    )


def is_own(path: str | Path) -> bool:
    """Whether a file was written by this project."""
    return columns_of(path) >= set(OURS)


def _read(path: Path, needed: Sequence[str]) -> list[Row]:
    rows = read_rows(path, needed)
    refuse_repeats(str(path), [row["index"] for row in rows])
    return rows


def _outside_row(name: str, path: Path, reader: Reader, position: int, row: Row, image: bytes | None) -> EvalRow:
    """A row of an external set; raises DataError with its index where question, gold answer or puzzle are none."""
    try:
        question = plain_question(row["question"], has_image=image is not None)
    except ValueError as error:
        raise DataError(f"{path}, index {row['index']}: the question cannot be asked: {error}.") from None
    if not reader.is_gold(row["answer"]):
        raise DataError(
            f"{path}, index {row['index']}: the gold answer is {row['answer'][:80]!r}, but answer must hold "
            f"{reader.gold_form}. Sets of another layout are judged by VLMEvalKit (docs/scoring.md#vlmevalkit)."
        )
    return EvalRow(
        index=position_index(position),
        puzzle_id=f"{name}-{row['index']}",
        question=question,
        answer=row["answer"],
        puzzle=_puzzle(path, row, reader),
        image=image,
    )


def _puzzle(path: Path, row: Row, reader: Reader) -> str:
    try:
        return reader.puzzle(row)
    except (ValueError, IndexError) as error:
        raise DataError(
            f"{path}, index {row['index']}: the columns {', '.join(reader.columns)} hold no puzzle ({error})."
        ) from None
