"""The panels of Visual Analogy: the objects that they show, and the relations between their values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal, get_args

from s2h.errors import DataError

Family = Literal["lines", "shapes"]
Attribute = Literal[
    "line type", "line colour", "shape type", "shape colour", "shape size", "shape quantity", "shape position"
]
Relation = Literal["AND", "OR", "XOR", "Progression"]
Pair = tuple[Attribute, Relation]
Values = int
"""The values that a panel shows of one attribute, as a set: bit i stands for value i of the attribute's domain."""

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
LARGEST = 47
"""Size of the largest shapes: they stand 48 units apart."""

DOMAINS: dict[Attribute, tuple[str | int, ...]] = {
    "line type": LINE_TYPES,
    "line colour": LINE_COLOURS,
    "shape type": SHAPE_TYPES,
    "shape colour": SHAPE_COLOURS,
    "shape size": tuple(range(LARGEST + 1)),
    "shape quantity": tuple(range(MOST_SHAPES + 1)),
    "shape position": tuple(range(LATTICE**2)),
}
"""All values of each attribute, in the order of their bits and of texts; those that rise do so in this order."""
_BITS = {attribute: {value: 1 << i for i, value in enumerate(domain)} for attribute, domain in DOMAINS.items()}
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
    """The contents of one image of the puzzle.

    Attributes:
        family: whether it shows lines or shapes.
        things: lines in the order of ``LINE_TYPES``, each type at most once; shapes in the order of their cells.
    """

    family: Family
    things: tuple[Thing, ...]

    def values(self, attribute: Attribute) -> Values:
        """The values of an attribute of this panel's family."""
        if attribute == "shape quantity":
            return 1 << len(self.things)
        field, found = _FIELDS[attribute.split()[1]], 0
        for thing in self.things:
            found |= _BITS[attribute][getattr(thing, field)]
        return found

    def all_values(self) -> tuple[Values, ...]:
        """The values of every attribute, in the order of ``ATTRIBUTES``; the same as ``values``, in one go."""
        if self.family == "lines":
            types = colours = 0
            for line in self.things:
                types |= _BITS["line type"][line.type]
                colours |= _BITS["line colour"][line.colour]
            return types, colours
        types = colours = sizes = cells = 0
        for shape in self.things:
            types |= _BITS["shape type"][shape.type]
            colours |= _BITS["shape colour"][shape.colour]
            sizes |= 1 << shape.size
            cells |= 1 << shape.cell
        return types, colours, sizes, 1 << len(self.things), cells


@lru_cache(maxsize=16384)
def listed(attribute: Attribute, values: Values) -> tuple[str | int, ...]:
    """The values themselves, in the order of their domain."""
    return tuple(value for value, bit in _BITS[attribute].items() if values & bit)


def as_values(attribute: Attribute, values: Iterable[str | int]) -> Values:
    """The set of these values."""
    return sum(_BITS[attribute][value] for value in dict.fromkeys(values))


Row = tuple[Panel, Panel, Panel]
Context = tuple[Panel, Panel]
"""The first two panels of a row."""


def family_of(attribute: Attribute) -> Family:
    """The family whose panels have this attribute."""
    return "lines" if attribute in ATTRIBUTES["lines"] else "shapes"


def followed(attribute: Attribute, first: Values, second: Values, third: Values) -> list[Relation]:
    """The relations that the values of three panels follow, of those that are defined on the attribute.

    AND, OR and XOR: the third set is the intersection, union or symmetric difference of the first two, and not empty.
    Progression: types grow (each set lies strictly inside the next), positions move twice by one step, and of any other
    attribute each panel has a single value, which strictly rises or strictly falls.
    """
    found: list[Relation] = []
    if attribute != "shape quantity" and third:
        if third == first & second:
            found.append("AND")
        if third == first | second:
            found.append("OR")
        if third == first ^ second:
            found.append("XOR")
    if _progresses(attribute, first, second, third):
        found.append("Progression")
    return found


def _progresses(attribute: Attribute, first: Values, second: Values, third: Values) -> bool:
    if attribute.endswith("type"):
        return first | second == second != first and second | third == third != second
    if attribute == "shape position":
        return any(_shift(second, step) == third for step in _steps(first, second))
    single = not (first & (first - 1) or second & (second - 1) or third & (third - 1))
    return single and (first < second < third or first > second > third)


def patterns(row: Sequence[Panel]) -> tuple[Pair, ...]:
    """All combinations that three panels of one family follow."""
    return patterns_of(row[0].family, *(panel.all_values() for panel in row))


def patterns_of(family: Family, *row: tuple[Values, ...]) -> tuple[Pair, ...]:
    """The patterns of a row of three panels, each given by its ``all_values``."""
    found: list[Pair] = []
    for attribute, *values in zip(ATTRIBUTES[family], *row, strict=True):
        found += [(attribute, relation) for relation in followed(attribute, *values)]
    return tuple(found)


def completions(pair: Pair, first: Values, second: Values, domain: Values) -> list[Values]:
    """The third panel's value sets that continue two panels by ``pair`` and by no other relation on its attribute.

    Types grow by exactly one, as in the paper. ``domain`` is the set of all values that may be added.
    """
    attribute, relation = pair
    ones = [1 << i for i in range(domain.bit_length()) if domain >> i & 1]
    candidates = ones
    if relation != "Progression":
        candidates = [{"AND": first & second, "OR": first | second, "XOR": first ^ second}[relation]]
    elif attribute.endswith("type"):
        candidates = [second | one for one in ones if not second & one]
    elif attribute == "shape position":
        candidates = [_shift(second, step) for step in _steps(first, second)[:1]]
    return [third for third in candidates if followed(attribute, first, second, third) == [relation]]


@lru_cache(maxsize=65536)
def _steps(first: Values, second: Values) -> tuple[tuple[int, int], ...]:
    """The steps that move the first cells onto the second."""
    return tuple(step for steps in DIRECTIONS for step in steps if _shift(first, step) == second)


@lru_cache(maxsize=8192)
def _shift(cells: Values, step: tuple[int, int]) -> Values:
    return sum(1 << shifted(cell, step) for cell in range(LATTICE**2) if cells >> cell & 1)


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
    """The solution of a puzzle; every chain of thought is worded from it.

    Attributes:
        examples: the (attribute, relation) of each example.
        relation: the relation that the examples share.
        options: the (attribute, relation) to which each option completes the query.
        answer: number of the option that follows ``relation``, from 1.
        rows: the values of every attribute in each panel: two examples, then the query with each of the options.
    """

    examples: tuple[Pair, ...]
    relation: Relation
    options: tuple[Pair, ...]
    answer: int
    rows: tuple[tuple[tuple[Values, ...], ...], ...]


@lru_cache(maxsize=16)
def read(puzzle: Analogy) -> Reading:
    """Work out what a puzzle shows, from its panels alone.

    Raises:
        DataError: a row follows no combination or several, the examples share no relation, or not exactly one option
            follows it.
    """
    family, query = puzzle.query[0].family, tuple(panel.all_values() for panel in puzzle.query)
    rows = [tuple(panel.all_values() for panel in example) for example in puzzle.examples]
    rows += [(*query, option.all_values()) for option in puzzle.options]
    families = [example[0].family for example in puzzle.examples] + [family] * len(puzzle.options)
    pairs = [_only_pattern(*each) for each in zip(families, rows, strict=True)]
    examples, options = pairs[: len(puzzle.examples)], pairs[len(puzzle.examples) :]
    relation = examples[0][1]
    matching = [i for i, pair in enumerate(options, 1) if pair[1] == relation]
    if examples[1][1] != relation or len(matching) != 1:
        raise DataError(f"this is no analogy with one answer: its examples follow {examples}, its options {options}")
    return Reading(tuple(examples), relation, tuple(options), matching[0], tuple(rows))


def _only_pattern(family: Family, row: Sequence[tuple[Values, ...]]) -> Pair:
    found = patterns_of(family, *row)
    if len(found) != 1:
        shown = [[listed(*each) for each in zip(ATTRIBUTES[family], panel, strict=True)] for panel in row]
        raise DataError(f"a row of an analogy follows one (attribute, relation), this one follows {found}: {shown}")
    return found[0]
