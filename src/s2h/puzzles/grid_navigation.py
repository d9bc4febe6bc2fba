"""Grid Navigation: collect all objects of a grid, avoid its obstacles, and end at the destination."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from pydantic import Field, model_validator

from s2h.errors import DataError
from s2h.puzzles.drawing import grid_images as drawing
from s2h.puzzles.drawing.canvas import TILE
from s2h.puzzles.task import Level, LevelSettings, Modality, Span, Split, Task, TaskSettings, Verdict, final_answer

Cell = tuple[int, int]
"""(row, column), both from 0."""

MOVES: dict[str, Cell] = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
"""The (row, column) step of each move; in the order in which the search breaks ties."""

SOURCE, DESTINATION, EMPTY = "S", "D", "O"
OBJECTS = {
    "heart": "♥", "crown": "♚", "flag": "⚑", "star": "★", "flower": "✿", "umbrella": "☂", "plane": "✈", "phone": "☎",
    "spark": "⚡", "diamond": "♦", "queen": "♛", "hammer": "⚒", "club": "♣", "gear": "⚙", "arrow": "➔", "sun": "☀",
    "bishop": "♝", "note": "♪", "coffee": "☕", "anchor": "⚓", "cloud": "☁", "pawn": "♟", "castle": "♜", "horse": "♞",
    "infinity": "∞", "moon": "☾", "null": "∅", "approx": "≈", "integral": "∫", "product": "∏", "sum": "∑",
}  # fmt: skip
OBSTACLES = {"dot": "●", "cross": "✖", "square": "■", "triangle": "▲", "plus": "✚"}
COMPACT_OBJECTS = ("heart", "star", "arrow", "note", "sum", "infinity", "null", "anchor")
"""Objects of the compact style: those that stay apart from each other and from the obstacles on 16 pixels."""
COMPACT_ROWS = "nopqrstuvwxyz"
COMPACT_COLUMNS = "abcdefghijklm"
NO_PATH = "no path"
_COMPACT_QUESTION = "collect all then reach D"

_OBJECT_NAMES, _OBSTACLE_NAMES = tuple(OBJECTS), tuple(OBSTACLES)

_NOISE = str.maketrans(dict.fromkeys(",.;*`'\"()[]", " "))  # what models write around moves and between them
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_TRIES = 10_000  # candidates drawn for one puzzle; some four on average, rarely over a hundred
_SYMBOLS = OBJECTS | OBSTACLES  # source, destination and empty cells are identified by their colour alone
_FILLS = {SOURCE: drawing.SOURCE_COLOUR, DESTINATION: drawing.DESTINATION_COLOUR}


@dataclasses.dataclass(frozen=True, slots=True)
class Grid:
    """A grid with one source, one destination, objects and obstacles; in a scene any of them may be missing.

    Attributes:
        cells: one word a cell, one tuple a row: ``S``, ``D``, ``O`` for an empty cell, or the name of an object or
            obstacle. No object is there twice.
    """

    cells: tuple[tuple[str, ...], ...]

    @property
    def shape(self) -> Cell:
        """Number of rows and of columns."""
        return len(self.cells), len(self.cells[0])

    def places(self) -> dict[Cell, str]:
        """Every cell that is not empty, in reading order, with its word."""
        return {
            (row, column): word
            for row, words in enumerate(self.cells)
            for column, word in enumerate(words)
            if word != EMPTY
        }

    def word(self, cell: Cell) -> str:
        """The word of a cell; empty outside the grid."""
        return self.cells[cell[0]][cell[1]] if _inside(cell, self.shape) else ""

    def obstacle_kinds(self) -> list[str]:
        """The kinds of obstacles that are in the grid, in the order of ``OBSTACLES``."""
        found = {word for row in self.cells for word in row}
        return [kind for kind in OBSTACLES if kind in found]

    def tour(self) -> list[Cell]:
        """Source, objects, destination, as the search visits them: next comes the object nearest in L1 distance.

        Among objects equally near the first in reading order is next. That order is part of the method, not of the
        question: a walk that collects in any other order is as good.
        """
        places = self.places()
        ends = {word: cell for cell, word in places.items() if word in (SOURCE, DESTINATION)}
        left = [cell for cell, word in places.items() if word in OBJECTS]
        stops = [ends[SOURCE]]
        while left:
            stops.append(min(left, key=lambda cell: _distance(cell, stops[-1])[0]))
            left.remove(stops[-1])
        return [*stops, ends[DESTINATION]]


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One step of the search: what was tried at a cell, and what came of it.

    Attributes:
        cell: where the search stands.
        collected: the object picked up on arriving here; empty when there was none.
        rejected: the moves that were refused, in the order of trying, each with the reason: ``outside``, ``visited``,
            or the word of the cell that may not be entered (an obstacle, an object whose turn is later, or ``D``).
        move: the move that was made; empty when none was left, so that the search goes back by one cell.
    """

    cell: Cell
    collected: str
    rejected: tuple[tuple[str, str], ...]
    move: str


class NavigationLevel(LevelSettings):
    """A level of Grid Navigation.

    Attributes:
        objects: range of the number of objects to collect (the paper: SIMPLE 1-2, HARD 2-5).
        obstacle_kinds: range of the number of kinds of obstacles in a grid (the paper: SIMPLE 1, HARD 3-5).
        steps: range of the number of steps of the search, forwards or back (the paper: SIMPLE 10-25, HARD 26-60).
        straight_share: largest share of grids that one of the straight walks solves, which ignore obstacles (the paper
            sets no limit, so 1; 6 % of its SIMPLE grids are such, and none of its HARD ones).
    """

    objects: Span = Field(description="range of the number of objects to collect")
    obstacle_kinds: Span = Field(description="range of the number of kinds of obstacles in a grid")
    steps: Span = Field(description="range of the number of steps of the search, forwards or back")
    straight_share: float = Field(1, ge=0, le=1, description="largest share of grids that a straight walk solves")


class GridNavigationSettings(TaskSettings):
    """Settings of Grid Navigation.

    Attributes:
        rows: range of the number of rows (the paper: 8-12).
        columns: range of the number of columns (the paper: 8-12).
        obstacle_share: share of cells with an obstacle (the paper: 0.35).
    """

    rows: Span = Field(description="range of the number of rows")
    columns: Span = Field(description="range of the number of columns")
    obstacle_share: float = Field(gt=0, lt=1, description="share of cells with an obstacle")
    levels: dict[Level, NavigationLevel]

    @model_validator(mode="after")
    def _grid_has_names(self) -> GridNavigationSettings:
        most = len(COMPACT_ROWS if self.style == "compact" else _LETTERS)
        for name, span in (("rows", self.rows), ("columns", self.columns)):
            if not 2 <= span[0] <= span[1] <= most:
                raise ValueError(
                    f"{name} is {list(span)}, but source and destination need two, and letters name at most {most} in "
                    f"the {self.style} style: choose from 2 to {most}"
                )
        return self

    @model_validator(mode="after")
    def _levels_fit(self) -> GridNavigationSettings:
        kinds = len(COMPACT_OBJECTS if self.style == "compact" else OBJECTS)
        limits = {
            "objects": (1, min(kinds, self.rows[0] * self.columns[0] - 2)),
            "obstacle_kinds": (1, len(OBSTACLES)),
            "steps": (2, 10_000),
        }
        for level, spec in self.levels.items():
            for name, (least, most) in limits.items():
                span = getattr(spec, name)
                if not least <= span[0] <= span[1] <= most:
                    raise ValueError(f"levels.{level}.{name} is {list(span)}: choose from {least} to {most}")
        return self


class GridNavigation(Task[Grid]):
    """A walk from source to destination that picks up every object, found by depth-first search."""

    name = "grid_navigation"
    title = "Grid Navigation"
    settings_type = GridNavigationSettings
    puzzle_type = Grid

    @property
    def min_size(self) -> tuple[int, int]:
        """The paper's page, or a square of 16-pixel tiles with room for the letters."""
        if not self.compact:
            return drawing.PAGE
        side = TILE * (1 + max(self.settings.rows[1], self.settings.columns[1]))
        return side, side

    def sample(self, rng: np.random.Generator, level: Level, split: Split) -> Grid:
        """Draw a grid whose search takes as many steps as the level allows.

        Size, number of objects and number of obstacle kinds are drawn first, and kept until a grid fits: each
        combination is equally frequent, as in the paper, however rarely its grids fit.
        """
        spec: NavigationLevel = self.level(level)
        shape = (_draw(rng, self.settings.rows), _draw(rng, self.settings.columns))
        objects, kinds = _draw(rng, spec.objects), _draw(rng, spec.obstacle_kinds)
        may_be_straight = spec.straight_share == 1 or rng.random() < spec.straight_share
        for _ in range(_TRIES):
            grid = self._candidate(rng, shape, objects, kinds)
            if len(grid.obstacle_kinds()) == kinds:
                trace = _search(grid, spec.steps[1])
                if trace is not None and len(trace) >= spec.steps[0] and (may_be_straight or not is_straight(grid)):
                    return grid
        raise DataError(
            f"{self.title} {level}: none of {_TRIES} grids with {shape[0]} rows, {shape[1]} columns, {objects} objects "
            f"and {kinds} kinds of obstacles can be solved in {spec.steps[0]} to {spec.steps[1]} steps. Widen "
            f"levels.{level}.steps, raise its straight_share, or change the range of rows, columns or objects, or "
            "obstacle_share."
        )

    def _candidate(self, rng: np.random.Generator, shape: Cell, objects: int, kinds: int) -> Grid:
        """Any grid, solvable or not.

        Differences from the paper: the destination may lie in the first row and column as well, and the objects are
        put on distinct cells at once. As in the paper they may take the place of an obstacle. (``sample`` adds a third
        difference: a grid shows exactly as many kinds of obstacles as were drawn.)
        """
        rows, columns = shape
        source, destination = _ends(rng, shape)
        words = [EMPTY] * (rows * columns)
        blocked = _obstacle_cells(rng, shape, (source, destination), self.settings.obstacle_share)
        names = [_OBSTACLE_NAMES[i] for i in rng.permutation(len(_OBSTACLE_NAMES))[:kinds].tolist()]
        for place, kind in zip(blocked, rng.integers(kinds, size=len(blocked)).tolist(), strict=True):
            words[place] = names[kind]
        ends = (source[0] * columns + source[1], destination[0] * columns + destination[1])
        known = COMPACT_OBJECTS if self.compact else _OBJECT_NAMES
        free = [place for place in rng.permutation(len(words)).tolist() if place not in ends]
        for place, kind in zip(free[:objects], rng.permutation(len(known))[:objects].tolist(), strict=True):
            words[place] = known[kind]
        words[ends[0]], words[ends[1]] = SOURCE, DESTINATION
        return _grid(words, columns)

    def sample_scene(self, rng: np.random.Generator) -> Grid:
        """Any grid: source and destination or not, any number of objects, obstacles on any share of the other cells."""
        rows, columns = _draw(rng, self.settings.rows), _draw(rng, self.settings.columns)
        known = COMPACT_OBJECTS if self.compact else _OBJECT_NAMES
        ends = [word for word in (SOURCE, DESTINATION) if rng.integers(2)]
        objects = [known[i] for i in rng.permutation(len(known))[: _draw(rng, (0, len(known)))].tolist()]
        kinds = rng.permutation(len(_OBSTACLE_NAMES))[: _draw(rng, (1, len(_OBSTACLE_NAMES)))]
        blocked = rng.random(rows * columns) < rng.random()
        words = [_OBSTACLE_NAMES[kind] for kind in rng.choice(kinds, rows * columns).tolist()]
        words = [word if is_blocked else EMPTY for word, is_blocked in zip(words, blocked, strict=True)]
        for place, word in zip(rng.permutation(rows * columns).tolist(), [*ends, *objects], strict=False):
            words[place] = word
        return _grid(words, columns)

    def answer(self, puzzle: Grid) -> str:
        """The moves that the search did not take back, separated by spaces."""
        return " ".join(surviving_moves(search(puzzle)))

    def to_text(self, puzzle: Grid) -> str:
        """Letters of the columns, then a line per row with its letter; in the compact style a word per cell."""
        rows, columns = self.names(puzzle.shape)
        if self.compact:
            return _compact_text(puzzle, rows, columns)
        lines = [" & ".join([name, *cells]) for name, cells in zip(rows, puzzle.cells, strict=True)]
        return "\n".join([" & ".join(columns), *lines])

    def question(self, puzzle: Grid, modality: Modality) -> str:
        """The question; in the compact style the same few words for every puzzle."""
        return _COMPACT_QUESTION if self.compact else _paper_question(modality)

    def transcription_question(self) -> str:
        """The request to write the grid down, in the words of the question."""
        if self.compact:
            return "write the grid"
        return (
            "The puzzle is a two-dimensional grid. Write it down as text: a first line with the letters of the "
            "columns, then a line for each row, its letter first, all parts separated by ' & '. Write every object and "
            f"obstacle by its name: {', '.join(_SYMBOLS)}. Write {SOURCE} for the source (sky blue), {DESTINATION} for "
            f"the destination (dark green) and {EMPTY} for an empty cell."
        )

    def chain_of_thought(self, puzzle: Grid) -> str:
        """The search, step by step, with every move that was refused and why."""
        rows, columns = self.names(puzzle.shape)
        return (_compact_chain if self.compact else _paper_chain)(puzzle, rows, columns)

    def render(self, puzzle: Grid) -> bytes:
        """The grid with letters at its rows and columns, and symbols for objects and obstacles."""
        rows, columns = self.names(puzzle.shape)
        if self.compact:
            side = self.image_size[0]
            return drawing.draw_compact(puzzle.cells, rows, columns, symbols=_SYMBOLS, fills=_FILLS, side=side)
        return drawing.draw_page(puzzle.cells, rows, columns, symbols=_SYMBOLS, fills=_FILLS)

    def difficulty(self, puzzle: Grid) -> dict[str, int]:
        """Steps of the search, how many of them go back, moves of the answer, and objects."""
        steps = search(puzzle)
        back = sum(not step.move for step in steps)
        objects = len(puzzle.tour()) - 2
        return {"steps": len(steps), "retraces": back, "moves": len(surviving_moves(steps)), "objects": objects}

    def judge(self, puzzle: Grid, prediction: str) -> Verdict:
        """Any walk is correct that stays inside, enters no obstacle and has all objects when it reaches D.

        The walk ends at its first visit of the destination; what follows is ignored. Differences from the paper: a
        walk that leaves the grid is always wrong, and surplus spaces, capitals and punctuation are harmless.
        """
        moves = read_moves(prediction)
        if moves is None:
            return Verdict(False, "", False)
        return Verdict(True, " ".join(moves) or NO_PATH, walk_solves(puzzle, moves))

    def vocabulary(self) -> frozenset[str]:
        """Every word of the compact style."""
        rows, columns = self.names((self.settings.rows[1], self.settings.columns[1]))
        names = {f"{row}{column}" for row in rows for column in columns}
        contents = {SOURCE, DESTINATION, *COMPACT_OBJECTS, *OBSTACLES}
        cells = {f"{name}:{content}" for name in names for content in (EMPTY, *contents)}
        chain = {*MOVES, "outside", "visited", "take", "back"}
        prompts = {*_COMPACT_QUESTION.split(), *self.transcription_question().split()}
        return frozenset({*names, *contents, *cells, *chain, *prompts, "Answer:"})

    def names(self, shape: Cell) -> tuple[str, str]:
        """A letter for each row and for each column."""
        if self.compact:  # different letters for rows and columns, so that a lone word says which it is
            return COMPACT_ROWS[: shape[0]], COMPACT_COLUMNS[: shape[1]]
        return _LETTERS[: shape[0]], _LETTERS[: shape[1]]


@lru_cache(maxsize=256)
def search(grid: Grid) -> tuple[Step, ...]:
    """The steps of the depth-first search from source to destination; arriving there is not a step.

    Raises:
        DataError: the search does not reach the destination.
    """
    trace = _search(grid, limit=10_000_000)
    if trace is None:
        raise DataError(f"this grid has no way that collects its objects in turn, it is no puzzle: {grid.cells}")
    names, places, left = tuple(MOVES), grid.places(), grid.tour()[1:-1]
    steps = []
    for place, refused, made in trace:
        row, column = divmod(place, grid.shape[1] + 2)
        cell, collected = (row - 1, column - 1), ""
        if left and cell == left[0]:
            collected = places[left.pop(0)]
        rejected = tuple((names[move], reason) for move, reason in refused)
        steps.append(Step(cell, collected, rejected, names[made] if made >= 0 else ""))
    return tuple(steps)


def surviving_moves(steps: Iterable[Step]) -> list[str]:
    """The moves that were not taken back."""
    moves: list[str] = []
    for step in steps:
        if step.move:
            moves.append(step.move)
        else:
            moves.pop()
    return moves


def read_moves(prediction: str) -> list[str] | None:
    """The moves of an answer: none for "no path", None for what is no answer.

    Unlike in the paper surplus spaces, capitals and punctuation are harmless.
    """
    moves = (final_answer(prediction) or "").lower().translate(_NOISE).split()
    if " ".join(moves) == NO_PATH:
        return []
    return moves if moves and set(moves) <= MOVES.keys() else None


def walk_solves(grid: Grid, moves: Iterable[str]) -> bool:
    """Whether a walk from the source reaches the destination with all objects, inside the grid, past no obstacle."""
    places = grid.places()
    left = {cell for cell, word in places.items() if word in OBJECTS}
    cell = grid.tour()[0]
    for move in moves:
        cell = shifted(cell, move)
        if not _inside(cell, grid.shape) or places.get(cell) in OBSTACLES:
            return False
        left.discard(cell)
        if places.get(cell) == DESTINATION:
            return not left
    return False


STRAIGHT_WALKS = ("up or down first", "left or right first", "as the search goes")
"""Ways to go from stop to stop of a tour as if there were no obstacles."""


def straight_walks(grid: Grid) -> dict[str, list[str]]:
    """The walk along the tour in each of these ways."""
    legs = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(grid.tour())]
    upright = [["down" if rows > 0 else "up"] * abs(rows) for rows, _ in legs]
    level = [["right" if columns > 0 else "left"] * abs(columns) for _, columns in legs]
    free = Grid(tuple(tuple(EMPTY if word in OBSTACLES else word for word in words) for words in grid.cells))
    names = tuple(MOVES)
    walks = (
        [move for leg in zip(upright, level, strict=True) for part in leg for move in part],
        [move for leg in zip(level, upright, strict=True) for part in leg for move in part],
        [names[made] for _, _, made in _search(free, limit=10_000_000) or [] if made >= 0],
    )
    return dict(zip(STRAIGHT_WALKS, walks, strict=True))


def is_straight(grid: Grid) -> bool:
    """Whether one of the straight walks solves the grid."""
    return any(walk_solves(grid, moves) for moves in straight_walks(grid).values())


Trace = list[tuple[int, list[tuple[int, str]], int]]
"""Steps as (place, refused moves with their reasons, move made): moves are numbers in the order of ``MOVES``, -1 for
going back; a place is a cell's number in a grid with a margin of one cell around it."""


def _search(grid: Grid, limit: int) -> Trace | None:
    """The whole search, one leg for each stop of the tour; None when a leg fails or ``limit`` steps do not suffice.

    What was visited is forgotten at every object. A leg that fails has seen every cell that can be reached without
    entering a later stop, so that going back beyond its first cell could not help: the grid has no solution in the
    order of the tour. As in the paper such a grid is no puzzle, even where another order would do.
    """
    width = grid.shape[1] + 2
    stops = [(row + 1) * width + column + 1 for row, column in grid.tour()]
    refusals = _refusals(grid)
    refusals[stops[0]] = ""
    trace: Trace = []
    for start, target in pairwise(stops):
        refusals[target] = ""
        leg = _search_leg(refusals, width, (start, target), limit - len(trace))
        if leg is None:
            return None
        trace += leg
    return trace


def _refusals(grid: Grid) -> list[str]:
    """For each place why it may not be entered: ``outside`` in the margin, the word of a cell that is not empty."""
    columns = grid.shape[1]
    outside = ["outside"] * (columns + 2)
    inside = [["outside", *("" if word == EMPTY else word for word in words), "outside"] for words in grid.cells]
    return [reason for line in (outside, *inside, outside) for reason in line]


def _search_leg(refusals: list[str], width: int, ends: tuple[int, int], limit: int) -> Trace | None:
    """Depth-first search from one stop to the next."""
    offsets = (-width, width, -1, 1)
    target_row, target_column = divmod(ends[1], width)
    path, visited = [ends[0]], {ends[0]}
    trace: Trace = []
    while path[-1] != ends[1]:
        here = path[-1]
        row, column = divmod(here, width)
        refused, made = [], -1
        for move in _move_order(target_row - row, target_column - column):
            goal = here + offsets[move]
            reason = "visited" if goal in visited else refusals[goal]
            if not reason:
                made = move
                path.append(goal)
                visited.add(goal)
                break
            refused.append((move, reason))
        trace.append((here, refused, made))
        if made < 0:
            path.pop()
        if not path or len(trace) > limit:
            return None
    return trace


@lru_cache(maxsize=4096)
def _move_order(rows: int, columns: int) -> tuple[int, ...]:
    """The moves in the order of trying when the target lies that many rows down and columns to the right.

    First the move that ends nearest to the target, in L1 distance and then in L2 distance.
    """
    ends = [_distance(move, (rows, columns)) for move in MOVES.values()]
    return tuple(sorted(range(len(ends)), key=ends.__getitem__))


def shifted(cell: Cell, move: str) -> Cell:
    """The cell to which a move leads, inside the grid or not."""
    rows, columns = MOVES[move]
    return cell[0] + rows, cell[1] + columns


def _inside(cell: Cell, shape: Cell) -> bool:
    return 0 <= cell[0] < shape[0] and 0 <= cell[1] < shape[1]


def _distance(cell: Cell, target: Cell) -> tuple[int, int]:
    """L1 distance, and squared L2 distance to break its ties."""
    rows, columns = abs(cell[0] - target[0]), abs(cell[1] - target[1])
    return rows + columns, rows * rows + columns * columns


def _draw(rng: np.random.Generator, span: tuple[int, int]) -> int:
    return int(rng.integers(span[0], span[1] + 1))


def _grid(words: Sequence[str], columns: int) -> Grid:
    """The grid with these words, row by row."""
    return Grid(tuple(tuple(words[start : start + columns]) for start in range(0, len(words), columns)))


def _ends(rng: np.random.Generator, shape: Cell) -> tuple[Cell, Cell]:
    """Source and destination, uniform among the pairs that share neither row nor column."""
    source = tuple(int(rng.integers(size)) for size in shape)
    offsets = tuple(int(rng.integers(1, size)) for size in shape)
    destination = tuple((start + by) % size for start, by, size in zip(source, offsets, shape, strict=True))
    return (source[0], source[1]), (destination[0], destination[1])


def _obstacle_cells(rng: np.random.Generator, shape: Cell, ends: tuple[Cell, Cell], share: float) -> list[int]:
    """Numbers of the cells with obstacles: a fixed number between the ends, each other cell by chance."""
    columns = shape[1]
    chance = rng.random(shape[0] * columns).tolist()
    (top, bottom), (left, right) = (sorted(pair) for pair in zip(*ends, strict=True))
    between = {row * columns + column for row in range(top, bottom + 1) for column in range(left, right + 1)}
    inner = sorted(between - {row * columns + column for row, column in ends}, key=chance.__getitem__)
    count = int(share * len(inner) + 1e-9)  # rounding must not turn 7.0 into 6
    return inner[:count] + [place for place, value in enumerate(chance) if value < share and place not in between]


def _paper_question(modality: Modality) -> str:
    """The paper's question; new in it: the collecting order is free, and the first visit of the destination ends it."""
    if modality == "image":
        marks = "Empty cells are white. The source is the sky blue cell and the destination is the dark green cell. "
    else:
        marks = f"Empty cells are written {EMPTY}, the source is {SOURCE} and the destination is {DESTINATION}. "
    return (
        "The puzzle is a two-dimensional grid. Some cells hold objects, which you must recognise and collect, and some "
        f"hold obstacles, which you must not enter. Objects are of these kinds: {', '.join(OBJECTS)}. Obstacles are of "
        f"these kinds: {', '.join(OBSTACLES)}. {marks}"
        "Find a walk inside the grid from the source to the destination that collects all objects, in any order. The "
        "walk ends when it reaches the destination for the first time. Give the walk as a list of moves, each of them "
        "left, right, up or down. Write it on the last line as 'Answer: ' followed by the moves, separated by spaces. "
        f"If there is no such walk, write 'Answer: {NO_PATH}'."
    )


def _paper_chain(grid: Grid, rows: Sequence[str], columns: Sequence[str]) -> str:
    """One paragraph a step; every refused move names what is in the way."""
    stops, places = grid.tour(), grid.places()

    def name(cell: Cell) -> str:
        return f"({rows[cell[0]]}, {columns[cell[1]]})"

    objects = ", ".join(f"{places[cell]} {name(cell)}" for cell in stops[1:-1])
    lines = [
        "I search depth first and try the move first that ends nearest to the next target.",
        f"Source: {name(stops[0])} Destination: {name(stops[-1])}",
        f"Collect objects: {objects}",
        f"Avoid obstacles: {', '.join(grid.obstacle_kinds())}",
    ]
    for step in search(grid):
        lines.append(name(step.cell) + (f" Collect {step.collected}" if step.collected else ""))
        for move, reason in step.rejected:
            goal = "" if reason == "outside" else f" {name(shifted(step.cell, move))}"
            lines.append(f"{move}{goal} {_paper_reason(reason)}")
        okay = f"{step.move} {name(shifted(step.cell, step.move))} okay" if step.move else ""
        lines.append(okay or "No move is left, so I retrace one step.")
    return "\n".join(lines)


def _paper_reason(reason: str) -> str:
    if reason in OBSTACLES:
        return f"closed ({reason})"
    if reason in ("outside", "visited"):
        return reason
    return f"too early ({'destination' if reason == DESTINATION else reason})"


def _compact_text(grid: Grid, rows: Sequence[str], columns: Sequence[str]) -> str:
    """One line per row, one word per cell with its name; the chain calls a cell by the same name.

    What is in a cell is therefore one look-up away: with letters at the grid's edges it takes two, of row and column.
    """
    lines = [zip(columns, cells, strict=True) for cells in grid.cells]
    return "\n".join(
        " ".join(f"{row}{column}:{word}" for column, word in line) for row, line in zip(rows, lines, strict=True)
    )


def _compact_chain(grid: Grid, rows: Sequence[str], columns: Sequence[str]) -> str:
    """The stops, then one line per step: the cell, each refused move with its reason, the move made.

    A move is refused when a reason follows it: ``outside``, ``visited`` or what is in the way. Unlike the paper's chain
    it does not list the kinds of obstacles: no step needs them, and they cannot be looked up in any one cell.
    """
    places = grid.places()

    def name(cell: Cell) -> str:
        return rows[cell[0]] + columns[cell[1]]

    lines = [" ".join(f"{places[cell]} {name(cell)}" for cell in grid.tour())]
    for step in search(grid):
        taken = ["take", step.collected] if step.collected else []
        refused = [word for pair in step.rejected for word in pair]
        lines.append(" ".join([name(step.cell), *taken, *refused, step.move or "back"]))
    return "\n".join(lines)
