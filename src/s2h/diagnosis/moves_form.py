"""The form of answers that are moves on a grid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

from s2h.diagnosis.answers import AnswerForm, Read
from s2h.puzzles.grid_navigation import MOVES, NO_PATH, read_moves

_ARROWS = {
    **dict.fromkeys("↑⬆⇧⇑⭡", "up"),
    **dict.fromkeys("↓⬇⇩⇓⭣", "down"),
    **dict.fromkeys("←⬅⇦⇐⭠", "left"),
    **dict.fromkeys("→➡⇨⇒⭢➔➜⟶", "right"),
}
_INITIALS = {move[0]: move for move in MOVES}
_TOKEN = re.compile(r"[a-z]+|[0-9]+[.):]?|[-=]?>|\.{2,}|\S", re.IGNORECASE)
_FILLERS = frozenset(
    {"the", "walk", "path", "route", "list", "sequence", "of", "moves", "move", "go", "step", "steps", "answer"}
    | {"is", "are", "be", "final", "correct", "so", "then", "and", "next", "finally"}
)
_MARKS = frozenset(",;.:&+-–—()[]{}\"'“”‘’•|")
_NO_PATH = re.compile(r"(?:there (?:is|exists) )?no (?:such |valid |possible )?(?:path|walk|route)(?: exists)?[\s.!]*")


class MovesForm(AnswerForm):
    """Moves as words, arrows or initials, on one line or on several; between words an arrow only leads on."""

    def asked(self, text: str) -> str:
        moves = read_moves(text)
        return "" if moves is None else " ".join(moves) or NO_PATH

    def read(self, lines: Sequence[str]) -> Read:
        if lines and _NO_PATH.fullmatch(" ".join(lines[0].lower().split())):
            return Read(NO_PATH)
        listed = list(takewhile(lambda tokens: all(map(_may_stand, tokens)), map(_TOKEN.findall, lines)))
        while listed and not any(map(_is_said, listed[-1])):
            listed.pop()
        tokens = [token for line in listed for token in line]
        ends = len(tokens) - next((at for at, token in enumerate(reversed(tokens)) if _is_said(token)), 0)
        return Read(" ".join(_moves(tokens[:ends])), " ".join(tokens[ends:]), len(listed))


def _may_stand(token: str) -> bool:
    """Whether a token may stand in a list of moves."""
    word = token.lower()
    if word.isalpha():
        return word in MOVES or word in _FILLERS or _is_initials(token)
    return token in _ARROWS or token.endswith(">") or token in _MARKS or bool(_number(token))


def _is_said(token: str) -> bool:
    """Whether a token of a list is a move, an arrow or a number."""
    return token not in _MARKS and token.lower() not in _FILLERS


def _is_initials(token: str) -> bool:
    return set(token.lower()) <= _INITIALS.keys() and (token.islower() or token.isupper())


def _number(token: str) -> int:
    """The number of an item of a list, as in "2."; 0 for any other token."""
    return int(token[:-1]) if re.fullmatch(r"[0-9]{1,4}[.):]", token) else 0


def _moves(tokens: Sequence[str]) -> list[str]:
    """The moves of a list; none where it may be read in two ways."""
    said = list(filter(_is_said, tokens))
    numbers = [number for number in map(_number, said) if number]
    if numbers and (not _number(said[0]) or numbers != list(range(1, len(numbers) + 1))):
        return []
    said = [token for token in said if not _number(token)]
    kinds = {_kind(token) for token in said}
    if kinds == {"arrow"}:
        return [_ARROWS[token] for token in said]
    if not _leads_on(said) or len(kinds - {"arrow", "lead"}) != 1:
        return []
    words = [token.lower() for token in said if _kind(token) in ("word", "initials")]
    return words if "word" in kinds else [_INITIALS[letter] for word in words for letter in word]


def _kind(token: str) -> str:
    if token.lower() in MOVES:
        return "word"
    if token.isalpha():
        return "initials"
    return "arrow" if token in _ARROWS else "lead"


def _leads_on(said: Sequence[str]) -> bool:
    """Whether every arrow in a list of words points to the right and stands between two of them."""
    pointing = [token.endswith(">") or _ARROWS.get(token) == "right" for token in said]
    words = [token.isalpha() for token in said]
    if not said or not (words[0] and words[-1]):
        return False
    return all(
        is_word or (points and words[at - 1]) for at, (is_word, points) in enumerate(zip(words, pointing, strict=True))
    )
