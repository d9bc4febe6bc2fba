"""Error analysis of a prediction against the symbolic puzzle: its first error in reading order, and the task's metrics.

A task judges an answer. A diagnoser finds it (``s2h.diagnosis.answers``), and checks the whole prediction: a
transcription of the image, if there is one, then the chain of thought, then the answer. It accepts any text, evaluates
none of it, and reads it a fixed number of times. A task without its own diagnoser uses the one here, which compares the
chain with the task's own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

from s2h.diagnosis.answers import PLAIN, AnswerForm, Found, place_as_asked, plain_lines, read_answer, without_thinking
from s2h.puzzles.task import Task, Verdict
from s2h.supervision.formats import CONVERT_TOKEN, TRANSCRIPTION_HEADER

Error = Literal["format", "perception", "permuted", "reasoning", "arithmetic", "unexplained"]
"""The kind of a prediction's first error.

``format``: it cannot be read. ``perception``: it tells of the image or text what is not there. ``permuted``: it lists
the right values in another order, so that their sum is right all the same. ``reasoning``: what it sees is right, what
it concludes is not. ``arithmetic``: it adds up wrongly. ``unexplained``: the answer is wrong, and nothing was said
before it.
"""

P = TypeVar("P")

_LONGEST = 80  # characters of ``expected`` and ``observed``
_TRANSCRIPTION_HEADER = re.compile(r"\s*" + r"\s+".join(TRANSCRIPTION_HEADER.split()) + r"(?=\s|$)")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_TOKENS = re.compile(rf"\s*(?:{CONVERT_TOKEN}\s*)+")


class FirstError(Exception):
    """Something in a prediction is wrong.

    Attributes:
        error: what kind of mistake it is.
        step: the step of the chain, from 1; 0 before the first, in a transcription or a header; None in the answer.
        kind: what is wrong there, in a word or two.
        expected: what should stand there; at most 80 characters.
        observed: what does; likewise.
    """

    def __init__(self, error: Error, step: int | None, kind: str, expected: object = "", observed: object = "") -> None:
        super().__init__(f"{error}, step {step}: {kind}")
        self.error: Error = error
        self.step = step
        self.kind = kind
        self.expected, self.observed = short(expected), short(observed)


@dataclasses.dataclass(frozen=True, slots=True)
class Diagnosis:
    """The verdict on a prediction, and its first error.

    Attributes:
        parsed: an answer of the right form was found.
        answer: that answer, as it was read; empty when none was.
        correct: the answer solves the puzzle.
        chain_correct: there is a chain of thought, nothing in the prediction is wrong, and the answer is correct.
        error: what kind of mistake comes first; None where nothing is wrong.
        first_error_step: its step, from 1; 0 for a transcription or a header; None where no step is to blame.
        error_detail: what is wrong there, in a word or two.
        expected: what should stand there.
        observed: what does.
        metrics: the diagnoser's metrics by name, always all of them; None where one does not apply to the prediction.
        tolerant: an answer was found, but not as the question asks for it: only the tolerant reader reads this one.
    """

    parsed: bool
    answer: str
    correct: bool
    chain_correct: bool
    error: Error | None
    first_error_step: int | None
    error_detail: str | None
    expected: str | None
    observed: str | None
    metrics: dict[str, float | None]
    tolerant: bool = False


class Reading(NamedTuple):
    """The verdict on the answer of a prediction, and where that stands."""

    verdict: Verdict
    place: Found


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """A prediction, taken apart.

    Attributes:
        text: all of it, without thinking.
        transcription: the puzzle as the prediction writes it down; None where it does not.
        chain: the chain of thought; empty where there is none.
        answer: the answer block, from its first word to the end of the prediction; empty where there is none.
        rest: what follows the answer.
    """

    text: str
    transcription: str | None
    chain: str
    answer: str
    rest: str


class Diagnoser(Generic[P]):
    """Diagnoses predictions for the puzzles of one task; a subclass knows how its task's chains are built.

    Args:
        task: the task, with its settings.
        strict: whether answers count only where they stand as the question asks.
    """

    form: ClassVar[AnswerForm] = PLAIN
    """How answers are written."""

    metrics: ClassVar[tuple[str, ...]] = ("transcription",)
    """Names of the metrics. ``transcription``: share of the puzzle's cells that a transcription has at their place."""

    def __init__(self, task: Task[P], *, strict: bool = False) -> None:
        self.task, self.strict = task, strict

    def diagnose(self, puzzle: P, prediction: str) -> Diagnosis:
        """Find the first flaw of a prediction, and measure it; never raises, whatever the text.

        What a reasoning model thinks aloud is left out.
        """
        text = without_thinking(prediction)
        verdict, place = self.read(puzzle, text)
        parts = self.split(puzzle, text)
        first_error = self._first_error(puzzle, parts, verdict)
        return Diagnosis(
            parsed=verdict.parsed,
            answer=verdict.answer,
            correct=verdict.correct,
            chain_correct=bool(parts.chain) and verdict.correct and first_error is None,
            error=first_error.error if first_error else None,
            first_error_step=first_error.step if first_error else None,
            error_detail=first_error.kind if first_error else None,
            expected=first_error.expected if first_error else None,
            observed=first_error.observed if first_error else None,
            metrics=self._measured(puzzle, parts),
            tolerant=verdict.parsed and place.tolerant,
        )

    def read(self, puzzle: P, text: str) -> Reading:
        """Find the answer of a text, and have the task judge it.

        An answer of a form that is not known is read in other dress only where the task reads none as it is.
        """
        asked = Reading(self.task.judge(puzzle, text), place_as_asked(text))
        if self.strict or (asked.verdict.parsed and self.form is PLAIN):
            return asked
        found = read_answer(text, self.form)
        verdict = self.task.judge(puzzle, f"Answer: {found.answer}") if found.answer else Verdict(False, "", False)
        return Reading(verdict, found) if verdict.parsed or self.form is not PLAIN else asked

    def follow(self, puzzle: P, chain: str, answer: str) -> None:
        """Raise FirstError at the first step of a chain that is wrong; here: the first line that is not the task's own.

        Args:
            puzzle: what the prediction is about.
            chain: the chain of thought, not empty.
            answer: the answer block. One that cannot be read is not this method's concern.
        """
        gold = self.gold_chain(puzzle, chain)
        for step, (wanted, line) in enumerate(zip_longest(lines(gold), self.lines(chain, gold), fillvalue=""), 1):
            if line != wanted:
                raise FirstError("reasoning", step, "line", wanted, line)

    def measure(self, puzzle: P, parts: Parts) -> dict[str, float | None]:
        """The task's own metrics by name."""
        return {}

    def split(self, puzzle: P, text: str) -> Parts:
        """Take a prediction apart; one that begins with tokens in place of a transcription has none."""
        tokens, place = _TOKENS.match(text), self.read(puzzle, text).place
        at = self.block_start(text, place.start)
        body, answer = without_markup_at_end(text[tokens.end() if tokens else 0 : at]), text[at:]
        opening = None if tokens else _TRANSCRIPTION_HEADER.match(body)
        if not opening:
            return Parts(text, None, body.strip(), answer, place.rest)
        transcription, chain = self._split_body(puzzle, body[opening.end() :])
        return Parts(text, transcription, chain.strip(), answer, place.rest)

    def block_start(self, text: str, at: int) -> int:
        """The position at which the block begins whose answer begins at ``at``."""
        return at

    def transcription_length(self, puzzle: P, words: Sequence[str]) -> int:
        """How many words belong to a transcription that no blank line ends.

        If every word of the true text names what it tells of, as in "na:7", the chain begins at the first word that
        does not. Otherwise the transcription has as many words as the true text.

        Args:
            puzzle: what the prediction is about.
            words: all that the prediction has between the line that announces a transcription and the answer block.
        """
        gold = self.task.to_text(puzzle).split()
        if all(":" in word for word in gold):
            return next((at for at, word in enumerate(words) if ":" not in word), len(words))
        return len(gold)

    def gold_chain(self, puzzle: P, chain: str) -> str:
        """The task's chain, of those that it can word, that shares the longest beginning with ``chain``."""
        chains: list[str] = [self.task.chain_of_thought(puzzle), *self.task.alternatives(puzzle).values()]
        if len(chains) == 1:
            return chains[0]
        plain = " ".join(chain.split())
        return max(chains, key=lambda gold: common_prefix_length(plain, " ".join(gold.split())))

    def lines(self, text: str, model: str) -> list[str]:
        """The lines of a prediction, as ``lines`` gives them.

        The tiny model writes words without line breaks: in the compact style the words are split into lines like those
        of ``model``.
        """
        return split_like(text.split(), lines(model)) if self.task.compact else lines(text)

    def _split_body(self, puzzle: P, body: str) -> tuple[str, str]:
        """Transcription and chain of what follows the announcement: up to the next blank line and from there on."""
        first, _, _ = body.partition("\n")
        if not self.task.compact or not first.strip():
            body = body.lstrip()
            ended = _BLANK_LINE.search(body)
            at = ended.start() if ended else len(body)
            return body[:at], body[at:]
        words = body.split()
        length = self.transcription_length(puzzle, words)
        return " ".join(words[:length]), " ".join(words[length:])

    def _first_error(self, puzzle: P, parts: Parts, verdict: Verdict) -> FirstError | None:
        """The first flaw, and what the answer makes of it."""
        first_error = self._error_before_answer(puzzle, parts)
        gold = self.task.answer(puzzle)
        if not verdict.parsed:
            if first_error is None:
                return FirstError("format", None, "answer", gold, parts.answer or parts.text[-_LONGEST:])
            return FirstError("format", first_error.step, first_error.kind, first_error.expected, first_error.observed)
        if first_error is None and not verdict.correct:
            silent = not parts.chain and parts.transcription is None
            return FirstError("unexplained" if silent else "reasoning", None, "answer", gold, verdict.answer)
        return first_error

    def _error_before_answer(self, puzzle: P, parts: Parts) -> FirstError | None:
        try:
            self._check_transcription(puzzle, parts.transcription)
            if parts.chain:
                self.follow(puzzle, parts.chain, parts.answer)
                _check_end(parts.rest)
        except FirstError as first_error:
            return first_error
        return None

    def _check_transcription(self, puzzle: P, transcription: str | None) -> None:
        """Raise FirstError at the first cell of a transcription that is not that of the puzzle."""
        if transcription is None:
            return
        text = self.task.to_text(puzzle)
        pairs = zip_longest(lines(text), self.lines(transcription, text), fillvalue="")
        for number, (wanted, line) in enumerate(pairs, 1):
            difference = first_difference(cells(wanted), cells(line), what="cell")
            if difference:
                place, expected, observed = difference
                raise FirstError("perception", 0, "transcription", f"line {number}, {place}: {expected}", observed)

    def _measured(self, puzzle: P, parts: Parts) -> dict[str, float | None]:
        found: dict[str, float | None] = {"transcription": None, **self.measure(puzzle, parts)}
        if parts.transcription is not None:
            found["transcription"] = self._share_transcribed(puzzle, parts.transcription)
        return {name: found[name] for name in self.metrics}

    def _share_transcribed(self, puzzle: P, transcription: str) -> float:
        text = self.task.to_text(puzzle)
        wanted = [cells(line) for line in lines(text)]
        found = [cells(line) for line in self.lines(transcription, text)[: len(wanted)]]
        right = sum(a == b for row, line in zip(wanted, found, strict=False) for a, b in zip(row, line, strict=False))
        return right / max(sum(map(len, wanted)), 1)


def short(text: object) -> str:
    """The text on one line, cut to 80 characters, without characters that no file can hold."""
    plain = " ".join(str(text)[: 10 * _LONGEST].split()).encode("utf-8", "replace").decode()
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"


def lines(text: str) -> list[str]:
    """The lines that are not blank, with single spaces between their words."""
    plain = (" ".join(line.split()) for line in text.split("\n"))
    return [line for line in plain if line]


def cells(line: str) -> list[str]:
    """The cells of a line of a puzzle's text: between ampersands, else between semicolons, else its words."""
    for mark in ("&", ";"):
        if mark in line:
            return [cell.strip() for cell in line.split(mark)]
    return line.split()


def split_like(words: Sequence[str], model: Sequence[str]) -> list[str]:
    """Words in lines as those of ``model``, which they are meant to repeat.

    A line begins where a first word of the model's lines stands, so that a word too many or too few spoils one line
    alone. Of words like "na:7" the name counts, and words of one name in a row are one line's. Where that would not lay
    out the model itself, its numbers of words a line decide.
    """
    heads = {_name(line.split()[0]) for line in model}
    if _broken([word for line in model for word in line.split()], heads) == list(model):
        return _broken(words, heads)
    found, at = [], 0
    for line in model:
        end = at + len(line.split())
        found.append(" ".join(words[at:end]))
        at = end
    return [line for line in [*found, " ".join(words[at:])] if line]


def _broken(words: Sequence[str], heads: set[str]) -> list[str]:
    """Words in lines that each begin with one of the heads; what stands before the first head is a line as well."""
    found: list[list[str]] = []
    for word in words:
        goes_on = found and ":" in word[:-1] and _name(word) == _name(found[-1][-1])
        if not goes_on and (_name(word) in heads or not found):
            found.append([])
        found[-1].append(word)
    return [" ".join(line) for line in found]


def _name(word: str) -> str:
    return word.partition(":")[0]


def common_prefix_length(one: str, other: str) -> int:
    """How many characters two texts have in common before they part."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def first_difference(expected: Sequence[object], found: Sequence[object], *, what: str) -> tuple[str, str, str] | None:
    """The first difference of two lists: the place in words ("cell 3"), what should stand there, and what does."""
    for number, (wanted, given) in enumerate(zip_longest(expected, found), 1):
        if wanted != given:
            return f"{what} {number}", _plain(wanted), _plain(given)
    return None


def _plain(item: object) -> str:
    return "nothing" if item is None else str(item)


def without_markup_at_end(text: str) -> str:
    """A text without the last lines that hold nothing but markup, such as the beginning of a code block."""
    kept = text.split("\n")
    while kept and not plain_lines(kept[-1]):
        kept.pop()
    return "\n".join(kept)


def _check_end(rest: str) -> None:
    """Raise FirstError where words follow the answer."""
    if any(each.isalnum() for each in rest):
        raise FirstError("format", None, "surplus text", "", rest)
