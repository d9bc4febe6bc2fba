"""Reading the objects of a Visual Analogy back from its picture.

Lines are found by pixels that no other line crosses; shapes by comparing what stands on each place of the lattice with
every shape, drawn afresh from its corners by asking of many points of each pixel whether they lie inside.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from s2h.puzzles.analogy_panels import LINE_COLOURS, SHAPE_COLOURS, SHAPE_TYPES
from s2h.validation.checker import Mismatch, require
from s2h.validation.image_reader import Picture

Thing = tuple[str, int, int, int]
"""Type, colour (grey level), size and cell of an object; size 0 and cell -1 for a line."""
Greys = NDArray[np.uint8]
Floats = NDArray[np.float64]

_SEGMENTS: dict[str, list[tuple[float, float]]] = {
    "falling": [(0, 0), (1, 1)],
    "rising": [(0, 1), (1, 0)],
    "horizontal": [(0, 0.5), (1, 0.5)],
    "vertical": [(0.5, 0), (0.5, 1)],
    "diamond": [(0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5), (0.5, 0)],
    "v-up": [(0, 0), (0.5, 1), (1, 0)],
    "v-down": [(0, 1), (0.5, 0), (1, 1)],
    "v-left": [(0, 0), (1, 0.5), (0, 1)],
    "v-right": [(1, 0), (0, 0.5), (1, 1)],
}
"""Corners (x, y) of the lines in a panel of side 1; the tenth type is a circle."""
_RADIUS = 0.2  # of the circle, in sides of a panel
_SLACK = 0.2  # pixels by which lines may be drawn too wide or off their place
_POINTS = 9  # along each side of a pixel, when a shape is drawn


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """The places of panels and the sizes of objects, in pixels.

    Attributes:
        size: least (width, height) of the page.
        side: of a panel with its frame.
        places: (left, top) of the panels of examples and query, without the missing one, then of the options.
        missing: (left, top) of the panel with the question mark.
        pitch: distance between two places of shapes; they stand around the panel's middle.
        stroke: half the width of a line.
        outline: width of a shape's outline.
    """

    size: tuple[int, int]
    side: int
    places: tuple[tuple[int, int], ...]
    missing: tuple[int, int]
    pitch: float
    stroke: float
    outline: float

    @classmethod
    def paper(cls) -> Layout:
        """The paper's page: panels of 189 pixels, places at 0.2, 0.5 and 0.8 of a panel, lines 4/160 of it wide."""
        rows = list(itertools.product((4, 205, 405), (108, 306, 504)))
        places = [(x, y) for y, x in rows[:-1]] + [(x, 707) for x in (6, 206, 406, 606)]
        return cls((800, 900), 189, tuple(places), (504, 405), 0.3 * 189, 2 * 189 / 160, 2 * 189 / 160)

    @classmethod
    def compact(cls) -> Layout:
        """A square of 128 pixels: panels of 32 pixels side by side, the options in the last row."""
        rows = list(itertools.product((0, 32, 64), repeat=2))
        places = [(x, y) for y, x in rows[:-1]] + [(x, 96) for x in (0, 32, 64, 96)]
        return cls((128, 128), 32, tuple(places), (64, 64), 9, 1, 1)

    def panels(self, picture: Picture) -> list[Greys]:
        """The grey levels inside each panel's frame; raises Mismatch where a frame or the question mark is missing."""
        fits = all(a >= b for a, b in zip(picture.size, self.size, strict=True))
        require(fits, "image", f"the image has {picture.size} pixels, and less than {self.size}")
        greys = np.array(picture.colours)[:, 0].astype(np.uint8)
        found = []
        for x, y in (*self.places, self.missing):
            box = greys[picture.indexes[y : y + self.side, x : x + self.side]]
            edges = np.concatenate([box[0], box[-1], box[:, 0], box[:, -1]])
            require(not edges.any(), "image", f"the panel at {(x, y)} has no black frame")
            found.append(box[1:-1, 1:-1])
        require((found[-1] == 0).any(), "image", "the panel of the question mark is empty")
        return found[:-1]


class StrokeReader:
    """Finds the lines of a panel; those that others may hide are looked for when the others are known to be absent."""

    def __init__(self, layout: Layout) -> None:
        side = layout.side - 2
        rows, columns = np.mgrid[:side, :side].reshape(2, -1)
        middles = np.stack([columns, rows], axis=1).astype(float)
        corners = [middles + corner for corner in itertools.product((-0.5, 0.5), repeat=2)]
        self._types = [*_SEGMENTS, "circle"]
        distances = np.array([[_distances(points, name, side - 1) for points in corners] for name in self._types])
        self._core = distances.max(axis=1) < layout.stroke + _SLACK / 2  # pixels that a line covers as a whole
        self._off = distances.min(axis=1) - layout.stroke  # distance of each pixel's nearest corner from each line
        self._free = 2 * _SLACK
        self._known: dict[tuple[int, frozenset[int], float], NDArray[np.intp]] = {}
        self._shade = 23 if layout.stroke < 2 else 0  # grey levels by which lines may seem lighter or darker

    def read(self, panel: Greys) -> list[Thing]:
        """The lines of a panel; raises Mismatch where a line is broken or something else is drawn."""
        greys, found = panel.reshape(-1), dict[int, int]()
        waiting = possible = {*range(len(self._types))}
        free = self._free
        while waiting:
            seen = {which: greys[self._probes(which, frozenset(possible), free)] for which in waiting}
            absent = {which for which, probes in seen.items() if len(probes) and (probes == 255).mean() > 0.5}
            present = {which: self._colour(which, seen[which]) for which in waiting - absent if len(seen[which])}
            require(absent or present or free > -self._free, "image", f"hidden lines: {sorted(waiting)}")
            free = free if absent or present else -free  # a line that others touch all along is still seen
            found |= present
            waiting, possible = waiting - absent - present.keys(), possible - absent
        strange = np.flatnonzero((greys < 255) & (self._off[[*found]].min(axis=0, initial=np.inf) > 3 * _SLACK))
        require(not len(strange), "image", f"{len(strange)} pixels belong to no line")
        return [(self._types[which], colour, 0, -1) for which, colour in found.items()]

    def _probes(self, which: int, possible: frozenset[int], free: float) -> NDArray[np.intp]:
        """Pixels in which one line is certainly visible: it covers them, and all others are ``free`` pixels away."""
        key = (which, possible, free)
        if key not in self._known:
            probes = self._core[which]
            for other in possible - {which}:
                probes = probes & (self._off[other] > free)
            self._known[key] = np.flatnonzero(probes)
        return self._known[key]

    def _colour(self, which: int, probes: Greys) -> int:
        """The colour of a line: edges of thin lines are a little lighter, what touches them may be darker."""
        middle = float(np.median(probes))
        colour = min(LINE_COLOURS, key=lambda grey: abs(grey - middle))
        shown = sorted(set(probes.tolist()))
        require(abs(colour - middle) <= self._shade, "image", f"a line {self._types[which]} has the colours {shown}")
        return colour


def _distances(points: Floats, name: str, scale: float) -> Floats:
    """Distance of each point (x, y) from the middle of a line; lengths in pixels."""
    if name == "circle":
        around: Floats = np.abs(np.hypot(*(points - scale / 2).T) - _RADIUS * scale)
        return around
    found: list[Floats] = []
    for start, end in itertools.pairwise(np.array(_SEGMENTS[name]) * scale):
        along = np.clip((points - start) @ (end - start) / np.square(end - start).sum(), 0, 1)
        found.append(np.hypot(*(points - start - along[:, None] * (end - start)).T))
    nearest: Floats = np.minimum.reduce(found)
    return nearest


class ShapeReader:
    """Finds the shapes of a panel, in the order of their places."""

    def __init__(self, layout: Layout, sizes: Sequence[int]) -> None:
        self._layout, self._sizes = layout, sizes
        self._known: dict[tuple[tuple[int, ...], bytes], tuple[str, int, int]] = {}

    def read(self, panel: Greys) -> list[Thing]:
        """The shapes of a panel; raises Mismatch where one cannot be recognised or something else is drawn."""
        things, seen = [], np.zeros(panel.shape, dtype=bool)
        middle, half = (self._layout.side - 1) / 2 - 1, self._layout.pitch / 2
        edges = [math.ceil(middle + half * (2 * i - 3)) for i in range(4)]
        for cell, (top, left) in enumerate(itertools.product(edges[:-1], repeat=2)):
            box = panel[top : top + int(2 * half), left : left + int(2 * half)]
            seen[top : top + int(2 * half), left : left + int(2 * half)] = True
            rows, columns = np.flatnonzero((box < 255).any(axis=1)), np.flatnonzero((box < 255).any(axis=0))
            if len(rows):
                shape = box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                things.append((*self._nearest(shape), cell))
        require((panel[~seen] == 255).all(), "image", "something is drawn beside the places of shapes")
        return things

    def _nearest(self, shape: Greys) -> tuple[str, int, int]:
        key = (shape.shape, shape.tobytes())
        if key not in self._known:
            scores = sorted((candidate.difference(shape), which) for which, candidate in self._candidates.items())
            (best, which), (second, other) = scores[:2]
            if best > 0.8 * second:
                raise Mismatch("image", f"unreadable: {which} or {other}")
            self._known[key] = which
        return self._known[key]

    @cached_property
    def _candidates(self) -> dict[tuple[str, int, int], _Candidate]:
        return {
            (kind, colour, size): _Candidate(kind, colour, size * self._layout.side / 160, self._layout)
            for kind, colour, size in itertools.product(SHAPE_TYPES, SHAPE_COLOURS, self._sizes)
        }


class _Candidate:
    """A shape as it should look.

    Args:
        kind: its type.
        colour: its grey level.
        diameter: in pixels.
        layout: of the page.
    """

    def __init__(self, kind: str, colour: int, diameter: float, layout: Layout) -> None:
        self._colour, diameter = colour, round(diameter)
        side = diameter + 2 * math.ceil(0.1 * diameter)
        steps = (np.arange(side * _POINTS) + 0.5) / _POINTS - side / 2
        depth = _depth(kind, *np.meshgrid(steps, steps), diameter / 2, layout)
        fine = np.where(depth < 0, 255, np.where(depth < layout.outline, 0, colour))
        greys, depths = (_pooled(fine).mean(axis=2), _pooled(depth).min(axis=2))
        rows, columns = np.flatnonzero((greys < 250).any(axis=1)), np.flatnonzero((greys < 250).any(axis=0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        margin = 0.2 + 0.05 * diameter  # a shape may be half a pixel off the middle
        self._greys, self._deep = greys[box], depths[box] > layout.outline + margin

    def difference(self, shape: Greys) -> float:
        """Mean difference from a shape laid on the same middle, white around; infinite where the fill differs."""
        height, width = (max(a, b) for a, b in zip(shape.shape, self._greys.shape, strict=True))
        mine, other, deep = (
            _laid(each, (height, width), around)
            for each, around in ((self._greys, 255), (shape, 255), (self._deep, False))
        )
        if (other[deep] != self._colour).any():
            return math.inf
        return float(np.abs(mine - other.astype(float)).mean())


def _pooled(fine: Floats) -> Floats:
    """The points of each pixel in a row: ``float[height, width, points]``."""
    side = len(fine) // _POINTS
    return fine.reshape(side, _POINTS, side, _POINTS).swapaxes(1, 2).reshape(side, side, -1)


def _laid(small: NDArray[np.generic], size: tuple[int, int], around: float) -> NDArray[np.generic]:
    """A picture in the middle of a page of ``size`` (height, width)."""
    page = np.full(size, around, dtype=small.dtype)
    top, left = (size[0] - small.shape[0]) // 2, (size[1] - small.shape[1]) // 2
    page[top : top + small.shape[0], left : left + small.shape[1]] = small
    return page


def _depth(kind: str, x: Floats, y: Floats, radius: float, layout: Layout) -> Floats:
    """How far points lie inside a shape around (0, 0), negative outside; lengths in pixels."""
    if kind == "circle":
        inside: Floats = radius - np.hypot(x, y)
        return inside
    corners = _corners(kind, radius, layout)
    depths = []
    for (x0, y0), (x1, y1) in itertools.pairwise([*corners, corners[0]]):
        length = math.hypot(x1 - x0, y1 - y0)
        depths.append(((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) / length)
    shallowest: Floats = np.minimum.reduce(depths)
    return shallowest


def _corners(kind: str, radius: float, layout: Layout) -> list[tuple[float, float]]:
    """Corners in clockwise order on the screen, where y points down."""
    if kind == "rectangle":
        return [(-radius, -radius), (radius, -radius), (radius, radius), (-radius, radius)]
    if kind == "triangle":
        half = min(1.15 * radius, radius + (layout.pitch / 2 - radius) // 1)  # whole pixels, as far as places allow
        return [(0, -radius), (half, radius), (-half, radius)]
    number = {"pentagon": 5, "hexagon": 6}[kind]
    angles = [2 * math.pi * i / number - math.pi / 2 for i in range(number)]
    return [(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles]
