"""Drawing with indexed colours: sprites are drawn once with Pillow, pictures are pasted together as numpy arrays.

Shapes: a sprite or a picture is ``uint8[height, width]`` of palette indexes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

RGB = tuple[int, int, int]
Indexes = NDArray[np.uint8]

WHITE: RGB = (255, 255, 255)
BLACK: RGB = (0, 0, 0)

_RAMP = 12  # steps from a fill to an ink: enough for smooth glyph edges, few enough for several pairs in 256 colours


@lru_cache(maxsize=64)
def font(pixels: float, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans (the font of the paper's images), from the files that matplotlib installs.

    Args:
        pixels: size in pixels; a size of p points at 100 dpi is ``p * 100 / 72`` pixels.
        bold: the bold face.
    """
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), pixels, layout_engine=ImageFont.Layout.BASIC)


class Palette:
    """At most 256 colours: for each (fill, ink) pair the steps from the one to the other, so that edges stay smooth."""

    def __init__(self, *pairs: tuple[RGB, RGB]) -> None:
        steps = np.linspace(0, 1, _RAMP)[:, None]
        ramps = [(1 - steps) * np.array(fill) + steps * np.array(ink) for fill, ink in pairs]
        colours = np.concatenate(ramps).round().astype(np.int64)
        self.colours = np.array(sorted({tuple(int(v) for v in c) for c in colours}), dtype=np.int64)
        if len(self.colours) > 256:
            raise ValueError(f"a palette holds 256 colours, these pairs need {len(self.colours)}")

    def index(self, colour: RGB) -> int:
        """The index of the entry nearest to ``colour``."""
        return int(np.abs(self.colours - np.array(colour)).sum(axis=1).argmin())

    def quantise(self, picture: Image.Image) -> Indexes:
        """An RGB picture as the nearest palette entries."""
        rgb = np.asarray(picture.convert("RGB"), dtype=np.int64)
        packed, inverse = np.unique(rgb @ [1 << 16, 1 << 8, 1], return_inverse=True)
        colours = packed[:, None] >> [16, 8, 0] & 255
        nearest = np.abs(colours[:, None] - self.colours[None]).sum(axis=2).argmin(axis=1).astype(np.uint8)
        indexes: Indexes = nearest[inverse].reshape(rgb.shape[:2])
        return indexes

    def canvas(self, width: int, height: int, fill: RGB = WHITE) -> Indexes:
        """An empty picture."""
        return np.full((height, width), self.index(fill), dtype=np.uint8)

    def png(self, picture: Indexes) -> bytes:
        """The picture as a PNG file with 8-bit indexed colours; the bytes depend on the picture alone."""
        image = Image.fromarray(picture, mode="P")
        image.putpalette(self.colours.astype(np.uint8).tobytes())
        buffer = io.BytesIO()
        image.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


def paste(canvas: Indexes, sprite: Indexes, left: int, top: int) -> None:
    """Copy a sprite onto the canvas, in place; it must lie inside."""
    height, width = sprite.shape
    canvas[top : top + height, left : left + width] = sprite


def fitting_font(text: str, pixels: float, width: float, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The largest font up to ``pixels`` in which ``text`` is at most ``width`` pixels wide."""
    while font(pixels, bold=bold).getlength(text) > width and pixels > 4:
        pixels -= 0.5
    return font(pixels, bold=bold)


def draw_label(
    size: tuple[int, int],
    text: str,
    *,
    pixels: float,
    fill: RGB,
    ink: RGB,
    bold: bool = False,
    left: int | None = None,
    margin: int = 4,
) -> Image.Image:
    """A filled box with one line of text, shrunk where it would overflow.

    Args:
        size: (width, height) in pixels.
        text: the line; empty for a plain box.
        pixels: wished font size in pixels.
        fill: colour of the box.
        ink: colour of the text.
        bold: bold face.
        left: distance of the text from the left edge in pixels; None centres it.
        margin: least distance of the text from the edges in pixels.
    """
    width, height = size
    image = Image.new("RGB", size, fill)
    if text:
        face = fitting_font(text, pixels, width - margin - (margin if left is None else left), bold=bold)
        x, anchor = (width / 2, "mm") if left is None else (left, "lm")
        ImageDraw.Draw(image).text((x, height / 2), text, font=face, fill=ink, anchor=anchor)
    return image


def frame(image: Image.Image, colour: RGB, *, width: int = 1, sides: Sequence[str] = "ltrb") -> Image.Image:
    """Draw a frame on the inner edge of ``image`` on the given sides, in place."""
    right, bottom = image.width - 1, image.height - 1
    boxes = {
        "l": (0, 0, width - 1, bottom),
        "t": (0, 0, right, width - 1),
        "r": (right - width + 1, 0, right, bottom),
        "b": (0, bottom - width + 1, right, bottom),
    }
    draw = ImageDraw.Draw(image)
    for side in sides:
        draw.rectangle(boxes[side], fill=colour)
    return image
