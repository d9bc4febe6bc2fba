"""The panels of Visual Analogy: the objects that they show, the relations between their values, and their drawing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from s2h.errors import DataError
from s2h.puzzles import drawing
from s2h.puzzles.drawing import BLACK, WHITE, Indexes

Family = Literal["lines", "shapes"]
Attribute = Literal[
    "line type", "line colour", "shape type", "shape colour", "shape size", "shape quantity", "shape position"
]
Relation = Literal["AND", "OR", "XOR", "Progression"]
Pair = tuple[Attribute, Relation]
Values = frozenset[str | int]
"""The values that a panel shows of one attribute; a set of one number for the quantity."""

RELATIONS: tuple[Relation, ...] = get_args(Relation)
ATTRIBUTES: dict[Family, tuple[Attribute, ...]] = {
    "lines": ("line type", "line colour"),
    "shapes": ("shape type", "shape colour", "shape size", "shape quantity", "shape position"),
}
PAIRS: tuple[Pair, ...] = tuple(
    (attribute, relation)
    for attribute in get_args(Attribute)
    for relation in RELATIONS
    if attribute != "shape quantity" or relation == "Progression"
)
"""The 25 combinations of an attribute and a relation; set relations are not defined on a quantity."""

LATTICE = 3
"""Places of shapes along each side of a panel; a shape's cell is ``LATTICE * row + column``."""
MOST_SHAPES = 5
LINE_TYPES = (
    "falling", "rising", "horizontal", "vertical", "diamond", "circle", "v-up", "v-down", "v-left", "v-right",
)  # fmt: skip
SHAPE_TYPES = ("circle", "rectangle", "triangle", "pentagon", "hexagon")
LINE_COLOURS = (0, 90, 135, 189)
SHAPE_COLOURS = (0, 90, 135, 189, 255)
DIRECTIONS = (((0, 1), (0, 2)), ((1, 0), (2, 0)), ((1, 1), (1, 2), (2, 1), (2, 2)))
"""Steps (rows, columns) on the lattice, which wraps around: horizontal, vertical, diagonal."""

UNIT = 160
"""Sizes are in units of 1/160 of a panel's side."""

_FIELDS = {"type": "type", "colour": "colour", "size": "size", "position": "cell"}


@dataclasses.dataclass(frozen=True, slots=True)
class Thing:
    """A line or a shape.

    Attributes:
        type: one of ``LINE_TYPES`` or ``SHAPE_TYPES``.
        colour: grey level, 0 is black and 255 white.
        size: diameter or side in units of 1/160 panel; 0 for a line, which spans the panel.
        cell: place of a shape on the lattice, in reading order from 0; -1 for a line.
    """

    type: str
    colour: int
    size: int = 0
    cell: int = -1


@dataclasses.dataclass(frozen=True, slots=True)
class Panel:
    """What one image of the puzzle shows.

    Attributes:
        family: whether it shows lines or shapes.
        things: lines in the order of ``LINE_TYPES``, each type at most once; shapes in the order of their cells.
    """

    family: Family
    things: tuple[Thing, ...]

    def values(self, attribute: Attribute) -> Values:
        """The values of an attribute of this panel's family."""
        if attribute == "shape quantity":
            return frozenset({len(self.things)})
        field = _FIELDS[attribute.split()[1]]
        return frozenset(getattr(thing, field) for thing in self.things)


Row = tuple[Panel, Panel, Panel]
Context = tuple[Panel, Panel]
"""The first two panels of a row."""


def family_of(attribute: Attribute) -> Family:
    """The family whose panels have this attribute."""
    return "lines" if attribute in ATTRIBUTES["lines"] else "shapes"


def fits(pair: Pair, row: Sequence[Values]) -> bool:
    """Whether the values of three panels follow the relation of ``pair`` on its attribute.

    AND, OR and XOR: the third set is the intersection, union or symmetric difference of the first two, and not empty.
    Progression: types grow (each set lies strictly inside the next), positions move twice by one step, and of any other
    attribute each panel has a single value, which strictly rises or strictly falls.
    """
    attribute, relation = pair
    first, second, third = row
    if relation != "Progression":
        return attribute != "shape quantity" and bool(third) and third == _combine(relation, first, second)
    if attribute.endswith("type"):
        return first < second < third
    if attribute == "shape position":
        return any(_shift(first, step) == second and _shift(second, step) == third for step in _steps())
    if any(len(values) != 1 for values in row):
        return False
    a, b, c = (int(value) for values in row for value in values)
    return a < b < c or a > b > c


def patterns(row: Sequence[Panel]) -> tuple[Pair, ...]:
    """All combinations that three panels of one family follow."""
    found: list[Pair] = []
    for attribute in ATTRIBUTES[row[0].family]:
        values = [panel.values(attribute) for panel in row]
        found += [(attribute, relation) for relation in RELATIONS if fits((attribute, relation), values)]
    return tuple(found)


def completions(pair: Pair, first: Values, second: Values, domain: Sequence[str | int]) -> list[Values]:
    """The third panel's value sets that continue two panels by ``pair`` and by no other relation on its attribute.

    Types grow by exactly one, as in the paper.
    """
    attribute, relation = pair
    candidates: list[Values] = [frozenset({value}) for value in domain]
    if relation != "Progression":
        candidates = [_combine(relation, first, second)]
    elif attribute.endswith("type"):
        candidates = [second | values for values in candidates if not values <= second]
    elif attribute == "shape position":
        candidates = [_shift(second, step) for step in _steps() if _shift(first, step) == second][:1]
    return [third for third in candidates if _followed(attribute, (first, second, third)) == [relation]]


def _followed(attribute: Attribute, row: Sequence[Values]) -> list[Relation]:
    return [relation for relation in RELATIONS if fits((attribute, relation), row)]


def _combine(relation: Relation, first: Values, second: Values) -> Values:
    both, either = first & second, first | second
    return {"AND": both, "OR": either, "XOR": either - both}[relation]


def _steps() -> Iterable[tuple[int, int]]:
    return (step for steps in DIRECTIONS for step in steps)


def _shift(cells: Values, step: tuple[int, int]) -> Values:
    return frozenset(shifted(int(cell), step) for cell in cells)


def shifted(cell: int, step: tuple[int, int]) -> int:
    """The cell that lies a step (rows, columns) away on the lattice, which wraps around."""
    row, column = divmod(cell, LATTICE)
    return (row + step[0]) % LATTICE * LATTICE + (column + step[1]) % LATTICE


@dataclasses.dataclass(frozen=True, slots=True)
class Analogy:
    """Two complete rows of panels, a row without its last panel, and the panels to choose from.

    Attributes:
        examples: rows whose three panels follow exactly one (attribute, relation).
        query: the first two panels of the third row.
        options: each of them completes the query to exactly one (attribute, relation).
    """

    examples: tuple[Row, Row]
    query: Context
    options: tuple[Panel, Panel, Panel, Panel]


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What a puzzle shows once it is understood; every chain of thought is worded from this.

    Attributes:
        examples: the (attribute, relation) of each example.
        relation: the relation that the examples share.
        options: the (attribute, relation) to which each option completes the query.
        answer: number of the option that follows ``relation``, from 1.
    """

    examples: tuple[Pair, ...]
    relation: Relation
    options: tuple[Pair, ...]
    answer: int


@lru_cache(maxsize=256)
def read(puzzle: Analogy) -> Reading:
    """Work out what a puzzle shows, from its panels alone.

    Raises:
        DataError: a row follows no combination or several, the examples share no relation, or not exactly one option
            follows it.
    """
    examples = [_only_pattern(row) for row in puzzle.examples]
    options = [_only_pattern((*puzzle.query, option)) for option in puzzle.options]
    relation = examples[0][1]
    matching = [i for i, pair in enumerate(options, 1) if pair[1] == relation]
    if examples[1][1] != relation or len(matching) != 1:
        raise DataError(f"this is no analogy with one answer: its examples follow {examples}, its options {options}")
    return Reading(tuple(examples), relation, tuple(options), matching[0])


def _only_pattern(row: Sequence[Panel]) -> Pair:
    found = patterns(row)
    if len(found) != 1:
        raise DataError(f"a row of an analogy follows one (attribute, relation), this one follows {found}: {row}")
    return found[0]


# Drawing. All pictures are grey, so that a palette index is simply a grey level.

_GREYS = drawing.Palette(*(((g, g, g), (g + 11, g + 11, g + 11)) for g in (*range(0, 240, 12), 240, 244)))
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
    mark=50 * 100 / 72,
)
"""The paper's page, 8 x 9 inches at 100 dpi."""

COMPACT_PAGE = Page(
    size=(96, 96),
    panel=24,
    rows=tuple((x, y) for y in (0, 24, 48) for x in (0, 24, 48)),
    options=tuple((x, 72) for x in (0, 24, 48, 72)),
    lattice=(5.5, 12.5, 19.5),  # middles of pixels, so that a shape is the same pixels wherever it stands
    line=2,
    outline=1,
    mark=16,
)


def draw_page(page: Page, rows: Sequence[Panel], options: Sequence[Panel]) -> bytes:
    """The puzzle as a PNG file: eight panels, a question mark in the ninth place, and the options below."""
    canvas = _GREYS.canvas(*page.size)
    for panel, place in zip((*rows, *options), (*page.rows[:-1], *page.options), strict=True):
        drawing.paste(canvas, _draw_panel(page, panel), *place)
    drawing.paste(canvas, _question_mark(page), *page.rows[-1])
    return _GREYS.png(canvas)


def _draw_panel(page: Page, panel: Panel) -> Indexes:
    canvas = _question_mark(page, text="").copy()
    inside = canvas[1:-1, 1:-1]
    if panel.family == "lines":
        for line in panel.things:
            cover = _stroke(page, line.type)
            inside[:] = np.rint(inside + cover * (np.float32(line.colour) - inside)).astype(np.uint8)
        return canvas
    for shape in panel.things:
        sprite = _shape(page, shape.type, shape.colour, shape.size)
        row, column = divmod(shape.cell, LATTICE)
        half = len(sprite) / 2
        drawing.paste(canvas, sprite, int(page.lattice[column] - half), int(page.lattice[row] - half))
    return canvas


@lru_cache(maxsize=8)
def _question_mark(page: Page, text: str = "?") -> Indexes:
    """A framed panel with a question mark, or an empty one."""
    box = drawing.draw_label((page.panel,) * 2, text, pixels=page.mark, fill=WHITE, ink=BLACK)
    return _GREYS.quantise(drawing.frame(box, BLACK))


@lru_cache(maxsize=64)
def _stroke(page: Page, line_type: str) -> NDArray[np.float32]:
    """How much of each pixel inside the frame a line covers, from 0 to 1."""
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
    return np.asarray(fine.reduce(_OVERSAMPLE), dtype=np.float32) / np.float32(255)


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
    return np.asarray(fine.reduce(_OVERSAMPLE), dtype=np.uint8)


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
