"""A JSON list that is larger than memory, one entry after the other, each with its place in the file."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from s2h.errors import DataError

_CHUNK = 1 << 20  # bytes read at once
_LONGEST = 64 << 20  # characters of an entry: a longer one is no entry but a file that is broken
_SPACE = re.compile(r"[ \t\r\n]*")
_ENDS = frozenset(",] \t\r\n")
_MARK = codecs.BOM_UTF8


def read_entries(path: str | Path) -> Iterator[tuple[int, int, Any]]:
    """The entries of a JSON list in order: (offset of its first byte, its bytes, the entry).

    Memory holds one entry and a megabyte, whatever the size of the file.

    Raises:
        DataError: there is no such file, or it is not a JSON list; the message says at which byte.
    """
    try:
        with open(path, "rb") as file:
            start = len(_MARK) if file.read(len(_MARK)) == _MARK else 0
            file.seek(start)
            yield from _entries(_Window(file, start), path)
    except OSError as error:
        raise DataError(f"the annotations {path} cannot be read: {error}") from None


def read_entry(file: BinaryIO, offset: int, size: int) -> Any:
    """The entry at a place that ``read_entries`` gave.

    Raises:
        DataError: it is another file than the one that was read before.
    """
    file.seek(offset)
    try:
        return json.loads(file.read(size))
    except ValueError:
        raise DataError(f"{file.name} has no entry at byte {offset}: it is not the file that was indexed.") from None


def _entries(window: _Window, path: str | Path) -> Iterator[tuple[int, int, Any]]:
    try:
        if window.peek() != "[":
            raise ValueError("it does not begin with [")
        window.skip()
        while window.peek() != "]":
            yield window.value()
            if window.peek() == ",":
                window.skip()
                if window.peek() == "]":
                    raise ValueError("a comma stands before the end of the list")
            elif window.peek() != "]":
                raise ValueError("neither a comma nor the end of the list follows an entry")
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"the annotations {path} are not a JSON list of entries, at byte {window.offset}: {reason}. Is the file "
            "whole? Compare its size with the published one."
        ) from None


class _Window:
    """The part of a text that is being read.

    Attributes:
        offset: bytes of the file before the place that is read next.
    """

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self.offset = offset
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._ended = "", 0, False

    def peek(self) -> str:
        """The next character that is no white space; empty at the end of the file."""
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None
            self.offset += match.end() - self._at
            self._at = match.end()
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._read()

    def skip(self) -> None:
        """Go past a character of one byte."""
        self._at += 1
        self.offset += 1

    def value(self) -> tuple[int, int, Any]:
        """The JSON value that stands here: its offset, its bytes and itself."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._ended or len(self._text) - self._at > _LONGEST:
                    raise
            else:
                # A number is whole where something follows that ends it: 1 may be the beginning of 1.5.
                if self._ended or self._text[end : end + 1] in _ENDS or end - self._at > _LONGEST:
                    break
            self._read()
        start, size = self.offset, len(self._text[self._at : end].encode("utf-8"))
        self._at, self.offset = end, self.offset + size
        return start, size, value

    def _read(self) -> None:
        data = self._file.read(_CHUNK)
        self._ended = not data
        self._text = self._text[self._at :] + self._decode(data, final=not data)
        self._at = 0
