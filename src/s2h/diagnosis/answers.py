"""Final answers in replies: found in whatever dress a model gives them, and never guessed.

Our own models write ``Answer: `` and the answer, as the questions ask. Others put it in bold, in a box of LaTeX, in
tags, in JSON, in a code block, below a heading or in a sentence. Where the answer stands is found here, and the last
place counts; an ``AnswerForm`` says what may stand there. A text that is retracted, hedged or ambiguous has no answer.
"""

from __future__ import annotations

import dataclasses
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal

from s2h.puzzles.task import final_answer

Answers = Literal["tolerant", "strict"]
"""Whether answers are read in any dress, or only where they stand as the question asks."""


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """What an ``AnswerForm`` makes of some lines.

    Attributes:
        answer: as a task's judge reads it after ``Answer: ``; empty where the lines begin with none.
        rest: what follows it on its last line.
        lines: how many lines it takes.
    """

    answer: str = ""
    rest: str = ""
    lines: int = 1


class AnswerForm(ABC):
    """How the answers of a task are written."""

    @abstractmethod
    def asked(self, text: str) -> str:
        """The answer of a reply that gives it as the question asks, as the task's judge reads it; empty for none."""

    @abstractmethod
    def read(self, lines: Sequence[str]) -> Read:
        """The answer with which lines begin, in any wording that leaves no doubt.

        Args:
            lines: without markup and white space at their ends, none of them empty.
        """


class PlainForm(AnswerForm):
    """One line, without what is around it: for a task that does not say how its answers look."""

    def asked(self, text: str) -> str:
        return final_answer(text) or ""

    def read(self, lines: Sequence[str]) -> Read:
        return Read(lines[0].strip(" .\"'()[]{}") if lines else "")


PLAIN = PlainForm()


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """The final answer of a reply.

    Attributes:
        answer: as a task's judge reads it after ``Answer: ``; empty where there is none.
        start: where it begins, with the words that announce it; the end of the reply where there is none.
        rest: what follows it.
        tolerant: whether it does not stand as the question asks, so that ``AnswerForm.asked`` reads none or another.
    """

    answer: str
    start: int
    rest: str
    tolerant: bool = False


def read_answer(text: str, form: AnswerForm, *, strict: bool = False) -> Found:
    """The final answer of a reply.

    Args:
        text: the reply, without thinking.
        form: how answers are written.
        strict: read only what stands as the question asks.
    """
    asked = form.asked(text)
    if strict:
        return dataclasses.replace(place_as_asked(text), answer=asked)
    found = _find(text, form, asked)
    return dataclasses.replace(found, tolerant=bool(found.answer) and found.answer != asked)


def place_as_asked(text: str) -> Found:
    """Where the answer stands by the question: after the last ``Answer:``; the answer itself is left empty."""
    at = text.rfind("Answer:")
    if at < 0:
        return Found("", len(text), "")
    return Found("", at, text[at + len("Answer:") :].strip().partition("\n")[2].strip())


# Thinking.

_THINKING = re.compile(r"<(/?)(?:think|thinking|thought|reasoning)>|\[(/?)THINK\]|◁(/?)think▷", re.IGNORECASE)


def without_thinking(prediction: str) -> str:
    """A prediction without the blocks in which a reasoning model thinks aloud; empty where the last one never ends.

    A chat template may open a block as part of the prompt, so that a prediction only closes it. A tag in the middle of
    a line that nothing closes is text.
    """
    kept: list[str] = []
    at, opened = 0, None
    for tag in _THINKING.finditer(prediction):
        if "/" not in tag[0]:
            opened = tag if opened is None else opened
            continue
        if opened is None:
            kept.clear()
        else:
            kept.append(prediction[at : opened.start()])
        at, opened = tag.end(), None
    if opened and not _line_before(prediction, opened.start()).strip():
        return ""
    return "".join([*kept, prediction[at:]]).lstrip() if at else prediction


# Markup.

_SAME_LENGTH = str.maketrans(
    {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width forms of ASCII
    | dict.fromkeys("\r\v\f\x85\u2028\u2029", "\n")
    | dict.fromkeys("\u00a0\u00ad\u200b\u200c\u200d\u2060\u3000\ufe0f\ufeff", " ")
)
_FENCE = re.compile(r"```[\w-]*[ \t]*$", re.MULTILINE)
_TAG = (
    r"</?(?:(?:final[_-]?)?answer|final|result|output|response|b|i|em|strong|code|p|span|u|center)>|<br\s*/?>"
    r"|<\|(?:begin|end)_of_box\|>"
)
_TAGS = re.compile(_TAG, re.IGNORECASE)
_BOXES = r"boxed|fbox|mbox|text(?:bf|it|rm|tt|sf)?|math(?:bf|it|rm|tt|sf)|operatorname|emph|underline|boldsymbol|bm"
_BOX = re.compile(rf"\\(?:{_BOXES})\s*\{{([^{{}}]*)\}}")
_NESTED = 4  # boxes in boxes
_ARROW = re.compile(r"\\(?:long)?(up|down|left|right)arrow\b|\\to\b", re.IGNORECASE)
_ARROWS = {"up": "↑", "down": "↓", "left": "←", "right": "→"}
_MARKUP = re.compile(r"\\[()\[\],;! ]|\\q?quad\b|[$*_`#✅✔✓☑🎯]")
_BLANK = re.compile(r"""[-=|{}()\[\]<>"',.\s]*""")


def undressed(text: str) -> str:
    """A text without markup: emphasis, code, headings, LaTeX and tags; strokes through text stay, as they undo it."""
    text = _TAGS.sub(" ", _FENCE.sub("", text.translate(_SAME_LENGTH).replace("{,}", ",")))
    for _ in range(_NESTED):
        text, boxes = _BOX.subn(r"\1", text)
        if not boxes:
            break
    return _MARKUP.sub(" ", _ARROW.sub(lambda found: _ARROWS[(found[1] or "right").lower()], text))


def plain_lines(text: str) -> list[str]:
    """The lines of a text without markup and white space; those that hold only brackets and rules are left out."""
    return [line.strip() for line in undressed(text).split("\n") if not _BLANK.fullmatch(line)]


# Where an answer stands.

_SPACE = r"[^\S\n]"
_CLOSING = rf"""(?:{_SPACE}|["'`*_)\]]){{0,8}}"""
_OF = rf"(?:{_SPACE}(?:to|for|of){_SPACE}(?:the|this){_SPACE}(?:question|puzzle|problem))?"
_MARK = re.compile(
    rf"""
    (?P<tag>      <(?:final[_-]?)?answer> )
  | (?P<key>      "(?:final[ _]?)?answer"\s*: )
  | (?P<box>      \\boxed\s*\{{ | <\|begin_of_box\|> )
  | (?P<colon>    answer{_OF}{_CLOSING}(?:\([^()\n]{{1,40}}\){_CLOSING})? (?: [:=] | [-–—](?=\s) ) )
  | (?P<sentence> answer{_OF}{_SPACE}{{1,8}}(?:is|equals|(?:would|must|should){_SPACE}be)\b:? )
  | (?P<heading>  answer{_CLOSING}$ )
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_EXPLICIT = ("tag", "key", "colon", "heading")
_TAG_END = re.compile(r"</(?:final[_-]?)?answer>", re.IGNORECASE)
_IN_BRACES = re.compile(r"(?:[^{}]++|\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\})*+")
_WHITE = re.compile(r"\s*")
_LOOK_BACK = 80  # characters before an announcement that are looked at
_LONGEST = 500  # characters after an announcement that must tell whether it is one
_CLAUSE_END = re.compile(r"[.!?;:,](?=[^.!?;:,]*\Z)")
_DRESS = rf"""(?:[\s"'“`*_#(\[{{$\\-]|\\(?:{_BOXES})\b|{_TAG})"""
_WORDS = r"(?:so|therefore|thus|hence|and|in|conclusion|short|the|my|our|final|correct)\b,?"
_ANNOUNCING = re.compile(rf"(?:^[>\s]+)?(?:{_WORDS}|{_DRESS})*\Z", re.IGNORECASE)
_DRESSING = re.compile(rf"(?:^[>\s]+)?{_DRESS}*\Z", re.IGNORECASE)
_OTHER_ANSWER = re.compile(
    r"\b(?:not|no|wrong|incorrect|previous|earlier|initial|first|possible|tentative|partial|alternative|another|other|"
    r"example|sample)\W+(?:the\W+)?\Z",
    re.IGNORECASE,
)
_PRAISE = re.compile(r"(?:right|correct)[\s.!]*", re.IGNORECASE)  # "right" is a move of grids as well
_NEGATED = re.compile(r"\b(?:not|no|nor|never|cannot|wrong|incorrect)\b|n['’]t\b", re.IGNORECASE)
_RETRACTED = re.compile(
    r"\b(?:wait|actually|correction|scratch that|second thought|oops|sorry|i was wrong|(?<!if )i made an? \w+)\b",
    re.IGNORECASE,
)


def _find(text: str, form: AnswerForm, asked: str) -> Found:
    plain = text.translate(_SAME_LENGTH)
    mark = _final_mark(plain, form)
    content, after = _content(plain, mark) if mark else (plain, "")
    lines = plain_lines(content)
    read = form.read(lines)
    if mark is None and not (read.answer and read.lines == len(lines)):
        return Found("", len(text), "")  # only a reply that is nothing but an answer needs no announcement
    if mark and not read.answer and _is_as_asked(mark):
        read = dataclasses.replace(read, answer=asked)
    rest = "\n".join([read.rest, *lines[max(read.lines, 1) :], *plain_lines(after)]).strip()
    return Found("" if _RETRACTED.search(rest) else read.answer, _start(plain, mark) if mark else 0, rest)


def _is_as_asked(mark: re.Match[str]) -> bool:
    return mark[0].startswith("Answer:")


def _line_before(plain: str, at: int) -> str:
    """What precedes a place on its line."""
    return plain[max(at - _LOOK_BACK, 0) : at].rpartition("\n")[2]


def _start(plain: str, mark: re.Match[str]) -> int:
    """Where an announcement begins, with its markup and all words that only announce."""
    line = _line_before(plain, mark.start())
    before = _end_of(line, _DRESSING if _is_as_asked(mark) else _ANNOUNCING).lstrip()
    return mark.start() - len(before)


def _end_of(line: str, pattern: re.Pattern[str]) -> str:
    found = pattern.search(line)
    return found[0] if found else ""


def _final_mark(plain: str, form: AnswerForm) -> re.Match[str] | None:
    """The last announcement of an answer. One that is part of what another announces does not count."""
    final, stop = None, 0
    for mark in _MARK.finditer(plain):
        explicit = mark.lastgroup in _EXPLICIT
        if final is not None and mark.start() < stop and not explicit and final.lastgroup != mark.lastgroup:
            continue
        if _announces(plain, mark, form):
            final, stop = mark, _stop(plain, mark)
    return final


def _announces(plain: str, mark: re.Match[str], form: AnswerForm) -> bool:
    """Whether the words before an announcement leave it one; a sentence must also say an answer, or deny one."""
    if mark.lastgroup in ("tag", "key"):
        return True
    line = _line_before(plain, mark.start())
    end = _CLAUSE_END.search(line)
    clause = line[end.end() :] if end else line
    if mark.lastgroup == "box":
        return not _NEGATED.search(clause)
    if _is_as_asked(mark):
        return not _OTHER_ANSWER.search(clause)
    before = line if mark.lastgroup == "heading" else clause
    if _end_of(before, _ANNOUNCING) != before:
        return False
    if mark.lastgroup != "sentence":
        return True
    said = plain_lines(plain[mark.end() : mark.end() + _LONGEST])
    read = form.read(said)
    if not said or (_PRAISE.fullmatch(said[0]) and read.lines < 2):
        return False
    return bool(read.answer or _NEGATED.search(said[0]))


def _stop(plain: str, mark: re.Match[str]) -> int:
    """Where ends what an announcement announces; at the latest at the end of its first line, where nothing tells."""
    if mark.lastgroup == "tag":
        end = _TAG_END.search(plain, mark.end())
        return end.start() if end else len(plain)
    if mark.lastgroup == "box":
        return _box_end(plain, mark)
    white = _WHITE.match(plain, mark.end())
    end_of_line = plain.find("\n", white.end() if white else mark.end())
    return end_of_line if end_of_line >= 0 else len(plain)


def _box_end(plain: str, mark: re.Match[str]) -> int:
    """Where the content of a box ends."""
    if mark[0].startswith("<"):
        end = plain.find("<|end_of_box|>", mark.end())
        return end if end >= 0 else len(plain)
    content = _IN_BRACES.match(plain, mark.end())
    return content.end() if content else mark.end()


def _content(plain: str, mark: re.Match[str]) -> tuple[str, str]:
    """What an announcement announces, and what follows that."""
    if mark.lastgroup == "tag":
        stop = _stop(plain, mark)
        return plain[mark.end() : stop], plain[stop:]
    if mark.lastgroup == "box":
        return " ".join(_boxes(plain, mark)), plain[_box_end(plain, mark) :]
    if mark.lastgroup == "key":
        value, end = _json_value(plain, mark.end())
        if value is not None:
            return value, plain[end:]
    return plain[mark.end() :], ""


def _boxes(plain: str, last: re.Match[str]) -> Iterator[str]:
    """The contents of all boxes on the line of the last one: together they say one answer, or none."""
    end = plain.rfind("\n", 0, last.start()) + 1
    for mark in _MARK.finditer(plain, end, last.end()):
        if mark.lastgroup == "box" and mark.start() >= end:
            end = _box_end(plain, mark)
            yield plain[mark.end() : end]


def _json_value(plain: str, at: int) -> tuple[str | None, int]:
    """The JSON value at a place as text, and where it ends; None where there is none."""
    white = _WHITE.match(plain, at)
    try:
        value, end = json.JSONDecoder().raw_decode(plain, white.end() if white else at)
    except (ValueError, RecursionError):
        return None, at
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(part, bool) or not isinstance(part, (str, int, float)) for part in parts):
        return "", end
    return " ".join(map(str, parts)), end
