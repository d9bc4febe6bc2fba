"""Parsing the chains of thought of Grid Navigation, in both styles, without judging them.

Cells are named by row and column, as in "b c".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from s2h.diagnosis.diagnosis import lines
from s2h.puzzles.grid_navigation import COMPACT_COLUMNS, COMPACT_ROWS, DESTINATION, MOVES, OBJECTS, OBSTACLES, SOURCE

OUTSIDE, VISITED = "outside", "visited"
ROW_LETTERS, COLUMN_LETTERS = frozenset(COMPACT_ROWS), frozenset(COMPACT_COLUMNS)
"""The letters of the compact style, which say whether they stand for a row or a column."""
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
        kinds: the kinds of obstacles.
    """

    source: str
    destination: str
    objects: tuple[str, ...]
    kinds: tuple[str, ...]


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

    The paper's style writes them after ``Source:`` and ``Destination:``; the compact style after ``S`` and ``D``,
    before what is to be avoided.
    """
    if "Source:" in chain:
        words, marks = chain.translate(_MARKS).split(), ("Source:", "Destination:")
    else:
        words, marks = chain.partition("avoid")[0].split(), (SOURCE, DESTINATION)
    found = [" ".join(words[words.index(mark) + 1 :][:2]) for mark in marks if mark in words]
    return (found[0], found[1]) if len(found) == 2 else None


def read_paper(chain: str) -> tuple[Header | None, Steps]:
    """Header and steps of the paper's style, after its first line; None for a header that cannot be read."""
    found = [line.translate(_MARKS).split() for line in lines(chain)]
    ends, objects, kinds = [*found[1:4], [], [], []][:3]
    titles = [*ends[:1], *ends[3:4], *objects[:2], *kinds[:2]]
    header = None
    if titles == ["Source:", "Destination:", "Collect", "objects:", "Avoid", "obstacles:"] and len(ends) == 6:
        header = Header(" ".join(ends[1:3]), " ".join(ends[4:]), _by_three(objects[2:]), tuple(kinds[2:]))
    return header, _paper_steps(found[4:])


def read_compact(chain: str) -> tuple[Header | None, Steps]:
    """Header and steps of the compact style; None for a header that cannot be read."""
    words = chain.split()
    avoid = words.index("avoid") if "avoid" in words else 0
    first = next((at for at in range(avoid, len(words)) if words[at] in ROW_LETTERS), len(words))
    stops, kinds = _by_three(words[:avoid]), tuple(words[avoid + 1 : first])
    header = None
    if len(stops) >= 2 and stops[0].startswith(f"{SOURCE} ") and stops[-1].startswith(f"{DESTINATION} "):
        header = Header(stops[0][2:], stops[-1][2:], stops[1:-1], kinds)
    return header, _compact_steps(words[first:])


def _by_three(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(" ".join(words[at : at + 3]) for at in range(0, len(words), 3))


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
        if word in ROW_LETTERS and group:
            yield _compact_entry(group) or " ".join(group)
            group = []
        group.append(word)
    if group:
        yield _compact_entry(group) or " ".join(group)


def _compact_entry(words: Sequence[str]) -> Entry | None:
    """Row, column, what is taken, refused moves with their reasons, and the move made."""
    taken = words[2:3] == ["take"]
    *pairs, last = words[4 if taken else 2 :] or [""]
    moves, reasons = pairs[::2], pairs[1::2]
    readable = len(moves) == len(reasons) and set(moves) <= MOVES.keys() and _REASONS.issuperset(reasons)
    if not readable or last not in {"back", *MOVES}:
        return None
    refused = tuple(Refusal(move, reason) for move, reason in zip(moves, reasons, strict=True))
    return Entry(" ".join(words[:2]), words[3] if taken else "", refused, "" if last == "back" else last)
