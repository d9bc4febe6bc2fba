"""Grids of symbols: the paper's page, and the compact image of the tiny model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from s2h.puzzles.drawing.canvas import (
    BLACK,
    NAVY,
    POINT,
    RGB,
    TILE,
    WHITE,
    Indexes,
    Palette,
    boxed_text,
    cells,
    font,
    frame,
    label,
    paste,
    ramp,
)

SOURCE_COLOUR: RGB = (0x87, 0xCE, 0xEB)
DESTINATION_COLOUR: RGB = (0x00, 0x64, 0x00)

PAGE = (1000, 1000)
"""Width and height in pixels."""
_AREA = (125, 120, 775, 770)  # left, top, width and height in pixels of the part of the page that the grid may fill
_BORDER = 3  # pixels; 2 points in the paper
_LETTER_BOX = 36  # pixels; room for a row's or column's letter

_PALETTE = Palette([*ramp(WHITE, BLACK, 9), SOURCE_COLOUR, DESTINATION_COLOUR, *ramp(NAVY, WHITE, 5)])
_SHADES = _PALETTE.shades(WHITE, BLACK)
_HEAD_SHADES = _PALETTE.shades(NAVY, WHITE)
_BLACK = _PALETTE.index(BLACK)


def draw_page(
    grid: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    symbols: Mapping[str, str],
    fills: Mapping[str, RGB],
) -> bytes:
    """The paper's page as a PNG file: square cells in the middle, letters left of the rows and under the columns.

    Args:
        grid: one word a cell, one sequence a row.
        rows: a letter for each row.
        columns: a letter for each column.
        symbols: what is drawn for a word; nothing where it has no entry.
        fills: colours of the cells that are not white, by word.
    """
    left, top, width, height = _AREA
    side = min(width // len(columns), height // len(rows))
    x = left + (width - side * len(columns)) // 2
    y = top + (height - side * len(rows)) // 2
    canvas = _PALETTE.canvas(*PAGE)
    field = cells(canvas, (x, y), (len(rows), len(columns)), (side, side))
    for row, words in enumerate(grid):
        paste(canvas, _letter(rows[row], (_LETTER_BOX, side)), x - _LETTER_BOX, y + row * side)
        for column, word in enumerate(words):
            field[row, column] = _cell(symbols.get(word, ""), fills.get(word, WHITE), side)
    for column, letter in enumerate(columns):
        paste(canvas, _letter(letter, (side, _LETTER_BOX)), x + column * side, y + side * len(rows) + _BORDER)
    right, bottom = x + side * len(columns), y + side * len(rows)
    canvas[y : bottom + _BORDER, right : right + _BORDER] = _BLACK
    canvas[bottom : bottom + _BORDER, x : right + _BORDER] = _BLACK
    return _PALETTE.png(canvas)


@lru_cache(maxsize=1024)
def _letter(letter: str, size: tuple[int, int]) -> Indexes:
    return _SHADES[boxed_text(size, letter, pixels=20 * POINT)]


@lru_cache(maxsize=2048)
def _cell(symbol: str, fill: RGB, side: int) -> Indexes:
    """A cell with the border at its left and top; what is right and below belongs to the neighbours."""
    box = _filled(fill, _centred(symbol, 40 * POINT, side + _BORDER))
    return frame(box, _BLACK, width=_BORDER, sides="lt")[:side, :side]


def _filled(fill: RGB, ink: Indexes) -> Indexes:
    """Black ink on white, or a plain box of another colour: source and destination hold no symbol."""
    return _SHADES[ink] if fill == WHITE else np.full(ink.shape, _PALETTE.index(fill), dtype=np.uint8)


def _centred(symbol: str, pixels: float, side: int) -> Indexes:
    """A symbol in the middle of a square, by the box of its ink.

    The paper centres line boxes, so that some of its symbols sit high.
    """
    box = np.zeros((side, side), dtype=np.uint8)
    if symbol:
        ink = label(symbol, font(pixels)).ink
        paste(box, ink, (side - ink.shape[1]) // 2, (side - ink.shape[0]) // 2)
    return box


def draw_compact(
    grid: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    symbols: Mapping[str, str],
    fills: Mapping[str, RGB],
    side: int,
) -> bytes:
    """A square PNG file of 16-pixel tiles, letters above and to the left: one patch of the tower is one cell."""
    canvas = _PALETTE.canvas(side, side)
    for column, letter in enumerate(columns):
        paste(canvas, _head(letter), (column + 1) * TILE, 0)
    for row, words in enumerate(grid):
        paste(canvas, _head(rows[row]), 0, (row + 1) * TILE)
        for column, word in enumerate(words):
            tile = _tile(symbols.get(word, ""), fills.get(word, WHITE))
            paste(canvas, tile, (column + 1) * TILE, (row + 1) * TILE)
    return _PALETTE.png(canvas)


@lru_cache(maxsize=64)
def _head(letter: str) -> Indexes:
    """A row's or column's letter in white on navy."""
    return frame(_HEAD_SHADES[boxed_text((TILE, TILE), letter, pixels=13, margin=0)], _BLACK, sides="lt")


@lru_cache(maxsize=256)
def _tile(symbol: str, fill: RGB) -> Indexes:
    """A compact cell, its symbol as large as fits and centred by its ink; the frame takes the left and top."""
    box = Image.new("L", (TILE, TILE), 0)
    sizes = (font(pixels) for pixels in range(TILE + 1, 1, -1))
    face = next(face for face in sizes if _ink_fits(face.getbbox(symbol)))
    left, top, right, bottom = face.getbbox(symbol)
    corner = ((TILE + 1 - left - right) / 2, (TILE + 1 - top - bottom) / 2)
    ImageDraw.Draw(box).text(corner, symbol, font=face, fill=255)
    return frame(_filled(fill, np.asarray(box)), _BLACK, sides="lt")


def _ink_fits(box: tuple[float, float, float, float]) -> bool:
    """Whether ink (left, top, right, bottom) leaves a pixel of margin inside a compact cell's frame."""
    left, top, right, bottom = box
    return max(right - left, bottom - top) <= TILE - 3
