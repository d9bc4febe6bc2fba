"""The page of a Visual Analogy: panels with lines or shapes, a question mark, and the options."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from s2h.puzzles.analogy_panels import LATTICE, UNIT, Panel
from s2h.puzzles.drawing.canvas import POINT, Indexes, Palette, boxed_text, frame, paste

_GREYS = (0, 23, 45, 68, 90, 112, 135, 153, 171, 189, 200, 211, 222, 233, 244, 255)
"""Grey levels of the objects, and levels between them for anti-aliased edges."""
_PALETTE = Palette([(grey, grey, grey) for grey in _GREYS])
_LEVELS = np.array(_GREYS, dtype=np.float32)
_NEAREST = _PALETTE.shades((0, 0, 0), (255, 255, 255))
"""The palette's index of each grey level: ``uint8[256]``."""

_OVERSAMPLE = 8  # each pixel is the mean of 8 x 8 finer ones, so that edges are smooth
_CORNERS = {"pentagon": 5, "hexagon": 6}
_STROKES: dict[str, tuple[tuple[float, float], ...]] = {
    "falling": ((0, 0), (1, 1)),
    "rising": ((0, 1), (1, 0)),
    "horizontal": ((0, 0.5), (1, 0.5)),
    "vertical": ((0.5, 0), (0.5, 1)),
    "diamond": ((0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5), (0.5, 0)),
    "v-up": ((0, 0), (0.5, 1), (1, 0)),
    "v-down": ((0, 1), (0.5, 0), (1, 1)),
    "v-left": ((0, 0), (1, 0.5), (0, 1)),
    "v-right": ((1, 0), (0, 0.5), (1, 1)),
}
"""Corners (x, y) of each line type in a panel of side 1; a V is named after the side to which it opens."""


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """Where panels stand and how they are drawn; lengths in pixels.

    Attributes:
        size: (width, height) of the page.
        panel: side of a panel, with its frame.
        rows: (left, top) of the nine panels of examples and query, in reading order.
        options: (left, top) of the four options.
        lattice: distance from a panel's edge to the middle of the first, second and third place of a shape.
        line: width of a line.
        outline: width of a shape's outline.
        mark: font size of the question mark.
    """

    size: tuple[int, int]
    panel: int
    rows: tuple[tuple[int, int], ...]
    options: tuple[tuple[int, int], ...]
    lattice: tuple[float, float, float]
    line: float
    outline: float
    mark: float


PAPER_PAGE = Page(
    size=(800, 900),
    panel=189,
    rows=tuple((x, y) for y in (4, 205, 405) for x in (108, 306, 504)),
    options=tuple((x, 707) for x in (6, 206, 406, 606)),
    lattice=(0.2 * 189, 0.5 * 189, 0.8 * 189),
    line=4 * 189 / UNIT,
    outline=2 * 189 / UNIT,
    mark=50 * POINT,
)
"""The paper's page, 8 x 9 inches at 100 dpi."""

COMPACT_PAGE = Page(
    size=(128, 128),
    panel=32,
    rows=tuple((x, y) for y in (0, 32, 64) for x in (0, 32, 64)),
    options=tuple((x, 96) for x in (0, 32, 64, 96)),
    lattice=(6.5, 15.5, 24.5),  # middles of pixels, so that a shape is the same pixels wherever it stands
    line=2,
    outline=1,
    mark=20,
)
"""A panel is two patches of the tiny model's vision tower on each side."""


def draw_page(page: Page, rows: Sequence[Panel], options: Sequence[Panel]) -> bytes:
    """The puzzle as a PNG file: eight panels, a question mark in the ninth place, and the options below.

    A page that is larger than it needs to be is white at its right and bottom.
    """
    canvas = _PALETTE.canvas(*page.size)
    np.copyto(canvas, _blank(page))
    for panel, place in zip((*rows, *options), (*page.rows[:-1], *page.options), strict=True):
        draw_panel(canvas, page, panel, place)
    return _PALETTE.png(canvas)


def draw_panel(canvas: Indexes, page: Page, panel: Panel, place: tuple[int, int]) -> None:
    """Draw what a panel shows into its frame at ``place`` (left, top), in place; later lines lie over earlier ones."""
    left, top = place
    if panel.family == "lines":
        start = (top + 1) * page.size[0] + left + 1
        for line in panel.things:
            places, cover = _stroke(page, line.type)
            _blend(canvas.reshape(-1), start + places, cover, line.colour)
        return
    for shape in panel.things:
        sprite = _shape(page, shape.type, shape.colour, shape.size)
        row, column = divmod(shape.cell, LATTICE)
        half = len(sprite) / 2
        paste(canvas, sprite, left + int(page.lattice[column] - half), top + int(page.lattice[row] - half))


def _blend(pixels: Indexes, places: NDArray[np.intp], cover: NDArray[np.float32], grey: int) -> None:
    """Mix a grey level into the pixels at ``places``, in place, as much as each of them is covered."""
    below = _LEVELS[pixels[places]]
    pixels[places] = _NEAREST[np.rint(below + cover * (np.float32(grey) - below)).astype(np.intp)]


@lru_cache(maxsize=8)
def _blank(page: Page) -> Indexes:
    """The page with empty panels and the question mark."""
    canvas = _PALETTE.canvas(*page.size).copy()
    for place in (*page.rows, *page.options):
        ink = boxed_text((page.panel,) * 2, "?" if place == page.rows[-1] else "", pixels=page.mark)
        paste(canvas, frame(_NEAREST[255 - ink], 0), *place)
    return canvas


@lru_cache(maxsize=64)
def _stroke(page: Page, line_type: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The pixels that a line covers, and how much of each, from 0 to 1.

    A pixel is given by its distance along the page's pixels in reading order from the panel's first inside the frame.
    """
    side = (page.panel - 2) * _OVERSAMPLE
    width = round(page.line * _OVERSAMPLE)
    fine = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(fine)
    if line_type == "circle":
        radius = 0.2 * side + width / 2
        draw.ellipse(_square((side / 2, side / 2), radius), outline=255, width=width)
    else:
        points = [(x * (side - 1), y * (side - 1)) for x, y in _STROKES[line_type]]
        for pair in pairwise(points):
            draw.line(pair, fill=255, width=width)
        for point in points:  # round ends close the corners
            draw.ellipse(_square(point, width / 2), fill=255)
    cover = np.asarray(fine.reduce(_OVERSAMPLE), dtype=np.float32) / np.float32(255)
    ys, xs = np.nonzero(cover)
    return ys * page.size[0] + xs, cover[ys, xs]


@lru_cache(maxsize=256)
def _shape(page: Page, shape_type: str, colour: int, size: int) -> Indexes:
    """A shape in the middle of a white square, at most as large as the distance between two places."""
    diameter = round(size * page.panel / UNIT)
    side = diameter
    if shape_type == "triangle":  # wider than high; an even surplus keeps the middle where it is in the other shapes
        side += min(2 * math.ceil(0.075 * diameter), (int(page.lattice[1] - page.lattice[0]) - diameter) // 2 * 2)
    fine = Image.new("L", (side * _OVERSAMPLE,) * 2, 255)
    draw = ImageDraw.Draw(fine)
    outline = page.outline * _OVERSAMPLE
    for inset, fill in ((0.0, 0), (outline, colour)):
        if shape_type == "circle":
            middle = (fine.width - 1) / 2
            draw.ellipse(_square((middle, middle), (diameter * _OVERSAMPLE - 1) / 2 - inset), fill=fill)
        else:
            draw.polygon(_polygon(shape_type, fine.width, diameter * _OVERSAMPLE, inset), fill=fill)
    sprite: Indexes = _NEAREST[np.asarray(fine.reduce(_OVERSAMPLE))]
    return sprite


def _polygon(shape_type: str, side: int, diameter: float, inset: float) -> list[tuple[float, float]]:
    """Corners of a polygon in the middle of a square sprite; each of its edges moved inwards by ``inset``."""
    middle = (side - 1) / 2
    radius = (diameter - 1) / 2  # so that the outermost points are pixels of the sprite
    if shape_type == "triangle":
        wide = min(1.15 * diameter, side - 1) / 2
        slope = math.hypot(wide, diameter)  # length of a slanted side
        rise = inset * slope / wide  # how far the tip sinks when the slanted sides move inwards
        base = (diameter - rise - inset) * wide / diameter
        bottom = middle + radius - inset
        return [(middle, middle - radius + rise), (middle + base, bottom), (middle - base, bottom)]
    if shape_type == "rectangle":
        low, high = middle - radius + inset, middle + radius - inset
        return [(low, low), (high, low), (high, high), (low, high)]
    corners = _CORNERS[shape_type]
    reach = radius - inset / math.cos(math.pi / corners)
    angles = [2 * math.pi * i / corners - math.pi / 2 for i in range(corners)]
    return [(middle + reach * math.cos(angle), middle + reach * math.sin(angle)) for angle in angles]


def _square(middle: tuple[float, float], radius: float) -> tuple[float, float, float, float]:
    return middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius
