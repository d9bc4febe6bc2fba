"""The diagnoser of Grid Navigation: a chain is replayed on the grid, so that any true search is as good as ours."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from s2h.diagnosis.diagnosis import Diagnoser, FirstError, Parts, first_difference, lines
from s2h.diagnosis.grid_chains import (
    OUTSIDE,
    VISITED,
    Entry,
    Header,
    Refusal,
    Steps,
    read_compact,
    read_paper,
    stated_ends,
)
from s2h.diagnosis.moves_form import MovesForm
from s2h.puzzles.grid_navigation import (
    DESTINATION,
    MOVES,
    NO_PATH,
    OBJECTS,
    OBSTACLES,
    SOURCE,
    Cell,
    Grid,
    GridNavigation,
    read_moves,
    shifted,
    walk_solves,
)

Namer = Callable[[Cell], str]
"""The name of a cell as chains write it, "b c" or "nb"; ``outside`` where there is none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Walk:
    """The result of a list of moves, as if obstacles could be entered.

    The walk ends at its first visit of the destination, or where it leaves the grid.

    Attributes:
        arrived: it reaches the destination.
        obstacles: how often it enters an obstacle.
        collected: number of different objects on its way.
    """

    arrived: bool
    obstacles: int
    collected: int


def walk(grid: Grid, moves: Iterable[str]) -> Walk:
    """Walk from the source.

    Difference from the paper: a walk that leaves the grid ends there, at every border. The paper's bounds let it go
    on beyond the first row and the first column.
    """
    cell = next(cell for cell, word in grid.places().items() if word == SOURCE)
    collected: set[Cell] = set()
    obstacles = 0
    for move in moves:
        cell = shifted(cell, move)
        word = grid.word(cell)
        if word in ("", DESTINATION):
            return Walk(word == DESTINATION, obstacles, len(collected))
        obstacles += word in OBSTACLES
        if word in OBJECTS:
            collected.add(cell)
    return Walk(False, obstacles, len(collected))


def grid_metrics(grid: Grid, moves: Sequence[str] | None, gold: Sequence[str]) -> dict[str, float | None]:
    """The metrics of an answer; bounds are strict, see ``walk``.

    Args:
        grid: the puzzle.
        moves: the answer; None where it cannot be read.
        gold: the moves of the right answer that is known.
    """
    went = walk(grid, moves or [])
    differs = moves is not None and list(moves) != list(gold)
    solved = moves is not None and (not differs or walk_solves(grid, moves))
    return {
        "exact_match": float(solved),
        "partial_score": float(went.arrived),
        "num_obstacles": float(went.obstacles) if differs else None,
        "objects_collected": float(went.collected),
        "objects": float(sum(word in OBJECTS for word in grid.places().values())),
    }


def moves_of(answer: str) -> list[str]:
    """The moves of an answer that was read; none for "no path"."""
    return [] if answer == NO_PATH else answer.split()


class GridDiagnoser(Diagnoser[Grid]):
    """Replays chains of both styles; in which order moves are tried and objects are collected is free."""

    form = MovesForm()
    metrics = (
        "exact_match",
        "partial_score",
        "source_dest_score",
        "num_obstacles",
        "objects_collected",
        "objects",
        "transcription",
    )
    """The paper's. ``exact_match``: the answer is ours or solves the puzzle. ``partial_score``: it reaches the
    destination, past obstacles or through them. ``source_dest_score``: the chain names both ends rightly.
    ``num_obstacles``: how often an answer other than ours enters an obstacle. ``objects_collected``: by the answer, of
    all ``objects``."""

    task: GridNavigation

    def measure(self, puzzle: Grid, parts: Parts) -> dict[str, float | None]:
        """The metrics of the answer, and whether the chain names source and destination."""
        truth = self._truth(puzzle)
        named = stated_ends(parts.chain) == (truth.source, truth.destination)
        measured = grid_metrics(puzzle, read_moves(parts.text), self.task.answer(puzzle).split())
        return {**measured, "source_dest_score": float(named) if parts.chain else None}

    def follow(self, puzzle: Grid, chain: str, answer: str) -> None:
        """Raise FirstError at the first claim or move that does not hold on the grid, as far as the walk has come."""
        number, replay = 0, Replay(puzzle, self._namer(puzzle))
        for number, entry in enumerate(self._steps(puzzle, chain), 1):
            if isinstance(entry, str):
                raise FirstError("format", number, "step", "", entry)
            replay.step(number, entry)
        replay.end(number + 1)
        found = self.read(puzzle, answer).verdict.answer
        difference = first_difference(replay.moves, moves_of(found) if found else replay.moves, what="move")
        if difference:
            place, expected, observed = difference
            raise FirstError("reasoning", None, "answer", f"{place}: {expected}", observed)

    def _steps(self, puzzle: Grid, chain: str) -> Steps:
        """The steps of a chain, after its header was found to be right."""
        if self.task.compact:
            header, steps = read_compact(chain)
        else:
            header, steps = read_paper(chain)
            opening, line = lines(self.task.chain_of_thought(puzzle))[0], lines(chain)[0]
            if line != opening:
                raise FirstError("format", 0, "header", opening, line)
        if header is None:
            parts = "source, objects, destination" if self.task.compact else "source, destination, objects, obstacles"
            raise FirstError("format", 0, "header", parts, chain)
        _check_header(self._truth(puzzle), header)
        return steps

    def _namer(self, grid: Grid) -> Namer:
        rows, columns = self.task.names(grid.shape)
        join = "" if self.task.compact else " "
        return lambda cell: f"{rows[cell[0]]}{join}{columns[cell[1]]}" if grid.word(cell) else OUTSIDE

    def _truth(self, grid: Grid) -> Header:
        name, places = self._namer(grid), grid.places()
        ends = {word: name(cell) for cell, word in places.items() if word in (SOURCE, DESTINATION)}
        objects = tuple(f"{word} {name(cell)}" for cell, word in places.items() if word in OBJECTS)
        kinds = None if self.task.compact else tuple(grid.obstacle_kinds())
        return Header(ends[SOURCE], ends[DESTINATION], objects, kinds)


def _check_header(truth: Header, header: Header) -> None:
    """Raise FirstError where the header tells of other places or kinds than there are; its lists may have any order."""
    if header.source != truth.source:
        raise FirstError("perception", 0, "source", truth.source, header.source)
    if header.destination != truth.destination:
        raise FirstError("perception", 0, "destination", truth.destination, header.destination)
    for kind, wanted, found in (
        ("objects", Counter(truth.objects), Counter(header.objects)),
        ("obstacles", Counter(truth.kinds or ()), Counter(header.kinds or ())),
    ):
        if wanted != found:
            missing, surplus = (", ".join(each.elements()) or "nothing" for each in (wanted - found, found - wanted))
            raise FirstError("perception", 0, kind, missing, surplus)


class Replay:
    """A walk as far as a chain has led it.

    Args:
        grid: where it walks.
        name: how the chain names cells.

    Attributes:
        moves: the moves that were not taken back.
    """

    def __init__(self, grid: Grid, name: Namer) -> None:
        self.moves: list[str] = []
        self._grid, self._name = grid, name
        places = grid.places()
        self._left = {cell for cell, word in places.items() if word in OBJECTS}
        self._start_leg(next(cell for cell, word in places.items() if word == SOURCE))

    def _start_leg(self, cell: Cell) -> None:
        """At an object all that was visited is forgotten, and no way leads back beyond it."""
        self._trail, self._visited = [cell], {cell}

    @property
    def _arrived(self) -> bool:
        return self._grid.word(self._trail[-1]) == DESTINATION

    def step(self, number: int, entry: Entry) -> None:
        """Take a step; raises FirstError where it cannot be taken or claims what is not so."""
        here = self._name(self._trail[-1])
        if self._arrived:
            raise FirstError("reasoning", number, "end", "nothing", entry.cell)
        if entry.cell != here:
            raise FirstError("reasoning", number, "cell", here, entry.cell)
        self._collect(number, entry.collected)
        refused: set[str] = set()
        for refusal in entry.refused:
            self._check_refusal(number, refusal)
            if refusal.move in refused:
                raise FirstError("reasoning", number, "refused twice", "", refusal.move)
            refused.add(refusal.move)
        if entry.move:
            self._go(number, entry)
        else:
            self._go_back(number, refused)

    def end(self, number: int) -> None:
        """Raise FirstError unless the walk is over; ``number`` is that of the step that is missing."""
        if not self._arrived:
            raise FirstError("reasoning", number, "end", DESTINATION, self._name(self._trail[-1]))

    def _collect(self, number: int, collected: str) -> None:
        here = self._trail[-1]
        word = self._grid.word(here) if here in self._left else ""
        if collected and collected != word:
            raise FirstError("perception", number, "object", word or "nothing", collected)
        if word and not collected:
            raise FirstError("reasoning", number, "object not taken", word, "nothing")
        if word:
            self._left.discard(here)
            self._start_leg(here)

    def _check_refusal(self, number: int, refusal: Refusal) -> None:
        """Raise FirstError where the reason of a refused move is not true."""
        cell, reason = shifted(self._trail[-1], refusal.move), refusal.reason
        self._check_goal(number, cell, refusal.goal)
        word = self._grid.word(cell)
        truth, found = f"{refusal.move}: {self._reason(cell) or word}", f"{refusal.move}: {reason}"
        if reason == OUTSIDE and word:
            raise FirstError("reasoning", number, "refused outside", truth, found)
        if reason == VISITED and cell not in self._visited:
            raise FirstError("reasoning", number, "refused visited", truth, found)
        if reason in (OUTSIDE, VISITED):
            return
        if reason != word:
            raise FirstError("perception", number, "refused move", f"{refusal.move}: {word or OUTSIDE}", found)
        if reason not in OBSTACLES and not self._too_early(cell):
            truth = f"{refusal.move}: {self._reason(cell) or 'free'}"
            raise FirstError("reasoning", number, "refused too early", truth, found)

    def _check_goal(self, number: int, cell: Cell, goal: str) -> None:
        if goal and goal != self._name(cell):
            raise FirstError("reasoning", number, "goal", self._name(cell), goal)

    def _too_early(self, cell: Cell) -> bool:
        """Whether an object or the destination may have to wait: something else is left that can come before it."""
        return bool(self._left) if self._grid.word(cell) == DESTINATION else cell in self._left and len(self._left) > 1

    def _reason(self, cell: Cell) -> str:
        """Why a cell must not be entered; empty where it may."""
        word = self._grid.word(cell)
        if not word:
            return OUTSIDE
        if word in OBSTACLES:
            return word
        if cell in self._visited:
            return VISITED
        return word if word == DESTINATION and self._left else ""

    def _go(self, number: int, entry: Entry) -> None:
        """Make a move; raises FirstError where it leads to a cell that must not be entered."""
        cell = shifted(self._trail[-1], entry.move)
        self._check_goal(number, cell, entry.goal)
        reason = self._reason(cell)
        kinds = {OUTSIDE: "move outside", VISITED: "move visited", DESTINATION: "move too early"}
        if reason in OBSTACLES:
            raise FirstError("perception", number, "obstacle", f"no {reason}", f"{entry.move}: {reason}")
        if reason:
            raise FirstError("reasoning", number, kinds[reason], "", entry.move)
        self._trail.append(cell)
        self._visited.add(cell)
        self.moves.append(entry.move)

    def _go_back(self, number: int, refused: set[str]) -> None:
        """Take a move back; raises FirstError where one is left to be tried, or where there is none to take back."""
        for move in MOVES:
            if move not in refused and not self._reason(shifted(self._trail[-1], move)):
                raise FirstError("reasoning", number, "gave up early", move, "back")
        if len(self._trail) == 1:
            raise FirstError("reasoning", number, "no way back", "", "back")
        self._trail.pop()
        self.moves.pop()
