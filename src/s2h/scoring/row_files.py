"""The rows of an evaluation set's file, tab-separated or JSON lines, and the picture of each.

Files are read as people have them: with a byte order mark, Windows line ends, data addresses instead of base64 text,
base64 text without padding, and, as VLMEvalKit writes them, pictures that name another row and lists of one picture.
"""

from __future__ import annotations

import ast
import base64
import binascii
import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from s2h.errors import DataError
from s2h.fetching import is_pointer
from s2h.images import BrokenImageError, portable_image

Row = dict[str, str]
"""The cells of a row by column; a cell that JSON lines leave out is absent."""

_JSON_BEGINS = ("{", "[")
_REFERENCE = 64  # characters of the longest cell that names another row's picture, as in VLMEvalKit
_FURTHER = re.compile(r"images|image_?[0-9]+")  # columns of sets whose puzzles have several pictures
_EMPTY = ("", "nan", "None", "null")
_DATA = re.compile(r"data:[^,]{0,100};base64,")
_ADVICE = "It must stand base64-coded in the column image, or in a file named in image_path."


def read_rows(path: str | Path, needed: Sequence[str]) -> list[Row]:
    """The rows of a file, every cell as text with line feeds.

    Args:
        path: tab-separated, or JSON lines, whatever its name.
        needed: columns that every row must have.

    Raises:
        DataError: the file cannot be read, is empty or torn, or lacks a column.
    """
    try:
        if is_pointer(path):
            raise DataError(
                f"{path} is a Git LFS pointer and not the file that it stands for: fetch that with git lfs pull, or "
                "let the workflow fetch it (docs/scoring.md)."
            )
        with _opened(path) as file:
            is_json = file.read(1) in _JSON_BEGINS
            file.seek(0)
            rows = list(_json_rows(file) if is_json else _table_rows(file))
    except (OSError, ValueError, csv.Error) as error:
        what = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error
        raise DataError(f"the file {path} cannot be read: {what}") from None
    for number, row in enumerate(rows or [{}], 1):
        lacking = [name for name in needed if name not in row]
        if lacking:
            head = ", ".join(row) or "no rows"
            raise DataError(
                f"row {number} of {path} lacks {', '.join(lacking)} (it has: {head}): evaluation sets need them."
            )
    return rows


def columns_of(path: str | Path) -> set[str]:
    """The columns of a file, from its first row; empty where there is none or it is no such file."""
    try:
        with _opened(path) as file:
            line = file.readline()
        return set(json.loads(line)) if line[:1] in _JSON_BEGINS else set(line.rstrip("\r\n").split("\t"))
    except (OSError, ValueError, TypeError):
        return set()


class RowImages:
    """The pictures of a file's rows.

    Args:
        path: the file; names of pictures are relative to its folder.
        rows: all of its rows.
    """

    def __init__(self, path: Path, rows: Sequence[Row]) -> None:
        self._path = path
        self._cells = {row["index"]: row.get("image", "") for row in rows}

    def __call__(self, row: Row) -> bytes:
        """The picture of a row, decoded once and found whole, as a PNG or JPEG file.

        Raises:
            DataError: there is none, there are several, or it is torn.
        """
        try:
            return portable_image(self._file(row))
        except (KeyError, OSError, ValueError, BrokenImageError) as error:
            what = f"no column {error}" if isinstance(error, KeyError) else error
            raise DataError(
                f"{self._path}, index {row['index']}: the picture cannot be read ({what}). {_ADVICE}"
            ) from None

    def _file(self, row: Row) -> bytes:
        more = [name for name, cell in row.items() if _FURTHER.fullmatch(name) and cell not in _EMPTY]
        if more:
            raise ValueError(f"there are more in {', '.join(more)}; a puzzle has one picture")
        inside = _only(row.get("image", ""))
        if inside not in _EMPTY:
            return _decoded(self._referred(inside))
        name = _only(row["image_path"])
        if "://" in name:
            raise ValueError(f"{name} is an address: download the picture and name the file")
        return (self._path.parent / Path(name).expanduser()).read_bytes()

    def _referred(self, cell: str) -> str:
        """The text of a picture, where a cell may name the row that has it."""
        if len(cell) > _REFERENCE or cell not in self._cells:
            return cell
        found = _only(self._cells[cell])
        if len(found) <= _REFERENCE:
            raise ValueError(f"it is that of index {cell}, which has none of its own")
        return found


def _opened(path: str | Path) -> TextIO:
    return Path(path).open(encoding="utf-8-sig", newline="")


def _table_rows(file: TextIO) -> Iterator[Row]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # pictures are large cells
    for number, row in enumerate(csv.DictReader(file, delimiter="\t"), 1):
        if None in row or None in row.values():
            raise ValueError(f"row {number} has another number of cells than its head: is it cut off?")
        yield {name: cell.replace("\r\n", "\n") for name, cell in row.items()}


def _json_rows(file: TextIO) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number} is no JSON ({error})") from None
        if not isinstance(record, dict):
            raise ValueError(f"line {number} is no JSON object, but JSON lines have one a line")
        yield {name: _cell(value) for name, value in record.items() if value is not None}


def _cell(value: object) -> str:
    return value.replace("\r\n", "\n") if isinstance(value, str) else json.dumps(value)


def _only(cell: str) -> str:
    """A cell that may be a list of one, in JSON or as Python writes it; raises ValueError for a list of several."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return cell
    try:
        found = ast.literal_eval(cell)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return cell
    if len(found) != 1:
        raise ValueError(f"{len(found)} pictures are listed; a puzzle has one")
    return str(found[0])


def _decoded(text: str) -> bytes:
    """The bytes of base64 text: as a data address, in the alphabet of addresses, in lines, or without padding."""
    plain = re.sub(r"\s", "", _DATA.sub("", text, count=1)).rstrip("=")
    standard = plain.translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"its text is not base64: {error}") from None
