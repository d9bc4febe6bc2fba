"""The form of answers that are whole numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from s2h.diagnosis.answers import AnswerForm, Read

_OPENING, _CLOSING = r"""[\s(\[{"'“‘«「]*+""", r"""[\s)\]}"'”’»」]*+"""
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.0+)?"
_NUMBER = rf"""{_OPENING}(?P<number>{_DIGITS})(?=$|[\s)\]}}"'”’»」–—(]|[.,;:!](?![0-9])){_CLOSING}(?P<rest>.*)"""
_SUM = re.compile(rf"[\s:]*(?:{_DIGITS}(?:\s*\+\s*{_DIGITS})+)?[\s:]*")
_ENDING = re.compile(r"""[\s.,;:!)\]}"'”’»」]*""")
_GOES_ON = re.compile(r"[.,;:(–—]|-(?=\s)|(?:because|since|as)\b", re.IGNORECASE)
_UNCERTAIN = re.compile(
    r"[0-9]|\b(?:not|no|nor|neither|never|none|or|either|maybe|perhaps|possibly|but|however|unless|except|instead|"
    r"wrong|incorrect|inconsistent|false|minus|plus|times)\b|n['’]t\b",
    re.IGNORECASE,
)


class NumberForm(AnswerForm):
    """A whole number, alone, as the result of a sum, or in a sentence that says no other.

    Args:
        asked: reads an answer that stands as the question asks.
        span: the least and the largest number.
        lead: words that may stand before it.
        trail: words that may stand after it; any others must be set off, and say no other number and no doubt.
        names: words for numbers, where these may be answers.
    """

    def __init__(
        self,
        asked: Callable[[str], str],
        span: tuple[int, int],
        *,
        lead: str,
        trail: str,
        names: Sequence[str] = (),
    ) -> None:
        self._asked, self._span = asked, span
        leading, trailing = ("|".join(words.split()) for words in (lead, trail))
        before = rf"{_OPENING}(?:(?:{leading})\b[\s:,]*+)*+"
        self._lead = re.compile(before, re.IGNORECASE)
        self._sentence = re.compile(before + _NUMBER, re.IGNORECASE | re.DOTALL)
        self._trail = re.compile(rf"(?:(?:{trailing})\b[\s.,;:!]*+)++", re.IGNORECASE)
        self._names = {name: str(number) for number, name in enumerate(names, 1)}

    def asked(self, text: str) -> str:
        return self._asked(text)

    def read(self, lines: Sequence[str]) -> Read:
        line = self._in_digits(lines[0]) if lines else ""
        left, equals, right = line.rpartition("=")
        if equals and not self._is_sum(left):
            return Read()
        found = self._sentence.fullmatch(right)
        if not found or not self._may_follow(found["rest"]):
            return Read()
        digits = found["number"].partition(".")[0].replace(",", "")
        within = len(digits) <= len(str(self._span[1])) and self._span[0] <= int(digits) <= self._span[1]
        return Read(digits, found["rest"]) if within else Read()

    def _in_digits(self, line: str) -> str:
        """A line in which a number is written as a word; one that has digits stays as it is."""
        if not self._names or any(each.isdigit() for each in line):
            return line
        return re.sub(r"[a-z]+", lambda word: self._names.get(word[0].lower(), word[0]), line, flags=re.IGNORECASE)

    def _is_sum(self, left: str) -> bool:
        """Whether the left side of an equation names its right side, or adds up to it."""
        words = self._lead.match(left)
        return bool(_SUM.fullmatch(left, words.end() if words else 0))

    def _may_follow(self, rest: str) -> bool:
        if _ENDING.fullmatch(rest) or self._trail.fullmatch(rest):
            return True
        return bool(_GOES_ON.match(rest)) and not _UNCERTAIN.search(rest)


SAYING = (
    "the a an answer final correct right so therefore thus hence it that this my we i get have is are be would must"
)
"""Words that stand before an answer in a sentence that says nothing else."""
