"""The diagnoser of Visual Analogy: every piece of a chain, and of the answer block, beside the one that is true."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from s2h.diagnosis.diagnosis import (
    Diagnoser,
    Error,
    FirstError,
    Parts,
    common_prefix_length,
    lines,
    without_markup_at_end,
)
from s2h.diagnosis.number_form import SAYING, NumberForm
from s2h.puzzles.analogy_panels import Analogy
from s2h.puzzles.visual_analogy import OPTIONS, read_option

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
        # the answer block of both styles
        r"(?:Example|Option) \d: (?P<label>\(.*\))(?:, (?P<verdict>.*))?",
        r"(?:Example|Option) \d (?P<label>\S+ \S+)(?: (?P<verdict>\S+))?",
    )
)
"""The lines that are true, but for the compact chain, with names for what they say.

No text of a model is matched against them. The family and the values are read from the panels; all else is concluded.
"""
_HEADS = re.compile(r"(Example [12]|Option [1-4]|Answer:)")
_PAPER_BLOCK = re.compile(r"^[ \t]*Example 1:(?! by )", re.MULTILINE)
_COMPACT_BLOCK = re.compile(r"\bExample\s+1\b")

OPTION = NumberForm(
    read_option,
    (1, OPTIONS),
    lead=f"{SAYING} option panel choice number choose select pick best missing which completes query",
    trail="is the correct right best answer option choice completes query consistent",
    names=("one", "two", "three", "four"),
)
"""The form of answers: the number of an option."""


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

    form = OPTION
    metrics = ("exact_match", "partial_score", "labels_correct", "transcription")
    """``exact_match``: the answer block is right, with all its labels and verdicts. ``partial_score``: the option is
    right, and the verdicts go with it, whatever the labels. ``labels_correct``: share of the six labels."""

    def measure(self, puzzle: Analogy, parts: Parts) -> dict[str, float | None]:
        return analogy_metrics(self.task.answer_block(puzzle), parts.text)

    def block_start(self, text: str, at: int) -> int:
        """The answer block begins at the last ``Example 1``; in the paper's style a label must follow."""
        block = _COMPACT_BLOCK if self.task.compact else _PAPER_BLOCK
        starts = [found.start() for found in block.finditer(text)]
        return starts[-1] if starts else at

    def follow(self, puzzle: Analogy, chain: str, answer: str) -> None:
        """Raise FirstError at the first piece of the chain, and then of the answer block, that is not true."""
        gold = self.gold_chain(puzzle, chain)
        for step, (wanted, following, line) in enumerate(_beside(lines(gold), self.lines(chain, gold)), 1):
            if line in ("", following) and wanted:
                raise FirstError("reasoning", step, "missing step", wanted, "nothing")
            if not wanted:
                raise FirstError("reasoning", step, "surplus step", "nothing", line)
            (_compare_words if self.task.compact else _compare)(wanted, line, step)
        written = without_markup_at_end(answer[: self.read(puzzle, answer).place.start])
        self._follow_block(self.task.answer_block(puzzle), written)

    def _follow_block(self, gold: str, written: str) -> None:
        """Labels and verdicts; the number itself is judged by the task."""
        gold = gold.partition("Answer:")[0]
        for wanted, following, line in _beside(lines(gold), self.lines(written, gold)):
            if line in ("", following) and wanted:
                raise FirstError("reasoning", None, "label", wanted, "nothing")
            if not wanted:
                raise FirstError("format", None, "surplus text", "", line)
            _compare(wanted, line, None)


def _compare(wanted: str, line: str, step: int | None) -> None:
    """Raise FirstError where a line is not the true one; the piece where they part tells the kind."""
    if wanted == line:
        return
    at = common_prefix_length(wanted, line)
    kind, start, stop = _piece(wanted, at)
    if kind != "values":
        error: Error = "format" if kind == "wording" else "perception" if kind == "family" else "reasoning"
        raise FirstError(error, step, kind, wanted[start:stop], line[start:])
    panel = max(wanted.rfind("{", 0, at + 1), 0)
    raise FirstError("perception", step, kind, _first_set(wanted[panel:stop]), _first_set(line[panel:]))


def _compare_words(wanted: str, line: str, step: int) -> None:
    """The same for a line of the compact chain: its attribute, the values of each panel, and what they follow.

    A value that is missing, wrong or surplus is misread in the panel that is being read; where a panel begins that is
    not the next one, or something else than its values, the place is wrong.
    """
    gold, found = wanted.split(), line.split()
    pairs = enumerate(zip_longest(gold, found, fillvalue=""))
    at, (right, given) = next((each for each in pairs if each[1][0] != each[1][1]), (0, ("", "")))
    if right == given:
        return
    panels = [_panel(word) for word in (right, given, *gold[max(at - 1, 0) : at])]
    misread = next((panel for panel in panels if panel and panels.count(panel) > 1), "")
    if misread:
        raise FirstError("perception", step, "values", _values_of(misread, gold), _values_of(misread, found))
    kind = "relation" if gold[0] == "relation" else "panel" if panels[0] else "pattern" if at else "attribute"
    raise FirstError("reasoning", step, kind, right or "nothing", given or "nothing")


def _panel(word: str) -> str:
    """The panel that a word of the compact chain tells of; empty for other words."""
    return word.partition(":")[0] if ":" in word else ""


def _values_of(panel: str, words: Sequence[str]) -> str:
    return " ".join(word for word in words if _panel(word) == panel) or "nothing"


def _beside(gold: Sequence[str], found: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Each true line with the one that follows it and the line that was found; empty where there is none."""
    return zip_longest(gold, gold[1:], found, fillvalue="")


def _first_set(text: str) -> str:
    """The values of the panel with which a text of the paper's style begins."""
    return text[: text.find("}") + 1] or text


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
