"""Tables of digits with highlighted cells: the paper's page, and the compact image of the tiny model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from s2h.puzzles.drawing.canvas import (
    BLACK,
    NAVY,
    POINT,
    RGB,
    TILE,
    WHITE,
    Indexes,
    Label,
    Palette,
    boxed_text,
    cells,
    fitting_font,
    font,
    frame,
    label,
    paste,
    ramp,
)

Cell = tuple[int, int]
"""(row, column), both from 0."""

DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
GREY: RGB = (0xF5, 0xF5, 0xF5)
YELLOW: RGB = (255, 255, 0)

PAGE = (1500, 800)
"""Width and height in pixels; 15 x 8 inches at 100 dpi in the paper."""
MOST_ROWS = 14
"""Rows of the paper's page that leave room for the words."""
MARGIN = 4
"""Least distance in pixels of a column's name from the edges of its cell."""
_RIGHT = 1420  # right edge of the table, between the paper's 1400 and 1430 pixels
_INDENT = 32  # pixels from the left edge to the names of rows

_BODY, _PATH, _HEAD = range(3)  # kinds of cells
_COLOURS = ((GREY, BLACK), (YELLOW, BLACK), (NAVY, WHITE))
_PALETTE = Palette([*ramp(GREY, BLACK, 6), *ramp(YELLOW, BLACK, 6), *ramp(NAVY, WHITE, 5)])
_FILLS = np.array([_PALETTE.index(fill) for fill, _ in _COLOURS], dtype=np.uint8)
_SHADES = [_PALETTE.shades(*colours) for colours in _COLOURS]
_BLACK = _PALETTE.index(BLACK)


def row_height(rows: int) -> int:
    """Height in pixels of a row: the paper's 77 for up to nine rows, 69 for ten, 61 for eleven, 53 for twelve."""
    return min(77, 149 - 8 * rows)


def draw_page(
    row_names: Sequence[str], column_names: Sequence[str], values: Sequence[Sequence[int]], path: Collection[Cell]
) -> bytes:
    """The paper's page as a PNG file: words for digits, no cell above the names of rows.

    The table stands at the left edge, in the middle from top to bottom.

    Args:
        row_names: at most ``MOST_ROWS``.
        column_names: shrunk where they would overflow their cells.
        values: digits, one sequence a row.
        path: the highlighted cells.
    """
    rows, columns = len(row_names), len(column_names)
    height, x = row_height(rows), _label_width(row_names)
    width = (_RIGHT - x) // columns
    top = (PAGE[1] - height * (rows + 1)) // 2
    canvas = _PALETTE.canvas(*PAGE)
    canvas[top + height : top + height * (rows + 1), :x] = _FILLS[_HEAD]
    for row, name in enumerate(row_names, 1):
        _put(canvas, _name(name), _INDENT, top + row * height + height // 2)
    canvas[top : top + height, x : x + width * columns] = _FILLS[_HEAD]
    for column, name in enumerate(column_names):
        _put(canvas, _head(name, width), x + column * width + width // 2, top + height // 2)
    body = cells(canvas, (x, top + height), (rows, columns), (width, height))
    _draw_body(body, np.array(values), _marks((rows, columns), path))
    canvas[top + height : top + height * (rows + 1) + 1 : height, : x + width * columns + 1] = _BLACK
    canvas[top : top + height * (rows + 1), x : x + width * columns + 1 : width] = _BLACK
    canvas[top, x : x + width * columns + 1] = _BLACK
    canvas[top + height : top + height * (rows + 1), 0] = _BLACK
    return _PALETTE.png(canvas)


def _marks(shape: tuple[int, int], path: Collection[Cell]) -> NDArray[np.intp]:
    """The kind of each cell of the body."""
    marks = np.full(shape, _BODY)
    for cell in path:
        marks[cell] = _PATH
    return marks


def _draw_body(body: Indexes, values: NDArray[np.intp], marks: NDArray[np.intp]) -> None:
    """Backgrounds and words of all cells, in place: ``body`` is ``uint8[rows, columns, height, width]``."""
    words = _words()
    top, left = ((size - box) // 2 for size, box in zip(body.shape[2:], words.shape[2:], strict=True))
    body[:] = _FILLS[marks][:, :, None, None]
    body[:, :, top : top + words.shape[2], left : left + words.shape[3]] = words[marks, values]


@lru_cache(maxsize=1)
def _words() -> Indexes:
    """The digits' words, each in the middle of its box, by kind and value: ``uint8[2, 10, height, width]``."""
    labels = [label(word, font(16 * POINT)) for word in DIGITS]
    down = max(max(-word.top, word.top + word.ink.shape[0]) for word in labels)
    right = max(max(-word.left, word.left + word.ink.shape[1]) for word in labels)
    ink = np.zeros((len(DIGITS), 2 * down, 2 * right), dtype=np.uint8)
    for box, word in zip(ink, labels, strict=True):
        paste(box, word.ink, right + word.left, down + word.top)
    return np.stack([_SHADES[_BODY][ink], _SHADES[_PATH][ink]])


def _put(canvas: Indexes, text: Label, x: int, y: int) -> None:
    """A name in its navy cell, anchored at (x, y)."""
    paste(canvas, _SHADES[_HEAD][text.ink], x + text.left, y + text.top)


@lru_cache(maxsize=4096)
def _head(name: str, width: int) -> Label:
    pixels = (14 if len(name) > 6 else 16) * POINT
    return label(name, fitting_font(name, pixels, width - 2 * MARGIN, bold=True))


@lru_cache(maxsize=1024)
def _name(name: str) -> Label:
    return label(name, font(16 * POINT, bold=True), anchor="lm")


def _label_width(names: Sequence[str]) -> int:
    return round(max(_length(name) for name in names)) + _INDENT + 16


@lru_cache(maxsize=1024)
def _length(name: str) -> float:
    return font(16 * POINT, bold=True).getlength(name)


def draw_compact(
    row_names: Sequence[str],
    column_names: Sequence[str],
    values: Sequence[Sequence[int]],
    path: Collection[Cell],
    *,
    side: int,
) -> bytes:
    """A square PNG file of 16-pixel tiles, the table at its top left: one patch of the vision tower is one cell."""
    canvas = _PALETTE.canvas(side, side)
    for column, name in enumerate(column_names):
        paste(canvas, _tile(name, _HEAD), (column + 1) * TILE, 0)
    for row, name in enumerate(row_names):
        paste(canvas, _tile(name, _HEAD), 0, (row + 1) * TILE)
        for column, value in enumerate(values[row]):
            kind = _PATH if (row, column) in path else _BODY
            paste(canvas, _tile(str(value), kind), (column + 1) * TILE, (row + 1) * TILE)
    return _PALETTE.png(canvas)


@lru_cache(maxsize=256)
def _tile(text: str, kind: int) -> Indexes:
    ink = boxed_text((TILE, TILE), text, pixels=12, margin=0)
    return frame(_SHADES[kind][ink], _BLACK, sides="lt")
