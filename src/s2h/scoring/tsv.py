"""Evaluation sets from TSV files: those that this project writes, and those from outside.

External evaluation sets have the columns of the paper's code: index, question, answer, and image (base64) or
image_path, and those that the task's reader asks for. Only the gold answer of their puzzles is known (for grids also
the grid), so predictions get the paper's metrics and no diagnosis.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from s2h.diagnosis.diagnosis import Diagnosis
from s2h.errors import DataError
from s2h.fetching import is_pointer
from s2h.puzzles.task import Level, Modality, final_answer
from s2h.puzzles.task_registry import make_task
from s2h.scoring.readers import Reader, find_reader
from s2h.scoring.sets import EvalRow, EvalSet, position_index, refuse_repeats

OURS = ("puzzle_id", "task", "level", "settings", "puzzle")
"""Columns that mark a file of this project: the input of the judge."""


class ExternalEval(EvalSet):
    """Puzzles from outside; ``EvalRow.puzzle`` is what the task's reader made of a row."""

    external = True

    def __init__(self, name: str, task: str, level: Level, modality: Modality, rows: Sequence[EvalRow]) -> None:
        self.name, self.task, self.level, self.modality, self.rows = name, task, level, modality, tuple(rows)
        self._reader = find_reader(task)

    def diagnose(self, row: EvalRow, prediction: str) -> Diagnosis:
        """The diagnosis of a prediction by the metrics of the task's reader; ``correct`` is its exact match."""
        metrics = self._reader.measure(row, prediction)
        answer = final_answer(prediction) or ""
        correct = metrics["exact_match"] == 1
        return Diagnosis(bool(answer), answer, correct, False, None, None, None, None, None, metrics)


def read_own(path: str | Path) -> EvalSet:
    """A set that ``vlmevalkit_tsv.write_tsv`` wrote, named like its file; raises DataError where it is none."""
    rows = _read(path, ("index", "question", "answer", *OURS))
    numeric = next((row["index"] for row in rows if row["index"].isnumeric()), None)
    if numeric is not None:
        raise DataError(f"{path} has the index {numeric}: VLMEvalKit turns numbers into other types; write q{numeric}.")
    first = rows[0]
    task = make_task(first["task"], json.loads(first["settings"]))
    modality: Modality = "image" if "image" in first else "text"
    eval_rows = [
        EvalRow(
            index=row["index"],
            puzzle_id=row["puzzle_id"],
            question=row["question"],
            answer=row["answer"],
            puzzle=row["puzzle"],
            image=_image(Path(path), row) if modality == "image" else None,
        )
        for row in rows
    ]
    return EvalSet(Path(path).stem, task, first["level"], modality, eval_rows)  # type: ignore[arg-type]


def read_external(name: str, path: str | Path, *, task: str, level: Level, modality: Modality) -> EvalSet:
    """An external evaluation set.

    Args:
        name: what the set is called.
        path: TSV file; image paths in it are relative to its folder.
        task: whose puzzles these are.
        level: what tables call their level.
        modality: how the puzzles are given.

    Raises:
        ConfigError: the task has no reader.
        DataError: the file cannot be read, lacks a column, an image is missing or torn, or a puzzle comes twice.
    """
    path, reader = Path(path).expanduser(), find_reader(task)
    rows = _read(path, ("index", "question", "answer", *reader.columns))
    eval_rows = [
        EvalRow(
            index=position_index(position),
            puzzle_id=f"{name}-{row['index']}",
            question=row["question"],
            answer=row["answer"],
            puzzle=_puzzle(path, row, reader),
            image=_image(path, row) if modality == "image" else None,
        )
        for position, row in enumerate(rows)
    ]
    return ExternalEval(name, task, level, modality, eval_rows)


def is_own(path: str | Path) -> bool:
    """Whether a TSV file was written by this project."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        return set(OURS) <= set(file.readline().rstrip("\r\n").split("\t"))


def _read(path: str | Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a TSV file, every cell as text."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # images are large cells
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the TSV file {path} cannot be read: {error}.") from None
    if is_pointer(path):
        raise DataError(
            f"{path} is a Git LFS pointer and not the file that it stands for: fetch that with git lfs pull, or let "
            "the workflow fetch it (docs/scoring.md)."
        )
    lacking = [name for name in needed if not rows or rows[0].get(name) is None]
    if lacking:
        head = ", ".join(map(str, rows[0])) if rows else "no rows"
        raise DataError(f"{path} lacks {', '.join(lacking)} (it has: {head}): evaluation sets need them.")
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise DataError(f"row {number} of {path} has another number of cells than its head: is it cut off?")
    refuse_repeats(str(path), [row["index"] for row in rows])
    return rows


def _puzzle(path: Path, row: dict[str, str], reader: Reader) -> str:
    try:
        return reader.puzzle(row)
    except (ValueError, IndexError) as error:
        raise DataError(
            f"{path}, index {row['index']}: the columns {', '.join(reader.columns)} hold no puzzle ({error})."
        ) from None


def _image(path: Path, row: dict[str, str]) -> bytes:
    """The picture file of a row; raises DataError where there is none or it cannot be opened."""
    try:
        inside = row.get("image")
        data = base64.b64decode(inside) if inside else (path.parent / row["image_path"]).read_bytes()
        with Image.open(io.BytesIO(data)) as picture:
            picture.verify()
    except (KeyError, OSError, SyntaxError, binascii.Error) as error:
        raise DataError(
            f"{path}, index {row['index']}: the picture cannot be read ({type(error).__name__}: {error}). It must "
            "stand base64-coded in the column image, or in a file named in image_path."
        ) from None
    return data
