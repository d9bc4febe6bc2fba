"""The same puzzles drawn in the two usual ways: with matplotlib, and with plain Pillow.

Both draw on a page of the paper's size and write a PNG file with their library's own defaults. Neither keeps anything
from one picture to the next but its fonts.
"""

from __future__ import annotations

import io
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import patches, pyplot
from PIL import Image, ImageDraw

from s2h.puzzles.analogy_panels import LATTICE, UNIT, Analogy
from s2h.puzzles.drawing.canvas import NAVY, POINT, font
from s2h.puzzles.drawing.panel_images import _STROKES, PAPER_PAGE
from s2h.puzzles.drawing.table_images import DIGITS, GREY, YELLOW, row_height
from s2h.puzzles.grid_navigation import DESTINATION, OBJECTS, OBSTACLES, SOURCE, Grid
from s2h.puzzles.table_task import Table

RGB = tuple[int, int, int]
Point = tuple[float, float]
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


class Pen(ABC):
    """Draws shapes and text on a page; lengths in pixels, y downwards."""

    @abstractmethod
    def polygon(self, points: Sequence[Point], fill: RGB, width: float) -> None:
        """A filled polygon with a black outline."""

    @abstractmethod
    def circle(self, middle: Point, radius: float, fill: RGB | None, width: float, colour: RGB) -> None:
        """A circle with an outline."""

    @abstractmethod
    def line(self, points: Sequence[Point], colour: RGB, width: float) -> None:
        """A line through some points."""

    @abstractmethod
    def text(self, at: Point, text: str, *, points: float, colour: RGB, bold: bool = False, left: bool = False) -> None:
        """One line of text, in the middle of ``at`` or with its left end there."""

    @abstractmethod
    def png(self) -> bytes:
        """The page as a PNG file."""

    def box(self, left: float, top: float, width: float, height: float, fill: RGB, outline: float) -> None:
        """A filled rectangle with a black outline."""
        corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
        self.polygon(corners, fill, outline)


class MatplotlibPen(Pen):
    """With matplotlib, as figures are drawn: an artist for every shape and text."""

    def __init__(self, width: int, height: int) -> None:
        self.figure = pyplot.figure(figsize=(width / 100, height / 100), dpi=100)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")

    def polygon(self, points: Sequence[Point], fill: RGB, width: float) -> None:
        shape = patches.Polygon(points, facecolor=_unit(fill), edgecolor="black", linewidth=width / POINT)
        self.axes.add_patch(shape)

    def circle(self, middle: Point, radius: float, fill: RGB | None, width: float, colour: RGB) -> None:
        face = _unit(fill) if fill else "none"
        self.axes.add_patch(
            patches.Circle(middle, radius, facecolor=face, edgecolor=_unit(colour), linewidth=width / POINT)
        )

    def line(self, points: Sequence[Point], colour: RGB, width: float) -> None:
        self.axes.plot(*zip(*points, strict=True), color=_unit(colour), linewidth=width / POINT)

    def text(self, at: Point, text: str, *, points: float, colour: RGB, bold: bool = False, left: bool = False) -> None:
        weight = "bold" if bold else "normal"
        side = "left" if left else "center"
        self.axes.text(*at, text, fontsize=points, color=_unit(colour), weight=weight, ha=side, va="center")

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=100)
        pyplot.close(self.figure)
        return buffer.getvalue()


class PillowPen(Pen):
    """With Pillow's ImageDraw on an RGB page."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), WHITE)
        self.draw = ImageDraw.Draw(self.image)

    def polygon(self, points: Sequence[Point], fill: RGB, width: float) -> None:
        self.draw.polygon(list(points), fill=fill, outline=BLACK, width=max(1, round(width)))

    def circle(self, middle: Point, radius: float, fill: RGB | None, width: float, colour: RGB) -> None:
        x, y = middle
        box = (x - radius, y - radius, x + radius, y + radius)
        self.draw.ellipse(box, fill=fill, outline=colour, width=max(1, round(width)))

    def line(self, points: Sequence[Point], colour: RGB, width: float) -> None:
        self.draw.line(list(points), fill=colour, width=max(1, round(width)))

    def text(self, at: Point, text: str, *, points: float, colour: RGB, bold: bool = False, left: bool = False) -> None:
        self.draw.text(at, text, font=font(points * POINT, bold=bold), fill=colour, anchor="lm" if left else "mm")

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self.image.save(buffer, "PNG")
        return buffer.getvalue()


def _unit(colour: RGB) -> tuple[float, ...]:
    return tuple(part / 255 for part in colour)


def draw_table(pen: Pen, puzzle: Table) -> None:
    """The paper's table."""
    rows, columns = len(puzzle.row_names), len(puzzle.column_names)
    height, label = row_height(rows), 300
    width, top = (1420 - label) / columns, (800 - row_height(rows) * (rows + 1)) / 2
    path = set(puzzle.path)
    for column, name in enumerate(puzzle.column_names):
        x = label + column * width
        pen.box(x, top, width, height, NAVY, 1)
        pen.text((x + width / 2, top + height / 2), name, points=14, colour=WHITE, bold=True)
    for row, name in enumerate(puzzle.row_names):
        y = top + (row + 1) * height
        pen.box(0, y, label, height, NAVY, 1)
        pen.text((32, y + height / 2), name, points=16, colour=WHITE, bold=True, left=True)
        for column, value in enumerate(puzzle.values[row]):
            x = label + column * width
            pen.box(x, y, width, height, YELLOW if (row, column) in path else GREY, 1)
            pen.text((x + width / 2, y + height / 2), DIGITS[value], points=16, colour=BLACK)


def draw_grid(pen: Pen, puzzle: Grid) -> None:
    """The paper's grid."""
    rows, columns = puzzle.shape
    side = min(775 // columns, 770 // rows)
    left, top = 125 + (775 - side * columns) / 2, 120 + (770 - side * rows) / 2
    symbols, fills = OBJECTS | OBSTACLES, {SOURCE: (0x87, 0xCE, 0xEB), DESTINATION: (0, 0x64, 0)}
    for row, words in enumerate(puzzle.cells):
        pen.text((left - 20, top + (row + 0.5) * side), "abcdefghijkl"[row], points=20, colour=BLACK)
        for column, word in enumerate(words):
            x, y = left + column * side, top + row * side
            pen.box(x, y, side, side, fills.get(word, WHITE), 3)
            if word in symbols:
                pen.text((x + side / 2, y + side / 2), symbols[word], points=40, colour=BLACK)
    for column in range(columns):
        at = (left + (column + 0.5) * side, top + rows * side + 20)
        pen.text(at, "abcdefghijkl"[column], points=20, colour=BLACK)


def draw_analogy(pen: Pen, puzzle: Analogy) -> None:
    """The paper's page of panels."""
    page = PAPER_PAGE
    shown = (*puzzle.examples[0], *puzzle.examples[1], *puzzle.query, *puzzle.options)
    for (left, top), panel in zip((*page.rows[:-1], *page.options), shown, strict=True):
        pen.box(left, top, page.panel, page.panel, WHITE, 1)
        for thing in panel.things:
            colour = (thing.colour,) * 3
            if panel.family == "lines" and thing.type == "circle":
                pen.circle((left + page.panel / 2, top + page.panel / 2), 0.2 * page.panel, None, page.line, colour)
            elif panel.family == "lines":
                points = [(left + x * page.panel, top + y * page.panel) for x, y in _STROKES[thing.type]]
                pen.line(points, colour, page.line)
            else:
                row, column = divmod(thing.cell, LATTICE)
                middle = (left + page.lattice[column], top + page.lattice[row])
                _draw_shape(pen, thing.type, middle, thing.size * page.panel / UNIT / 2, colour, page.outline)
    left, top = page.rows[-1]
    pen.box(left, top, page.panel, page.panel, WHITE, 1)
    pen.text((left + page.panel / 2, top + page.panel / 2), "?", points=50, colour=BLACK)


def _draw_shape(pen: Pen, kind: str, middle: Point, radius: float, fill: RGB, outline: float) -> None:
    if kind == "circle":
        pen.circle(middle, radius, fill, outline, BLACK)
        return
    corners = {"triangle": 3, "rectangle": 4, "pentagon": 5, "hexagon": 6}[kind]
    angles = [2 * math.pi * i / corners - math.pi / 2 for i in range(corners)]
    pen.polygon([(middle[0] + radius * math.cos(a), middle[1] + radius * math.sin(a)) for a in angles], fill, outline)


SCENES: dict[str, tuple[Callable[[Pen, Any], None], tuple[int, int]]] = {
    "consecutive_table_readout": (draw_table, (1500, 800)),
    "table_readout": (draw_table, (1500, 800)),
    "grid_navigation": (draw_grid, (1000, 1000)),
    "visual_analogy": (draw_analogy, (800, 900)),
}
"""For each task how it is drawn, and on a page of which width and height."""


def draw_with(pen: type[Pen], task: str, puzzle: Any) -> bytes:
    """A puzzle's PNG file, drawn with ``pen``."""
    scene, size = SCENES[task]
    drawn = pen(*size)  # type: ignore[call-arg]
    scene(drawn, puzzle)
    return drawn.png()
