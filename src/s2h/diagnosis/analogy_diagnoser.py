"""The diagnoser of Visual Analogy: every piece of a chain, and of the answer block, beside the one that is true."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from s2h.diagnosis.diagnosis import Diagnoser, Error, FirstError, Parts, common_prefix_length, lines
from s2h.puzzles.analogy_panels import RELATIONS, Analogy
from s2h.puzzles.visual_analogy import read_option

_PIECES = tuple(
    re.compile(pattern)
    for pattern in (
        # the paper's chain
        r"Example \d shows (?P<family>\w+)\.",
        r"The query shows (?P<family>\w+)\.",
        r"- (?P<attribute>\w+ \w+) (?P<values>\{.*\}): (?P<pattern>.*)\.",
        r"- (?P<attribute>\w+ \w+) (?P<values>\{.*\})\.",
        r"The pattern is in the (?P<attribute>\w+ \w+) in example 1 and in the (?P<attribute2>\w+ \w+) in example 2\.",
        r"The relation that they share is (?P<relation>\w+)\.",
        r"With option \d \((?P<attribute>\w+ \w+) (?P<values>\{.*\})\) it fits (?P<pattern>\w+), (?P<option>.*)\.",
        r"Only option (?P<option>\d) is consistent with (?P<relation>\w+)\.",
        # its chain ``template``
        r"(?:Example|Option) \d: by (?P<attribute>\w+ \w+) we see (?P<values>\{.*\}), which is (?P<pattern>\w+)\.",
        r"So we look for (?P<relation>\w+)\.",
        r"That is option (?P<option>\d)\.",
        # the compact chain
        r"(?:Example|Option) \d (?P<attribute>\S+) (?P<values>panel .*) (?P<pattern>\S+)",
        r"relation (?P<relation>\w+)",
        # the answer block of both styles
        r"(?:Example|Option) \d: (?P<label>\(.*\))(?:, (?P<verdict>.*))?",
        r"(?:Example|Option) \d (?P<label>\S+ \S+)(?: (?P<verdict>\S+))?",
    )
)
"""The lines that are true, with names for what they say; no text of a model is matched against them.

The family and the values are read from the panels; all else is concluded.
"""
_PANEL = {True: "panel", False: "{"}
"""How the values of a panel begin, in the compact style and in the paper's."""
_HEADS = re.compile(r"(Example [12]|Option [1-4]|Answer:)")
_PAPER_BLOCK = re.compile(r"^[ \t]*Example 1:(?! by )", re.MULTILINE)
_COMPACT_BLOCK = re.compile(r"\bExample\s+1\s+(?!panel\s)\S+\s+(?!panel\s)\S+")


def analogy_metrics(gold: str, prediction: str) -> dict[str, float | None]:
    """The metrics of an answer block: of what follows the last ``Example 1``.

    Difference from the paper: its partial score looks at the wrong lines and accepts any prediction.

    Args:
        gold: the right answer block; a chain may stand before it.
        prediction: any text.
    """
    right, found = ("".join(text.rpartition("Example 1")[1:]) for text in (gold, prediction))
    wanted, observed = _sections(right), _sections(found)
    labels = [_label(section) == _label(observed.get(head, "")) for head, section in wanted.items()]
    verdicts = [_verdict(section) == _verdict(observed.get(head, "")) for head, section in wanted.items()]
    option = read_option(prediction) == read_option(gold) != ""
    return {
        "exact_match": float(found.split() == right.split()),
        "partial_score": float(option and all(verdicts)),
        "labels_correct": sum(labels) / max(len(labels), 1),
    }


class AnalogyDiagnoser(Diagnoser[Analogy]):
    """Compares chains of all wordings with the true one, piece by piece, and then the answer block."""

    metrics = ("exact_match", "partial_score", "labels_correct", "transcription")
    """``exact_match``: the answer block is right, with all its labels and verdicts. ``partial_score``: the option is
    right, and the verdicts go with it, whatever the labels. ``labels_correct``: share of the six labels."""

    def measure(self, puzzle: Analogy, parts: Parts) -> dict[str, float | None]:
        return analogy_metrics(self.task.answer_block(puzzle), parts.text)

    def answer_start(self, prediction: str) -> int:
        """The answer block begins at the last ``Example 1`` that a label follows."""
        block = _COMPACT_BLOCK if self.task.compact else _PAPER_BLOCK
        starts = [found.start() for found in block.finditer(prediction)]
        return starts[-1] if starts else super().answer_start(prediction)

    def transcription_length(self, puzzle: Analogy, words: Sequence[str]) -> int:
        """The chain begins with an example, and a transcription ends with its options."""
        options = words.index("Option") if "Option" in words else len(words)
        examples = (at for at in range(options, len(words)) if words[at] == "Example")
        return next(examples, super().transcription_length(puzzle, words))

    def follow(self, puzzle: Analogy, chain: str, answer: str) -> None:
        """Raise FirstError at the first piece of the chain, and then of the answer block, that is not true."""
        gold = self.gold_chain(puzzle, chain)
        for step, (wanted, following, line) in enumerate(_beside(lines(gold), self.lines(chain, gold)), 1):
            if line in ("", following) and wanted:
                raise FirstError("reasoning", step, "missing step", wanted, "nothing")
            if not wanted:
                raise FirstError("reasoning", step, "surplus step", "nothing", line)
            self._compare(wanted, line, step)
        self._follow_block(self.task.answer_block(puzzle), answer)

    def _follow_block(self, gold: str, answer: str) -> None:
        """Labels and verdicts; the number itself is judged by the task."""
        gold, written = gold.partition("Answer:")[0], answer[: super().answer_start(answer)]
        for wanted, following, line in _beside(lines(gold), self.lines(written, gold)):
            if line in ("", following) and wanted:
                raise FirstError("reasoning", None, "label", wanted, "nothing")
            if not wanted:
                raise FirstError("format", None, "surplus text", "", line)
            self._compare(wanted, line, None)

    def _compare(self, wanted: str, line: str, step: int | None) -> None:
        """Raise FirstError where a line is not the true one; the piece where they part tells the kind."""
        if wanted == line:
            return
        at = common_prefix_length(wanted, line)
        kind, start, stop = _piece(wanted, at)
        word = line[start:].partition(" ")[0]
        if self.task.compact and kind == "pattern" and word and word not in RELATIONS:
            kind, stop = "values", start - 1  # one value too many: the relation stands right behind them
        if kind != "values":
            error: Error = "format" if kind == "wording" else "perception" if kind == "family" else "reasoning"
            raise FirstError(error, step, kind, wanted[start:stop], line[start:])
        panel = max(wanted.rfind(_PANEL[self.task.compact], 0, at + 1), 0)
        raise FirstError("perception", step, kind, _first_set(wanted[panel:stop]), _first_set(line[panel:]))


def _beside(gold: Sequence[str], found: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Each true line with the one that follows it and the line that was found; empty where there is none."""
    return zip_longest(gold, gold[1:], found, fillvalue="")


def _first_set(text: str) -> str:
    """The values of the panel with which a text begins, of either style."""
    end = text.find("}") + 1 if text.startswith("{") else text.find(" panel")
    return text[:end] if end > 0 else text


def _piece(line: str, at: int) -> tuple[str, int, int]:
    """The piece of a true line at a place: its kind, its begin and its end."""
    for pattern in _PIECES:
        found = pattern.fullmatch(line)
        for name in found.groupdict() if found else ():
            start, stop = found.span(name) if found else (-1, -1)
            if start <= at <= stop:
                return name.removesuffix("2"), start, stop
    return "wording", 0, len(line)


def _sections(block: str) -> dict[str, str]:
    """The text of each example and option in an answer block, by its head; of a repeated head the first."""
    found: dict[str, str] = {}
    _, *pieces = _HEADS.split(block)
    for head, text in zip(pieces[::2], pieces[1::2], strict=True):
        if head == "Answer:":
            break
        found.setdefault(head, " ".join(text.removeprefix(":").split()))
    return found


def _label(section: str) -> str:
    """The (attribute, relation) of a section, as it is written."""
    return section.partition(")")[0] if section.startswith("(") else " ".join(section.split()[:2])


def _verdict(section: str) -> bool | None:
    """Whether a section calls its option consistent; None where it does not say."""
    words = section.strip(" .").split()[-2:]
    if words[-1:] == ["inconsistent"] or words == ["not", "consistent"]:
        return False
    return True if words[-1:] == ["consistent"] else None
