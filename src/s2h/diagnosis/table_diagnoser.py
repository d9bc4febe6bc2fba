"""The diagnoser of both table tasks: each cell that a chain reads, each number that it lists, and the sum."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from itertools import accumulate, pairwise, takewhile

from s2h.diagnosis.diagnosis import Diagnoser, FirstError, Parts, first_difference, lines
from s2h.diagnosis.number_form import SAYING, NumberForm
from s2h.puzzles.table_task import Table
from s2h.puzzles.task import final_answer

_TOTAL = "The total is "
_FIELDS = 5  # of a step in the paper's style: row index, column index, row name, column name, value
_GROUP = 4  # words of a step in the compact style: name of the cell, value, =, running total
_DIGITS = 9  # of the longest number: what is longer is none
_MISREAD = ("place", "index", "value", "list")  # kinds of errors that another order of the values makes
_NUMBER = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+")


def read_total(prediction: str) -> str:
    """The total of a prediction that gives it as the question asks, as the task's judge reads it; empty for none."""
    found = re.fullmatch(r"([0-9]{1,6})\.?", final_answer(prediction) or "")
    return found[1] if found else ""


TOTAL = NumberForm(
    read_total,
    (0, 999_999),
    lead=f"{SAYING} total sum result value equals of all highlighted yellow values numbers on along path",
    trail="is the total sum result value answer final correct in units sales",
)
"""The form of answers: the sum of the values on the path."""


def total_values(prediction: str) -> list[int]:
    """The values that the last sentence adds up: all numbers after the last ``total is`` up to the next ``=``.

    As in the paper ``1,234`` is one number, and neither the sum nor the answer matters. Empty where there is no such
    sentence or one of its numbers has more than nine digits.
    """
    _, sentence, rest = prediction.rpartition("total is")
    return _integers(_NUMBER.findall(rest.partition("=")[0])) if sentence else []


def step_values(prediction: str) -> list[int]:
    """The values of the steps: the last field of each line with tabs, where it is a number.

    If a prediction has neither tabs nor a sentence with ``total is``, its steps are those of the compact style, and a
    value is the word before the equals sign. Empty where a number has more than nine digits.
    """
    if "\t" in prediction:
        fields = [line.rpartition("\t")[2].strip() for line in prediction.split("\n") if "\t" in line]
    elif "total is" in prediction:
        return []
    else:
        words = prediction.split()
        fields = [value for value, sign in pairwise(words) if sign == "="]
    return _integers([field for field in fields if _NUMBER.fullmatch(field)])


def _integers(numbers: list[str]) -> list[int]:
    plain = [number.replace(",", "") for number in numbers]
    return [int(number) for number in plain] if all(len(number) <= _DIGITS for number in plain) else []


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One step of a chain, as it is written.

    Attributes:
        place: name of the cell, as in "Nova Tool, June"; in the compact style one word.
        value: what is read there.
        indices: numbers of row and column, from 1; None in the compact style.
        total: the running total; None in the paper's style.
    """

    place: str
    value: int
    indices: tuple[int, int] | None = None
    total: int | None = None


class TableDiagnoser(Diagnoser[Table]):
    """Follows chains of both styles along the path of the puzzle."""

    form = TOTAL
    metrics = ("exact_match", "cot_exact_match", "transcription")
    """The paper's: the values that are added up are those of the path, and so are the values of the steps."""

    def measure(self, puzzle: Table, parts: Parts) -> dict[str, float | None]:
        """The steps of the compact style are what is added up there: it has no sentence that lists them again."""
        gold, steps = puzzle.path_values(), step_values(parts.text)
        listed = steps if self.task.compact else total_values(parts.text)
        return {
            "exact_match": float(listed == gold),
            "cot_exact_match": float(steps == gold) if parts.chain else None,
        }

    def follow(self, puzzle: Table, chain: str, answer: str) -> None:
        """Raise FirstError at the first step that leaves the path, misreads a cell or adds up wrongly.

        Where the values are all those of the path, but not in its order, the error is ``permuted``: a place or value is
        wrong because another one's stands there, as when cells are read in reading order.
        """
        try:
            total = (self._follow_words if self.task.compact else self._follow_lines)(puzzle, chain)
        except FirstError as error:
            listed = total_values(chain) if error.kind == "list" else step_values(chain)
            if error.kind in _MISREAD and _is_permuted(listed, puzzle.path_values()):
                raise FirstError("permuted", error.step, error.kind, error.expected, error.observed) from None
            raise
        found = self.read(puzzle, answer).verdict.answer
        if found and int(found) != total:
            raise FirstError("arithmetic", None, "answer", total, found)

    def _follow_lines(self, puzzle: Table, chain: str) -> int:
        """The paper's style: two lines of introduction, one line per step, the sum; returns the sum."""
        found, gold = lines(chain), lines(self.task.chain_of_thought(puzzle))
        for wanted, line in zip(gold[:2], [*found, "", ""], strict=False):
            if line != wanted:
                raise FirstError("format", 0, "header", wanted, line)
        steps = [*takewhile(lambda line: not line.startswith(_TOTAL), found[2:])]
        for number, line in enumerate(steps, 1):
            self._check_step(puzzle, number, _line_step(line), line)
        self._check_number_of_steps(puzzle, len(steps))
        sentence, *rest = [*found[2 + len(steps) :], ""]
        total = _check_sentence(puzzle, len(steps) + 1, sentence)
        if any(rest):
            raise FirstError("format", len(steps) + 2, "surplus text", "", rest[0])
        return total

    def _follow_words(self, puzzle: Table, chain: str) -> int:
        """The compact style: four words a step; returns the last running total."""
        words = chain.split()
        steps = range(0, len(words), _GROUP)
        totals = [*accumulate(puzzle.path_values())]
        for number, start in enumerate(steps, 1):
            group = words[start : start + _GROUP]
            step = _group_step(group)
            self._check_step(puzzle, number, step, " ".join(group))
            if step and step.total != totals[number - 1]:
                raise FirstError("arithmetic", number, "running total", totals[number - 1], step.total)
        self._check_number_of_steps(puzzle, len(steps))
        return totals[-1]

    def _check_step(self, puzzle: Table, number: int, step: Step | None, written: str) -> None:
        """Raise FirstError where a step is not that of the path: its form, the place, its indices, the value there."""
        if step is None:
            raise FirstError("format", number, "step", "", written)
        if number > len(puzzle.path):
            raise FirstError("reasoning", number, "surplus step", "", written)
        row, column = puzzle.path[number - 1]
        place, value = self._place(puzzle, number), puzzle.values[row][column]
        if step.place != place:
            raise FirstError("reasoning", number, "place", place, step.place)
        if step.indices not in (None, (row + 1, column + 1)):
            raise FirstError("reasoning", number, "index", (row + 1, column + 1), step.indices)
        if step.value != value:
            raise FirstError("perception", number, "value", value, step.value)

    def _check_number_of_steps(self, puzzle: Table, steps: int) -> None:
        if steps < len(puzzle.path):
            raise FirstError("reasoning", steps + 1, "missing step", self._place(puzzle, steps + 1), "nothing")

    def _place(self, puzzle: Table, number: int) -> str:
        """The name of the cell that a step reads; steps count from 1."""
        cell = puzzle.path[number - 1]
        return puzzle.word(cell) if self.task.compact else ", ".join(puzzle.place(cell))


def _is_permuted(listed: Sequence[int], gold: Sequence[int]) -> bool:
    return list(listed) != list(gold) and sorted(listed) == sorted(gold)


def _number(word: str) -> int | None:
    """A number in the only form in which ours are written; None for anything else."""
    return int(word) if re.fullmatch(rf"0|[1-9][0-9]{{0,{_DIGITS - 1}}}", word) else None


def _line_step(line: str) -> Step | None:
    """Row index, column index, row name, column name, value; a row's name may be several words."""
    words = line.split()
    if len(words) < _FIELDS:
        return None
    row, column, value = _number(words[0]), _number(words[1]), _number(words[-1])
    if row is None or column is None or value is None:
        return None
    return Step(f"{' '.join(words[2:-2])}, {words[-2]}", value, indices=(row, column))


def _group_step(words: list[str]) -> Step | None:
    if len(words) != _GROUP or words[2] != "=":
        return None
    value, total = _number(words[1]), _number(words[3])
    return None if value is None or total is None else Step(words[0], value, total=total)


def _check_sentence(puzzle: Table, number: int, sentence: str) -> int:
    """Raise FirstError unless the sentence lists the values of the path and adds them up; returns the sum."""
    listed, _, total = sentence.removeprefix(_TOTAL).partition(" = ")
    values, result = [_number(value) for value in listed.split(" + ")], _number(total)
    if not sentence.startswith(_TOTAL) or None in values or result is None:
        raise FirstError("format", number, "total", f"{_TOTAL}a + b = s", sentence or "nothing")
    difference = first_difference(puzzle.path_values(), values, what="value")
    if difference:
        place, wanted, given = difference
        raise FirstError("reasoning", number, "list", f"{place}: {wanted}", given)
    if result != sum(puzzle.path_values()):
        raise FirstError("arithmetic", number, "sum", sum(puzzle.path_values()), result)
    return result
