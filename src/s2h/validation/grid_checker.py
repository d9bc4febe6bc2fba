"""The checker of Grid Navigation: walks are replayed, compared with a search of another kind, and traces followed."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from s2h.puzzles.drawing.canvas import BLACK, POINT, WHITE, font
from s2h.puzzles.drawing.grid_images import DESTINATION_COLOUR, PAGE, SOURCE_COLOUR
from s2h.puzzles.grid_navigation import COMPACT_COLUMNS, COMPACT_OBJECTS, COMPACT_ROWS, OBJECTS, OBSTACLES
from s2h.validation.checker import Checker, Mismatch, require
from s2h.validation.image_reader import Part, Picture, Reader, runs, tiles

Cell = tuple[int, int]
"""(row, column), both from 0."""

_STEPS: dict[str, Cell] = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LETTER_REACH = 36  # pixels around the paper's grid in which its letters lie


@dataclasses.dataclass(frozen=True, slots=True)
class SeenGrid:
    """A grid as a reader sees it, as text or as a picture.

    Attributes:
        rows: letters of the rows, from top to bottom.
        columns: letters of the columns, from left to right.
        cells: the word of each cell, one tuple a row: S, D, O, an object or an obstacle.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]

    def word(self, cell: Cell) -> str:
        """The word of a cell; empty outside the grid."""
        row, column = cell
        inside = 0 <= row < len(self.rows) and 0 <= column < len(self.columns)
        return self.cells[row][column] if inside else ""

    def find(self, words: Mapping[str, object] | str) -> list[Cell]:
        """The cells that hold one of the words, in reading order."""
        return [(r, c) for r, row in enumerate(self.cells) for c, word in enumerate(row) if word and word in words]


class GridChecker(Checker):
    """Reads grids from their text and image, and follows walks and traces through them."""

    def check_scene(self, record: Mapping[str, Any]) -> None:
        self._grid(record)

    def check(self, record: Mapping[str, Any]) -> None:
        grid = self._grid(record)
        require(grid.find("S") and grid.find("D"), "text", "the grid has no S or no D")
        answer = record["answer"]
        require(record["answer_block"] == f"Answer: {answer}", "answer", f"the block is {record['answer_block']!r}")
        replay(grid, answer.split(" "))
        shortest = fewest_moves(grid)
        moves = len(answer.split(" "))
        require(0 <= shortest <= moves, "answer", f"{moves} moves, where a search needs {shortest}")
        parse = read_compact_trace if self.compact else read_trace
        trace = parse(grid, record["reasoning"])
        require(follow(grid, trace) == answer.split(" "), "reasoning", "the trace leads to another answer")
        self._check_level(grid, len(trace), record["level"])

    def _grid(self, record: Mapping[str, Any]) -> SeenGrid:
        """The grid of the text, which the image shows too."""
        grid = (read_compact_text if self.compact else read_text)(record["text"])
        picture = Picture(record["image"]["bytes"])
        seen = self._read_compact_image(picture) if self.compact else self._read_page(picture)
        require(seen == grid, "image", f"the text has {grid}, the image {seen}")
        return grid

    def _check_level(self, grid: SeenGrid, steps: int, level: str) -> None:
        spec, found = self.settings.levels[level], {word for row in grid.cells for word in row}
        numbers = {"objects": len(found & {*OBJECTS}), "obstacle_kinds": len(found & {*OBSTACLES}), "steps": steps}
        for name, number in numbers.items():
            least, most = getattr(spec, name)
            require(least <= number <= most, "level", f"{name} is {number}, {level} has {least} to {most}")

    def _read_page(self, picture: Picture) -> SeenGrid:
        """The paper's page: the lines of the grid first, then what is between them, then the letters around it."""
        require(picture.size == PAGE, "image", f"the image has {picture.size} pixels, not {PAGE}")
        black = picture.is_colour(BLACK)
        frame = np.flatnonzero(black.sum(axis=0) > PAGE[1] // 2), np.flatnonzero(black.sum(axis=1) > PAGE[0] // 2)
        require(all(len(lines) for lines in frame), "image", "the grid has no frame")
        (left, right), (top, bottom) = ((lines[0], lines[-1]) for lines in frame)
        xs = runs(black[top : bottom + 1 : 2].all(axis=0))
        ys = runs(black[:, left : right + 1 : 2].all(axis=1))
        across, down = list(itertools.pairwise(xs)), list(itertools.pairwise(ys))
        cells = [[picture.part(a[1], b[1], c[0], d[0]) for a, c in across] for b, d in down]
        rows = [picture.part(left - _LETTER_REACH, b[1], left, d[0]) for b, d in down]
        columns = [picture.part(a[1], bottom + 1, c[0], bottom + 1 + _LETTER_REACH) for a, c in across]
        return SeenGrid(
            tuple(self._letters.read(box) for box in rows),
            tuple(self._letters.read(box) for box in columns),
            tuple(tuple(_cell(box, self._symbols) for box in row) for row in cells),
        )

    def _read_compact_image(self, picture: Picture) -> SeenGrid:
        columns, rows = tiles(picture)
        return SeenGrid(
            tuple(self._compact_letters.read(row[0]) for row in rows),
            tuple(self._compact_letters.read(box) for box in columns),
            tuple(tuple(_cell(box, self._compact_symbols) for box in row[1:]) for row in rows),
        )

    @cached_property
    def _symbols(self) -> Reader:
        return Reader(OBJECTS | OBSTACLES, font(40 * POINT), BLACK)

    @cached_property
    def _letters(self) -> Reader:
        return Reader({letter: letter for letter in _LETTERS}, font(20 * POINT), BLACK)

    @cached_property
    def _compact_symbols(self) -> Reader:
        return Reader({name: OBJECTS[name] for name in COMPACT_OBJECTS} | OBSTACLES, font(14), BLACK)

    @cached_property
    def _compact_letters(self) -> Reader:
        return Reader({letter: letter for letter in COMPACT_ROWS + COMPACT_COLUMNS}, font(13), WHITE)


def _cell(box: Part, symbols: Reader) -> str:
    if box.fill in (SOURCE_COLOUR, DESTINATION_COLOUR):
        require(box.ink() is None, "image", "something is drawn on the source or the destination")
        return "S" if box.fill == SOURCE_COLOUR else "D"
    require(box.fill == WHITE, "image", f"a cell has the colour {box.fill}")
    return symbols.read(box) or "O"


def read_text(text: str) -> SeenGrid:
    """The grid of the paper style; raises Mismatch where it is none."""
    head, *lines = [line.split(" & ") for line in text.split("\n")]
    return _whole(SeenGrid(tuple(line[0] for line in lines), tuple(head), tuple(tuple(line[1:]) for line in lines)))


def read_compact_text(text: str) -> SeenGrid:
    """The grid of the compact style, a word a cell; raises Mismatch where it is none."""
    lines = [[re.fullmatch(r"([n-z])([a-m]):(\w+)", word) for word in line.split(" ")] for line in text.split("\n")]
    rows = [[cell.groups() for cell in line if cell] for line in lines]
    require(all(map(all, lines)), "text", "a word names no cell of a grid")
    names, columns = tuple(row[0][0] for row in rows), tuple(column for _, column, _ in rows[0])
    named = [[(row, column) for row, column, _ in line] for line in rows]
    grid = [[(row, column) for column in columns] for row in names]
    require(named == grid, "text", f"the cells are called {named}, not {grid}")
    return _whole(SeenGrid(names, columns, tuple(tuple(word for *_, word in row) for row in rows)))


def _whole(grid: SeenGrid) -> SeenGrid:
    """The grid itself; raises Mismatch where it is not whole or does not hold what a puzzle needs."""
    whole = all(len(row) == len(grid.columns) for row in grid.cells)
    require(whole, "text", "a row has more or fewer cells than columns")
    found = [word for row in grid.cells for word in row if word not in OBSTACLES and word != "O"]
    known = {"S", "D"} | OBJECTS.keys()
    alone = len(set(found)) == len(found) and set(found) <= known
    require(alone, "text", f"S, D and each object at most once, but found {found}")
    return grid


def replay(grid: SeenGrid, moves: Sequence[str]) -> None:
    """Raise Mismatch unless the walk stays inside and off obstacles, collects all, and ends at its first D."""
    (cell,) = grid.find("S")
    left = set(grid.find(OBJECTS))
    for i, move in enumerate(moves, 1):
        require(move in _STEPS, "answer", f"{move!r} is no move")
        cell = _step(cell, move)
        word = grid.word(cell)
        require(word and word not in OBSTACLES, "answer", f"move {i} enters {word or 'the outside'}")
        left.discard(cell)
        require((word == "D") == (i == len(moves)), "answer", f"move {i} of {len(moves)} enters {word}")
    require(not left, "answer", f"{len(left)} objects are not collected")


def fewest_moves(grid: SeenGrid) -> int:
    """The least number of moves that collect everything, in any order, and end at D; -1 where there is no way."""
    objects = {cell: 1 << i for i, cell in enumerate(grid.find(OBJECTS))}
    (source,) = grid.find("S")
    start, everything = (source, 0), (1 << len(objects)) - 1
    distance, waiting = {start: 0}, deque([start])
    while waiting:
        state = waiting.popleft()
        for move in _STEPS:
            cell = _step(state[0], move)
            word, found = grid.word(cell), state[1] | objects.get(cell, 0)
            if word == "D" and found == everything:
                return distance[state] + 1
            if word and word != "D" and word not in OBSTACLES and (cell, found) not in distance:
                distance[cell, found] = distance[state] + 1
                waiting.append((cell, found))
    return -1


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One step of a trace, as it is written.

    Attributes:
        cell: where it stands.
        collected: the object picked up there; empty for none.
        refused: moves with their reasons: ``outside``, ``visited``, or the word of the cell; ``D`` for the destination.
        move: the move made; empty for going back.
    """

    cell: Cell
    collected: str
    refused: tuple[tuple[str, str], ...]
    move: str


def follow(grid: SeenGrid, trace: Sequence[Entry]) -> list[str]:
    """Walk through a trace, checking every claim; returns the moves that were not taken back.

    The next target is the object nearest to the last, in L1 distance, the first in reading order among equals; then
    D. Moves are tried from the one that ends nearest to the target, in L1 and then in L2 distance, then in the order
    up, down, left, right. What was visited is forgotten where an object is collected.
    """
    (cell,) = grid.find("S")
    targets = _tour(grid, cell)
    walk, visited, collected = [cell], {cell}, ""
    moves: list[str] = []
    for i, entry in enumerate(trace):
        require((entry.cell, entry.collected) == (walk[-1], collected), "reasoning", f"step {i}: not at {entry.cell}")
        target = targets[0]
        refusals = [_refusal(grid, _step(walk[-1], move), visited, targets) for move in _STEPS]
        order = sorted(range(4), key=lambda m: _nearness(_step(walk[-1], list(_STEPS)[m]), target))
        tried = [(list(_STEPS)[m], refusals[m]) for m in order]
        open_moves = [place for place, (_, reason) in enumerate(tried) if not reason]
        stop = open_moves[0] if open_moves else len(tried)
        require(list(entry.refused) == tried[:stop], "reasoning", f"step {i}: refused {entry.refused}, not {tried}")
        expected = tried[stop][0] if open_moves else ""
        require(entry.move == expected, "reasoning", f"step {i}: goes {entry.move or 'back'}, not {expected or 'back'}")
        collected = ""
        if not expected:
            walk.pop()
            moves.pop()
            continue
        moves.append(expected)
        walk.append(_step(walk[-1], expected))
        visited.add(walk[-1])
        if walk[-1] == target:
            collected = grid.word(target)
            walk, visited = [target], {target}
            targets = targets[1:]
    require(not targets, "reasoning", f"the trace ends before it reaches {targets[:1]}")
    return moves


def _tour(grid: SeenGrid, start: Cell) -> list[Cell]:
    """The targets in order: objects by nearness, then the destination."""
    left, here, tour = grid.find(OBJECTS), start, []
    while left:
        distances = [abs(cell[0] - here[0]) + abs(cell[1] - here[1]) for cell in left]
        here = left.pop(distances.index(min(distances)))
        tour.append(here)
    return [*tour, *grid.find("D")]


def _refusal(grid: SeenGrid, cell: Cell, visited: set[Cell], targets: Sequence[Cell]) -> str:
    """Why a cell may not be entered now; empty where it may."""
    word = grid.word(cell)
    if not word:
        return "outside"
    if cell in visited:
        return "visited"
    return word if word in OBSTACLES or cell in targets[1:] else ""


def _nearness(cell: Cell, target: Cell) -> tuple[int, int]:
    rows, columns = abs(cell[0] - target[0]), abs(cell[1] - target[1])
    return rows + columns, rows**2 + columns**2


def _step(cell: Cell, move: str) -> Cell:
    return cell[0] + _STEPS[move][0], cell[1] + _STEPS[move][1]


def read_trace(grid: SeenGrid, reasoning: str) -> list[Entry]:
    """The steps of a chain of the paper style; raises Mismatch where its opening or a line is wrong."""
    _, ends, objects, obstacles, *lines = reasoning.split("\n")
    (source,), (destination,) = grid.find("S"), grid.find("D")
    expected = f"Source: {_place(grid, source)} Destination: {_place(grid, destination)}"
    require(ends == expected, "reasoning", f"{ends!r} should be {expected!r}")
    tour = ", ".join(f"{grid.word(cell)} {_place(grid, cell)}" for cell in _tour(grid, source)[:-1])
    require(objects == f"Collect objects: {tour}", "reasoning", f"{objects!r}, but the tour is {tour}")
    kinds = ", ".join(kind for kind in OBSTACLES if grid.find({kind: 0}))
    require(obstacles == f"Avoid obstacles: {kinds}", "reasoning", f"{obstacles!r}, but there are {kinds}")
    trace = []
    while lines:
        head = re.fullmatch(r"(\(\w, \w\))(?: Collect (\w+))?", lines.pop(0))
        refused, move = [], None
        while move is None and lines:
            line = lines.pop(0)
            move = "" if line == "No move is left, so I retrace one step." else _made(grid, head, line)
            if move is None:
                refused.append(_refused(grid, head, line))
        if head is None or move is None:
            raise Mismatch("reasoning", "a step does not begin with its cell, or does not end with a move")
        trace.append(Entry(_cell_at(grid, head[1]), head[2] or "", tuple(refused), move))
    return trace


def _made(grid: SeenGrid, head: re.Match[str] | None, line: str) -> str | None:
    """The move of a line that ends in ``okay``; None for any other line."""
    found = re.fullmatch(r"(up|down|left|right) (\(\w, \w\)) okay", line)
    if not (found and head):
        return None
    goal = _step(_cell_at(grid, head[1]), found[1])
    require(_cell_at(grid, found[2]) == goal, "reasoning", f"{line!r} does not lead to {goal}")
    return found[1]


def _refused(grid: SeenGrid, head: re.Match[str] | None, line: str) -> tuple[str, str]:
    """The move and reason of a line that refuses one."""
    outside = re.fullmatch(r"(up|down|left|right) outside", line)
    if outside:
        return outside[1], "outside"
    found = re.fullmatch(r"(up|down|left|right) (\(\w, \w\)) (visited|(closed|too early) \((\w+)\))", line)
    if not (found and head):
        raise Mismatch("reasoning", f"no step of a trace: {line!r}")
    goal = _step(_cell_at(grid, head[1]), found[1])
    require(_cell_at(grid, found[2]) == goal, "reasoning", f"{line!r} does not lead to {goal}")
    reason = found[5] or "visited"
    require(not found[4] or (found[4] == "closed") == (reason in OBSTACLES), "reasoning", f"wrong reason: {line!r}")
    return found[1], "D" if reason == "destination" else reason


def read_compact_trace(grid: SeenGrid, reasoning: str) -> list[Entry]:
    """The steps of a chain of the compact style."""
    stops, *lines = [line.split(" ") for line in reasoning.split("\n")]
    (source,) = grid.find("S")
    tour = [source, *_tour(grid, source)]
    expected = [
        word for row, column in tour for word in (grid.word((row, column)), grid.rows[row] + grid.columns[column])
    ]
    require(stops == expected, "reasoning", f"the stops are {stops}, not {expected}")
    trace = []
    for name, *words in lines:
        collected = ""
        if words[0] == "take":
            collected, words = words[1], words[2:]
        refused, move = tuple(zip(words[:-1:2], words[1::2], strict=True)), words[-1]
        place = grid.rows.index(name[:1]), grid.columns.index(name[1:])
        trace.append(Entry(place, collected, refused, "" if move == "back" else move))
    return trace


def _place(grid: SeenGrid, cell: Cell) -> str:
    return f"({grid.rows[cell[0]]}, {grid.columns[cell[1]]})"


def _cell_at(grid: SeenGrid, place: str) -> Cell:
    row, column = place.strip("()").split(", ")
    if row not in grid.rows or column not in grid.columns:
        raise Mismatch("reasoning", f"there is no cell {place}")
    return grid.rows.index(row), grid.columns.index(column)
