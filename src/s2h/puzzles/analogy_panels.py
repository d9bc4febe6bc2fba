"""The panels of Visual Analogy: their objects, the relations between their value sets, and how they are drawn.

All that is ever compared are sets of attribute values, a set a panel: the text shows these sets, the image shows
objects that have them, and ``labels`` is the one judge of which (attribute, relation) three panels follow.

Shapes: a picture or a sprite is ``uint8[height, width]`` of grey levels (0 black, 255 white); a mask is
``float64[height, width]`` from 0 to 1.
"""

from __future__ import annotations

import dataclasses
import io
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from s2h.puzzles import drawing
from s2h.puzzles.drawing import BLACK, WHITE

Cell = tuple[int, int]
"""(row, column) on the lattice, both from 0."""
Values = frozenset[Any]
"""The values of one attribute in one panel: names, whole numbers or cells."""
Family = Literal["line", "shape"]
Relation = Literal["AND", "OR", "XOR", "Progression"]
Attribute = Literal[
    "line type",
    "line colour",
    "shape type",
    "shape colour",
    "shape size",
    "shape quantity",
    "shape position",
]
LineKind = Literal[
    "falling", "rising", "horizontal", "vertical", "diamond", "ring", "vee-up", "vee-down", "vee-left", "vee-right"
]
ShapeKind = Literal["circle", "rectangle", "triangle", "pentagon", "hexagon"]
Label = tuple[Attribute, Relation]

RELATIONS: tuple[Relation, ...] = ("AND", "OR", "XOR", "Progression")
ATTRIBUTES: dict[Family, tuple[Attribute, ...]] = {
    "line": ("line type", "line colour"),
    "shape": ("shape type", "shape colour", "shape size", "shape quantity", "shape position"),
}
FAMILY: dict[Attribute, Family] = {attribute: family for family, owned in ATTRIBUTES.items() for attribute in owned}
FIELD: dict[Attribute, str] = {
    "line type": "kind",
    "line colour": "colour",
    "shape type": "kind",
    "shape colour": "colour",
    "shape size": "size",
    "shape quantity": "quantity",
    "shape position": "cell",
}
"""The field of Thing that holds an attribute's value; the quantity belongs to the panel as a whole."""

COMBINATIONS: tuple[Label, ...] = tuple(
    (attribute, relation)
    for attribute in FAMILY
    for relation in RELATIONS
    if relation == "Progression" or attribute != "shape quantity"
)
"""All 25 pairs; sets of a single number would make every set relation on the quantity trivial."""
HELD_OUT: dict[Relation, tuple[Attribute, Attribute]] = {
    "XOR": ("shape size", "shape position"),
    "OR": ("shape type", "shape position"),
    "AND": ("line colour", "shape colour"),
    "Progression": ("shape type", "line colour"),
}
"""The two attributes on which each relation is met at HARD only (the paper's choice)."""
SEEN: tuple[Label, ...] = tuple(label for label in COMBINATIONS if label[0] not in HELD_OUT[label[1]])

LINE_KINDS: tuple[LineKind, ...] = get_args(LineKind)
SHAPE_KINDS: tuple[ShapeKind, ...] = get_args(ShapeKind)
LATTICE = 3  # cells a side
STEPS: dict[str, tuple[Cell, ...]] = {
    "horizontal": ((0, 1), (0, 2)),
    "vertical": ((1, 0), (2, 0)),
    "diagonal": ((1, 1), (1, 2), (2, 1), (2, 2)),
}
"""The wrap-around steps of a position progression, by direction."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Thing:
    """A line or a shape.

    Attributes:
        kind: one of LINE_KINDS or SHAPE_KINDS.
        colour: grey level, 0 black to 255 white.
        size: of a shape, diameter or side in units of the panel; 0 for a line.
        cell: of a shape, its place on the lattice; None for a line.
    """

    kind: str
    colour: int
    size: int = 0
    cell: Cell | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Panel:
    """Lines only, no two of one kind, or shapes only, no two in one cell; in sorted order, never empty."""

    things: tuple[Thing, ...]

    @property
    def family(self) -> Family:
        """Whether the panel holds lines or shapes."""
        return "line" if self.things[0].cell is None else "shape"

    def values(self, attribute: Attribute) -> Values:
        """The set of values that ``attribute`` takes in this panel."""
        if attribute == "shape quantity":
            return frozenset({len(self.things)})
        return frozenset(getattr(thing, FIELD[attribute]) for thing in self.things)


Triple = tuple[Panel, Panel, Panel]

SET_RELATIONS: Mapping[str, Callable[[Values, Values], Values]] = {
    "AND": operator.and_,
    "OR": operator.or_,
    "XOR": operator.xor,
}


def shift(cells: Iterable[Cell], step: Cell) -> Values:
    """The cells moved by ``step``, wrapping around the lattice."""
    return frozenset(((row + step[0]) % LATTICE, (column + step[1]) % LATTICE) for row, column in cells)


def steps_between(first: Values, second: Values) -> list[Cell]:
    """The steps that move ``first`` onto ``second``; none where nothing moves."""
    if first == second:
        return []
    return [step for steps in STEPS.values() for step in steps if shift(first, step) == second]


def progresses(attribute: Attribute, first: Values, second: Values, third: Values) -> bool:
    """Whether three value sets form a progression; what that means depends on the attribute.

    Types grow (each set strictly inside the next), positions move twice by one constant step, and the others are
    single values that strictly rise or strictly fall, by any amounts.
    """
    if FIELD[attribute] == "kind":
        return first < second < third
    if FIELD[attribute] == "cell":
        return any(shift(second, step) == third for step in steps_between(first, second))
    if not len(first) == len(second) == len(third) == 1:
        return False
    (a,), (b,), (c,) = first, second, third
    return bool(a < b < c or a > b > c)


def holds(label: Label, panels: Triple) -> bool:
    """Whether three panels of one family follow ``label``."""
    attribute, relation = label
    first, second, third = (panel.values(attribute) for panel in panels)
    if relation == "Progression":
        return progresses(attribute, first, second, third)
    needed = SET_RELATIONS[relation](first, second)
    return bool(needed) and third == needed


def labels(panels: Triple) -> list[Label]:
    """All (attribute, relation) pairs that three panels of one family follow; exactly one in a sound puzzle."""
    family = panels[0].family
    return [label for label in COMBINATIONS if FAMILY[label[0]] == family and holds(label, panels)]


@dataclasses.dataclass(frozen=True, slots=True)
class Analogy:
    """A puzzle is its panels alone: which relation they follow, and which option is right, are functions of them.

    Attributes:
        examples: two complete rows, each with exactly one label.
        query: the first two panels of the third row.
        options: candidates for its third panel, each with exactly one label.
    """

    examples: tuple[Triple, Triple]
    query: tuple[Panel, Panel]
    options: tuple[Panel, Panel, Panel, Panel]

    @property
    def example_labels(self) -> tuple[Label, ...]:
        """What each example shows."""
        return tuple(_label(example) for example in self.examples)

    @property
    def option_labels(self) -> tuple[Label, ...]:
        """What the query shows when completed by each option."""
        return tuple(_label((*self.query, option)) for option in self.options)

    @property
    def relation(self) -> Relation:
        """The relation that both examples share."""
        return _label(self.examples[0])[1]

    @property
    def solution(self) -> int:
        """The number of the right option, from 1."""
        return [relation for _, relation in self.option_labels].index(self.relation) + 1


def _label(panels: Triple) -> Label:
    (label,) = labels(panels)
    return label


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """How panels are drawn in one style; all lengths in pixels.

    Attributes:
        page: (width, height) of the picture.
        panel: side of a panel, its frame included.
        unit: pixels in a unit of a shape's size.
        line: width of a line.
        outline: width of a shape's black outline; 0 for none.
        ring: radius of a ring.
        triangle: width of a triangle over its size.
        centres: the lattice's coordinates inside a panel.
        box: side of the square that holds a shape.
        frame: (grey level, sides) of a panel's frame.
        mark: font size of the question mark.
        rows: (lefts, top) of the rows of panels; the last row holds the options.
    """

    page: tuple[int, int]
    panel: int
    unit: float
    line: float
    outline: float
    ring: float
    triangle: float
    centres: tuple[float, float, float]
    box: int
    frame: tuple[int, str]
    mark: float
    rows: tuple[tuple[tuple[int, ...], int], ...]


_PAPER_COLUMNS, _PAPER_UNIT = (108, 306, 504), 189 / 160  # the paper draws panels of 160 units, then enlarges them
PAPER = Look(
    page=(800, 900),
    panel=189,
    unit=_PAPER_UNIT,
    line=4 * _PAPER_UNIT,
    outline=2 * _PAPER_UNIT,
    ring=32 * _PAPER_UNIT,
    triangle=1.15,
    centres=(0.2 * 189, 0.5 * 189, 0.8 * 189),
    box=57,
    frame=(0, "ltrb"),
    mark=50 * 100 / 72,  # 50 points at 100 dpi
    rows=((_PAPER_COLUMNS, 4), (_PAPER_COLUMNS, 205), (_PAPER_COLUMNS, 405), ((6, 206, 406, 606), 707)),
)
COMPACT = Look(
    page=(96, 96),
    panel=24,
    unit=1,
    line=2,
    outline=0,  # an outline would leave a shape of three pixels no room for its colour
    ring=6,
    triangle=1,
    centres=(4.5, 12.5, 20.5),  # middles of pixels, so that odd sizes are sharp
    box=7,
    frame=(215, "lt"),
    mark=18,
    rows=(((0, 24, 48), 0), ((0, 24, 48), 24), ((0, 24, 48), 48), ((0, 24, 48, 72), 72)),
)
_FINE = 8  # drawn this much larger, then averaged down: smooth edges
_STROKES: dict[str, tuple[tuple[float, float], ...]] = {
    "falling": ((-0.1, -0.1), (1.1, 1.1)),
    "rising": ((-0.1, 1.1), (1.1, -0.1)),
    "horizontal": ((-0.1, 0.5), (1.1, 0.5)),
    "vertical": ((0.5, -0.1), (0.5, 1.1)),
    "diamond": ((0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5), (0.5, 0), (1, 0.5)),
    "vee-up": ((-0.05, -0.1), (0.5, 1), (1.05, -0.1)),
    "vee-down": ((-0.05, 1.1), (0.5, 0), (1.05, 1.1)),
    "vee-left": ((-0.1, -0.05), (1, 0.5), (-0.1, 1.05)),
    "vee-right": ((1.1, -0.05), (0, 0.5), (1.1, 1.05)),
}
"""Each line as points (x, y) in sides of a panel; a vee is named by the side to which it opens, and reaches across the
whole panel, so that two vees can never be mistaken for two diagonals."""
_CORNERS = {"triangle": 3, "pentagon": 5, "hexagon": 6}


@lru_cache(maxsize=64)
def _line_mask(look: Look, kind: str) -> NDArray[np.float64]:
    side = look.panel * _FINE
    image = Image.new("L", (side, side), 0)
    pen, width = ImageDraw.Draw(image), round(look.line * _FINE)
    if kind == "ring":
        middle, radius = side / 2, (look.ring + look.line / 2) * _FINE
        box = (middle - radius, middle - radius, middle + radius, middle + radius)
        pen.ellipse(box, outline=255, width=width)
    else:
        points = [(x * side, y * side) for x, y in _STROKES[kind]]
        pen.line(points, fill=255, width=width, joint="curve")
    return np.asarray(image.reduce(_FINE), dtype=np.float64) / 255


def _outline_points(look: Look, kind: str, radius: float, middle: float) -> list[tuple[float, float]]:
    """The corners of a regular polygon, point up; the triangle and the rectangle fill the size's square instead."""
    if kind == "rectangle":
        return [(middle + x * radius, middle + y * radius) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    if kind == "triangle":
        half = look.triangle * radius
        return [(middle, middle - radius), (middle + half, middle + radius), (middle - half, middle + radius)]
    turns = [2 * math.pi * corner / _CORNERS[kind] for corner in range(_CORNERS[kind])]
    return [(middle + radius * math.sin(turn), middle - radius * math.cos(turn)) for turn in turns]


@lru_cache(maxsize=1024)
def _shape_sprite(look: Look, kind: str, colour: int, size: int) -> NDArray[np.uint8]:
    side = look.box * _FINE
    image = Image.new("L", (side, side), 255)
    pen, middle, radius = ImageDraw.Draw(image), side / 2, size * look.unit * _FINE / 2
    width = round(look.outline * _FINE)
    edge = 0 if width else None
    if kind == "circle":
        box = (middle - radius, middle - radius, middle + radius - 1, middle + radius - 1)
        pen.ellipse(box, fill=colour, outline=edge, width=width)
    else:
        # Pillow counts a polygon's right and lower borders as inside: half a pixel less keeps the shape symmetric.
        points = _outline_points(look, kind, radius, middle - 0.5)
        pen.polygon(points, fill=colour, outline=edge, width=max(width, 1))
    return np.asarray(image.reduce(_FINE))


def _draw_panel(look: Look, panel: Panel) -> NDArray[np.uint8]:
    canvas = np.full((look.panel, look.panel), 255, dtype=np.float64)
    for thing in panel.things:
        if thing.cell is None:
            mask = _line_mask(look, thing.kind)
            canvas += mask * (thing.colour - canvas)
        else:
            row, column = thing.cell
            top, left = (round(look.centres[at] - look.box / 2) for at in (row, column))
            sprite = _shape_sprite(look, thing.kind, thing.colour, thing.size)
            canvas[top : top + look.box, left : left + look.box] = sprite
    return _framed(look, canvas.round().astype(np.uint8))


def _framed(look: Look, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey, sides = look.frame
    edges = {"l": picture[:, 0], "t": picture[0], "r": picture[:, -1], "b": picture[-1]}
    for side in sides:
        edges[side][:] = grey
    return picture


@lru_cache(maxsize=2)
def _question_mark(look: Look) -> NDArray[np.uint8]:
    size = (look.panel, look.panel)
    label = drawing.draw_label(size, "?", pixels=look.mark, fill=WHITE, ink=BLACK, margin=0)
    return _framed(look, np.array(label.convert("L")))


def draw_page(look: Look, rows: Iterable[Iterable[Panel | None]]) -> bytes:
    """A page of panels as a PNG file in grey.

    Args:
        look: the style.
        rows: three rows of three panels and one of four options, from left to right; None is the missing panel.
    """
    width, height = look.page
    canvas = np.full((height, width), 255, dtype=np.uint8)
    for (lefts, top), panels in zip(look.rows, rows, strict=True):
        for left, panel in zip(lefts, panels, strict=True):
            sprite = _question_mark(look) if panel is None else _draw_panel(look, panel)
            drawing.paste(canvas, sprite, left, top)
        right = lefts[-1] + look.panel
        if "r" not in look.frame[1] and right < width:
            canvas[top : top + look.panel, right] = look.frame[0]  # closes the row's last panel
    buffer = io.BytesIO()
    Image.fromarray(canvas).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
