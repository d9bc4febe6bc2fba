"""Families of paths through a table: straight pieces at random, meanders, spirals, and mixtures of the last two.

A family draws; it promises nothing of the number of cells and turns, because borders and trimming cut paths short.
Who needs a certain number measures (its cells, its turns) and draws again. Every path must pass ``is_clear``.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt

from s2h.puzzles.drawing.table_images import Cell
from s2h.puzzles.task import Split
from s2h.settings import Settings

T = TypeVar("T")

_SEPARATION = 2  # cells: the least distance of a random path's detour from the line of its end, as in the paper


def is_clear(path: tuple[Cell, ...]) -> bool:
    """Whether no cell comes twice and the path never runs beside itself, so that its cells alone tell its way.

    About one in a hundred of the paper's random paths touches itself; here such a path is drawn again, because a
    reader of the highlighted cells could not tell which way it goes.
    """
    cells = set(path)
    touching = sum(((row + 1, column) in cells) + ((row, column + 1) in cells) for row, column in cells)
    return len(cells) == len(path) and touching == len(path) - 1


class Family(Settings):
    """A kind of path, and how often a level uses it.

    Attributes:
        pieces: numbers of pieces, each as likely as the others; what counts as a piece is said by the family.
        share: weight of this family among a level's families.
        eval_share: its weight among evaluation puzzles; the same where it is not given.
    """

    pieces: tuple[PositiveInt, ...] = Field(min_length=1, description="numbers of pieces, drawn uniformly")
    share: float = Field(gt=0, description="weight of this family among the level's families")
    eval_share: float | None = Field(None, ge=0, description="its weight among evaluation puzzles, where it differs")

    def share_of(self, split: Split) -> float:
        """The family's weight in a split."""
        return self.share if split == "train" or self.eval_share is None else self.eval_share

    @abstractmethod
    def draw(self, rng: np.random.Generator, shape: Cell) -> tuple[Cell, ...]:
        """A path from START to END in a table of ``shape``; empty or not clear where the draw led nowhere."""

    def min_side(self) -> int:
        """The least number of rows and of columns in which this family has paths."""
        return 3


class RandomPaths(Family):
    """Straight pieces, each at a right angle to the last (the paper: 1-4 pieces, a reach of 4).

    The paper's end is never in the first row or column, a bound off by one; here it may be.

    Attributes:
        reach: least distance of START and END in cells, along each axis when there are two pieces or more.
    """

    family: Literal["random"]
    reach: PositiveInt = Field(description="least distance of START and END in cells along an axis")

    def min_side(self) -> int:
        """One more than the reach, so that every axis has room for START and END."""
        return self.reach + 1

    def draw(self, rng: np.random.Generator, shape: Cell) -> tuple[Cell, ...]:
        """START and END first, then the way: the last two pieces lead straight to END, earlier ones make detours."""
        pieces = _pick(rng, self.pieces)
        axis = int(rng.integers(2))
        ends = [_pick(rng, _pairs(size, self.reach)) for size in shape]
        if pieces == 1:
            ends[1 - axis] = (int(rng.integers(shape[1 - axis])),) * 2
        path: list[Cell] = [(ends[0][0], ends[1][0])]
        for piece in range(pieces):
            target: int | None = ends[axis][1]
            if pieces - piece > 2:
                target = _detour(rng, shape[axis], path[-1][axis], ends[axis][1])
            if target is None:
                return ()
            _extend(path, axis, target)
            axis = 1 - axis
        return tuple(path)


class SinusoidalPaths(Family):
    """Runs to and fro across the table with one blank line between them; runs and connectors each count as a piece.

    A path whose last piece is a run has one cell more; it ends early at the table's border (the paper: gaps 0 and 1;
    3 and 4 pieces in SIMPLE, 8 and 10 in HARD). Each run stops 0 or 1 cells before the border, drawn for every run;
    the paper starts with one margin of each kind.

    Attributes:
        gaps: distances in cells of the starting corner from the table's borders, drawn uniformly.
    """

    family: Literal["sinusoidal"]
    gaps: tuple[NonNegativeInt, ...] = Field(min_length=1, description="distances of the start from the borders")

    def min_side(self) -> int:
        """Three cells within the widest gap on both sides."""
        return 2 * max(self.gaps) + 3

    def draw(self, rng: np.random.Generator, shape: Cell) -> tuple[Cell, ...]:
        """From a corner, run and connector in turn; up to two cells are trimmed at each end."""
        pieces = _pick(rng, self.pieces)
        path, senses = _corner(rng, shape, _pick(rng, self.gaps))
        axis = run_axis = int(rng.integers(2))
        for piece in range(pieces + pieces % 2):
            here, sense = path[-1][axis], senses[axis]
            target = here + 2 * sense
            if axis == run_axis:
                margin = int(rng.integers(2))
                target = shape[axis] - 1 - margin if sense > 0 else margin
                senses[axis] = -sense
            wish = here + sense if piece == pieces else target
            _extend(path, axis, min(max(wish, 0), shape[axis] - 1))
            if path[-1][axis] != wish:
                break
            axis = 1 - axis
        return _trim(rng, path, 2)


class SpiralPaths(Family):
    """Runs along the border of a rectangle, winding inwards with one blank line between arms; a run is a piece.

    The path ends after one cell of the run that follows the last, or where no room is left (the paper: gaps 0 and 1;
    3 and 4 pieces in SIMPLE, 6 and 8 in HARD).

    Attributes:
        gaps: distances in cells of the rectangle from the table's borders, drawn uniformly.
    """

    family: Literal["spiral"]
    gaps: tuple[NonNegativeInt, ...] = Field(min_length=1, description="distances of the spiral from the borders")

    def min_side(self) -> int:
        """Three cells within the widest gap on both sides."""
        return 2 * max(self.gaps) + 3

    def draw(self, rng: np.random.Generator, shape: Cell) -> tuple[Cell, ...]:
        """From a corner, each run up to the border that earlier runs left; up to two cells are trimmed at each end."""
        pieces, gap = _pick(rng, self.pieces), _pick(rng, self.gaps)
        path, senses = _corner(rng, shape, gap)
        low, high = [gap, gap], [size - 1 - gap for size in shape]
        axis = int(rng.integers(2))
        for piece in range(pieces + 1):
            here, sense, other = path[-1][axis], senses[axis], 1 - axis
            border = high[axis] if sense > 0 else low[axis]
            if (border - here) * sense < 2:  # one cell further the next arm would touch the last but one
                break
            _extend(path, axis, here + sense if piece == pieces else border)
            _shrink(low, high, other, path[-1][other] + 2 * senses[other], senses[other])
            senses[axis], axis = -sense, other
        return _trim(rng, path, 2)


class CompositionalPaths(Family):
    """From a corner, runs that go on by a coin either like a meander or like a spiral; a piece is a run and its turn.

    The path ends where no room is left. The paper uses it for HARD with 8 and 10 pieces; its connectors may not enter
    the first row or column, a bound off by one that ends paths early; here they may.
    """

    family: Literal["compositional"]

    def draw(self, rng: np.random.Generator, shape: Cell) -> tuple[Cell, ...]:
        """From a corner of the table itself; up to one cell is trimmed at each end."""
        path, senses = _corner(rng, shape, 0)
        low, high = [0, 0], [size - 1 for size in shape]
        axis = int(rng.integers(2))
        for _ in range(_pick(rng, self.pieces)):
            sense, other = senses[axis], 1 - axis
            border = high[axis] if sense > 0 else low[axis]
            if border == path[-1][axis]:
                break
            _extend(path, axis, border)
            landing = path[-1][other] + 2 * senses[other]
            if not low[other] <= landing <= high[other]:
                break
            _extend(path, other, landing)
            _shrink(low, high, other, landing, senses[other])
            senses[axis] = -sense
            if rng.integers(2):  # on along the connector, as a spiral does; otherwise back beside the run
                axis = other
        return _trim(rng, path, 1)


AnyFamily = Annotated[RandomPaths | SinusoidalPaths | SpiralPaths | CompositionalPaths, Field(discriminator="family")]
"""The settings of one family, discriminated by ``family``."""


def _pick(rng: np.random.Generator, choices: tuple[T, ...]) -> T:
    return choices[int(rng.integers(len(choices)))]


@lru_cache(maxsize=256)
def _pairs(size: int, reach: int) -> tuple[tuple[int, int], ...]:
    """All pairs of coordinates below ``size`` that are at least ``reach`` apart."""
    return tuple((a, b) for a in range(size) for b in range(size) if abs(a - b) >= reach)


def _detour(rng: np.random.Generator, size: int, here: int, end: int) -> int | None:
    """A coordinate on the side of ``end`` as seen from ``here``, possibly beyond it but apart from it."""
    side = range(here + 1, size) if end > here else range(here)
    choices = tuple(c for c in side if abs(c - end) >= _SEPARATION)
    return _pick(rng, choices) if choices else None


def _corner(rng: np.random.Generator, shape: Cell, gap: int) -> tuple[list[Cell], list[int]]:
    """A path that holds one corner, moved inwards by ``gap``, and the senses of rows and columns that lead inwards."""
    far = rng.integers(0, 2, 2)
    row, column = (size - 1 - gap if is_far else gap for size, is_far in zip(shape, far, strict=True))
    return [(row, column)], [-1 if is_far else 1 for is_far in far]


def _extend(path: list[Cell], axis: int, target: int) -> None:
    """Go straight along ``axis`` (0: change the row, 1: change the column) to the coordinate ``target``, in place."""
    here = path[-1]
    sense = 1 if target > here[axis] else -1
    for coordinate in range(here[axis] + sense, target + sense, sense):
        path.append((coordinate, here[1]) if axis == 0 else (here[0], coordinate))


def _shrink(low: list[int], high: list[int], axis: int, border: int, sense: int) -> None:
    """Move the border that a path leaves behind when it goes on in ``sense`` along ``axis``, in place."""
    (low if sense > 0 else high)[axis] = border


def _trim(rng: np.random.Generator, path: list[Cell], most: int) -> tuple[Cell, ...]:
    """Drop up to ``most`` cells at each end, and turn the path round by a coin."""
    first, last = (int(v) for v in rng.integers(0, most + 1, 2))
    kept = path[first : len(path) - last]
    return tuple(kept[::-1] if rng.integers(2) else kept)
