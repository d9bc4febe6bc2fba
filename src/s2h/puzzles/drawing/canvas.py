"""Pictures in a few indexed colours, and their PNG files.

Text and shapes are drawn once with Pillow and kept as sprites; a picture is put together from sprites as a numpy
array. That, four bits a pixel, and a fast compressor are what makes a 1500 x 800 table in about a millisecond.

Shapes: a picture or a sprite is ``uint8[height, width]`` of palette indexes; ink is ``uint8[height, width]``, from 0
(none) to 255 (covered).
"""

from __future__ import annotations

import dataclasses
import importlib.util
import struct
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from zlib_ng import zlib_ng

RGB = tuple[int, int, int]
Indexes = NDArray[np.uint8]
Ink = NDArray[np.uint8]

WHITE: RGB = (255, 255, 255)
BLACK: RGB = (0, 0, 0)
NAVY: RGB = (0x40, 0x46, 0x6E)
"""Behind the names of rows and columns."""
TILE = 16
"""Side in pixels of a compact cell: one patch of the tiny model's vision tower."""
POINT = 100 / 72
"""Pixels in a point at 100 dpi, the resolution of the paper's images."""

_COMPRESSION = 2  # zlib-ng's levels from 2 find repeated runs; its output is the same on every processor


@lru_cache(maxsize=256)
def font(pixels: float, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans (the font of the paper's images), from the files that matplotlib installs.

    Args:
        pixels: size in pixels; a size of p points at 100 dpi is ``p * POINT`` pixels.
        bold: the bold face.
    """
    spec = importlib.util.find_spec("matplotlib")  # found, not imported: that would take half a second
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the fonts come with matplotlib, which is not installed")
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), pixels, layout_engine=ImageFont.Layout.BASIC)


def ramp(fill: RGB, ink: RGB, steps: int) -> list[RGB]:
    """``steps`` colours from ``fill`` to ``ink``, both included: what smooth edges of ink on a fill are made of."""
    mixed = [[round(f + (i - f) * step / (steps - 1)) for f, i in zip(fill, ink, strict=True)] for step in range(steps)]
    return [(r, g, b) for r, g, b in mixed]


class Palette:
    """Up to 256 colours; up to 16 take half a byte a pixel, which halves what is to be compressed."""

    def __init__(self, colours: Sequence[RGB]) -> None:
        self.colours = np.array(list(dict.fromkeys(colours)), dtype=np.int64)
        if len(self.colours) > 256:
            raise ValueError(f"a palette holds 256 colours, not {len(self.colours)}")
        self._bits = 4 if len(self.colours) <= 16 else 8

    def index(self, colour: RGB) -> int:
        """The index of a colour of this palette; any other raises ValueError."""
        found = np.flatnonzero((self.colours == colour).all(axis=1))
        if not len(found):
            raise ValueError(f"the palette has no colour {colour}")
        return int(found[0])

    def shades(self, fill: RGB, ink: RGB) -> Indexes:
        """For each amount of ink on a fill, from 0 to 255, the index of the nearest mixture of the two: ``uint8[256]``.

        Colours of other mixtures are left out, near as they may be: they would tint the edges.
        """
        change = np.array(ink) - np.array(fill)
        share = (self.colours - fill) @ change / np.square(change).sum()
        strange = np.abs(fill + share[:, None] * change - self.colours).max(axis=1) > 1  # they are rounded
        distance = np.abs(np.linspace(0, 1, 256)[:, None] - np.where(strange, np.inf, share))
        nearest: Indexes = distance.argmin(axis=1).astype(np.uint8)
        return nearest

    def canvas(self, width: int, height: int) -> Indexes:
        """A white picture, in the memory of the last one of this size: draw and encode one after the other."""
        canvas = _scratch("canvas", height, width)
        canvas.fill(self.index(WHITE))
        return canvas

    def png(self, picture: Indexes) -> bytes:
        """The picture as a PNG file; its bytes are a function of the picture alone."""
        height, width = picture.shape
        rows = _packed(picture) if self._bits == 4 else picture
        # Filter 2 (Up) stores each row as its difference from the one above, which is nothing in most of our rows.
        filtered = _scratch("filtered", height, rows.shape[1] + 1)
        filtered[:, 0] = 2
        filtered[0, 1:] = rows[0]
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
        return b"".join(
            (
                b"\x89PNG\r\n\x1a\n",
                _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, self._bits, 3, 0, 0, 0)),
                _chunk(b"PLTE", self.colours.astype(np.uint8).tobytes()),
                _chunk(b"IDAT", zlib_ng.compress(filtered, _COMPRESSION)),
                _chunk(b"IEND", b""),
            )
        )


@lru_cache(maxsize=64)
def _scratch(use: str, height: int, width: int) -> Indexes:
    """Memory that is used again for every picture: a fresh megabyte costs more than what is drawn into it."""
    return np.empty((height, width), dtype=np.uint8)


def _packed(picture: Indexes) -> Indexes:
    """Two pixels a byte, the left one in the higher half; the last byte of an odd row is half empty."""
    height, width = picture.shape
    if width % 2:
        picture = np.pad(picture, ((0, 0), (0, 1)))
    pairs = picture.view("<u2")  # left + 256 * right
    shifted = _scratch("shifted", height, 2 * pairs.shape[1]).view("<u2")
    packed = _scratch("packed", height, pairs.shape[1])
    np.multiply(pairs, 0x1001, out=shifted)  # the higher byte is now 16 * left + right
    np.right_shift(shifted, 8, out=shifted)
    np.copyto(packed, shifted, casting="unsafe")
    return packed


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib_ng.crc32(data, zlib_ng.crc32(kind)))


def paste(canvas: Indexes, sprite: Indexes, left: int, top: int) -> None:
    """Copy a sprite onto the canvas, in place; it must lie inside."""
    height, width = sprite.shape
    canvas[top : top + height, left : left + width] = sprite


def cells(canvas: Indexes, corner: tuple[int, int], counts: tuple[int, int], size: tuple[int, int]) -> Indexes:
    """A view of a part of the canvas as cells of one size: ``uint8[rows, columns, height, width]``.

    Args:
        canvas: what is drawn on.
        corner: (left, top) of the first cell in pixels.
        counts: (rows, columns) of cells.
        size: (width, height) of a cell in pixels; all cells must lie on the canvas.
    """
    (left, top), (rows, columns), (width, height) = corner, counts, size
    part = canvas[top : top + rows * height, left : left + columns * width]
    down, right = part.strides
    strides = (height * down, width * right, down, right)
    return np.lib.stride_tricks.as_strided(part, (rows, columns, height, width), strides)


def fitting_font(text: str, pixels: float, width: float, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The largest font up to ``pixels`` in which ``text`` is at most ``width`` pixels wide."""
    while font(pixels, bold=bold).getlength(text) > width and pixels > 4:
        pixels -= 0.5
    return font(pixels, bold=bold)


@dataclasses.dataclass(frozen=True, slots=True)
class Label:
    """A line of text as a sprite, and where it lies from the point that it is anchored at.

    Attributes:
        ink: the smallest box that holds all of the text.
        left: distance in pixels from the anchor to the box, negative to its left.
        top: distance in pixels from the anchor to the box, negative above it.
    """

    ink: Ink
    left: int
    top: int


def label(text: str, face: ImageFont.FreeTypeFont, *, anchor: str = "mm") -> Label:
    """A line of text, anchored in the middle of its line box (``mm``), or at its left end (``lm``).

    The line box is that of the font, not of the letters, so that words on one line stand on one base line.
    """
    reach = round(face.getlength(text) + 2 * face.size) + 2
    box = Image.new("L", (2 * reach, 2 * reach), 0)
    ImageDraw.Draw(box).text((reach, reach), text, font=face, fill=255, anchor=anchor)
    left, top, right, bottom = box.getbbox() or (reach, reach, reach, reach)
    return Label(np.asarray(box)[top:bottom, left:right], left - reach, top - reach)


def boxed_text(size: tuple[int, int], text: str, *, pixels: float, margin: int = 4) -> Ink:
    """One line of text in the middle of a box of ``size`` (width, height), shrunk where it would overflow.

    Args:
        size: of the box in pixels.
        text: the line; empty for no ink.
        pixels: wished font size in pixels.
        margin: least distance of the text from the left and right edges in pixels.
    """
    width, height = size
    box = Image.new("L", size, 0)
    face = fitting_font(text, pixels, width - 2 * margin)
    ImageDraw.Draw(box).text((width / 2, height / 2), text, font=face, fill=255, anchor="mm")
    return np.asarray(box)


def frame(sprite: Indexes, index: int, *, width: int = 1, sides: Sequence[str] = "ltrb") -> Indexes:
    """A copy of a sprite with a frame of one palette entry on the inner edge of the given sides."""
    framed = sprite.copy()
    height, length = sprite.shape
    for side in sides:
        rows = {"t": slice(width), "b": slice(height - width, None)}.get(side, slice(None))
        columns = {"l": slice(width), "r": slice(length - width, None)}.get(side, slice(None))
        framed[rows, columns] = index
    return framed
