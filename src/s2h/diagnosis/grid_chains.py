"""Parsing the chains of thought of Grid Navigation, in both styles, without judging them.

Cells are named by row and column, as in "b c"; in the compact style by one word, as in "nb".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from s2h.diagnosis.diagnosis import lines
from s2h.puzzles.grid_navigation import COMPACT_COLUMNS, COMPACT_ROWS, DESTINATION, MOVES, OBJECTS, OBSTACLES, SOURCE

OUTSIDE, VISITED = "outside", "visited"
_CELLS = frozenset(f"{row}{column}" for row in COMPACT_ROWS for column in COMPACT_COLUMNS)
"""The names of cells in the compact style."""
_REASONS = frozenset({OUTSIDE, VISITED, DESTINATION, *OBJECTS, *OBSTACLES})
_MARKS = str.maketrans("(),.", "    ")
_RETRACE = ["No", "move", "is", "left", "so", "I", "retrace", "one", "step"]


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """The part of a chain before its first step.

    Attributes:
        source: where the walk begins.
        destination: where it must end.
        objects: the objects, each with its cell: "heart b c".
        kinds: the kinds of obstacles; None in the compact style, which does not list them.
    """

    source: str
    destination: str
    objects: tuple[str, ...]
    kinds: tuple[str, ...] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """A move that is not made.

    Attributes:
        move: where to.
        reason: ``outside``, ``visited`` or the word that is in the way.
        goal: the cell that it would lead to; empty where the chain does not say.
    """

    move: str
    reason: str
    goal: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One step of a chain.

    Attributes:
        cell: where it stands.
        collected: the object picked up there; empty for none.
        refused: the moves that are not made, in order.
        move: the move made; empty for going back.
        goal: the cell that it leads to; empty where the chain does not say.
    """

    cell: str
    collected: str
    refused: tuple[Refusal, ...]
    move: str
    goal: str = ""


Steps = Iterator[Entry | str]
"""The steps one by one; what cannot be read as a step comes as it is written."""


def stated_ends(chain: str) -> tuple[str, str] | None:
    """The cells of source and destination, as a chain names them; None where it does not.

    The paper's style writes them after ``Source:`` and ``Destination:``, in two words; the compact style after the
    first ``S`` and the first ``D``, in one.
    """
    if "Source:" in chain:
        words, marks, length = chain.translate(_MARKS).split(), ("Source:", "Destination:"), 2
    else:
        words, marks, length = chain.split(), (SOURCE, DESTINATION), 1
    found = [" ".join(words[words.index(mark) + 1 :][:length]) for mark in marks if mark in words]
    return (found[0], found[1]) if len(found) == 2 else None


def read_paper(chain: str) -> tuple[Header | None, Steps]:
    """Header and steps of the paper's style, after its first line; None for a header that cannot be read."""
    found = [line.translate(_MARKS).split() for line in lines(chain)]
    ends, objects, kinds = [*found[1:4], [], [], []][:3]
    titles = [*ends[:1], *ends[3:4], *objects[:2], *kinds[:2]]
    header = None
    if titles == ["Source:", "Destination:", "Collect", "objects:", "Avoid", "obstacles:"] and len(ends) == 6:
        header = Header(" ".join(ends[1:3]), " ".join(ends[4:]), _grouped(objects[2:], 3), tuple(kinds[2:]))
    return header, _paper_steps(found[4:])


def read_compact(chain: str) -> tuple[Header | None, Steps]:
    """Header and steps of the compact style; None for a header that cannot be read, which ends with the destination."""
    words = chain.split()
    first = words.index(DESTINATION) + 2 if DESTINATION in words else 0
    stops, header = _grouped(words[:first], 2), None
    if stops and stops[0].startswith(f"{SOURCE} ") and stops[-1].startswith(f"{DESTINATION} "):
        header = Header(stops[0][2:], stops[-1][2:], stops[1:-1], None)
    return header, _compact_steps(words[first:])


def _grouped(words: Sequence[str], length: int) -> tuple[str, ...]:
    return tuple(" ".join(words[at : at + length]) for at in range(0, len(words), length))


def _paper_steps(found: Sequence[list[str]]) -> Steps:
    """A step ends with the line of the move that is made or taken back."""
    group: list[list[str]] = []
    for words in found:
        group.append(words)
        if words[-1:] == ["okay"] or words == _RETRACE:
            yield _paper_entry(group) or _written(group)
            group = []
    if group:
        yield _written(group)


def _written(group: Sequence[Sequence[str]]) -> str:
    return " ".join(" ".join(words) for words in group)


def _paper_entry(group: Sequence[list[str]]) -> Entry | None:
    head, *middle, last = group if len(group) > 1 else [[], [], []]
    refused = tuple(_paper_refusal(words) for words in middle)
    if len(head) not in (2, 4) or head[2:3] not in ([], ["Collect"]) or None in refused:
        return None
    cell, collected, moves = " ".join(head[:2]), " ".join(head[3:]), tuple(filter(None, refused))
    if last == _RETRACE:
        return Entry(cell, collected, moves, "")
    if len(last) != 4 or last[0] not in MOVES:
        return None
    return Entry(cell, collected, moves, last[0], " ".join(last[1:3]))


def _paper_refusal(words: Sequence[str]) -> Refusal | None:
    """Move and reason of a line; obstacles are closed, and objects and the destination come too early."""
    if len(words) < 2 or words[0] not in MOVES:
        return None
    goal, reason = " ".join(words[1:3]), list(words[3:])
    if words[1:] == [OUTSIDE]:
        return Refusal(words[0], OUTSIDE)
    if reason == [VISITED]:
        return Refusal(words[0], VISITED, goal)
    if reason[:1] == ["closed"] and len(reason) == 2 and reason[1] in OBSTACLES:
        return Refusal(words[0], reason[1], goal)
    if reason[:2] == ["too", "early"] and len(reason) == 3 and reason[2] in {"destination", *OBJECTS}:
        return Refusal(words[0], DESTINATION if reason[2] == "destination" else reason[2], goal)
    return None


def _compact_steps(words: Sequence[str]) -> Steps:
    """A step begins with the letter of a row."""
    group: list[str] = []
    for word in words:
        if word in _CELLS and group:
            yield _compact_entry(group) or " ".join(group)
            group = []
        group.append(word)
    if group:
        yield _compact_entry(group) or " ".join(group)


def _compact_entry(words: Sequence[str]) -> Entry | None:
    """The cell, what is taken, refused moves with their reasons, and the move made."""
    taken = words[1:2] == ["take"]
    *pairs, last = words[3 if taken else 1 :] or [""]
    moves, reasons = pairs[::2], pairs[1::2]
    readable = len(moves) == len(reasons) and set(moves) <= MOVES.keys() and _REASONS.issuperset(reasons)
    if not readable or last not in {"back", *MOVES}:
        return None
    refused = tuple(Refusal(move, reason) for move, reason in zip(moves, reasons, strict=True))
    return Entry(words[0], words[2] if taken else "", refused, "" if last == "back" else last)
