"""Readers of external evaluation sets, by task: a task without one is scored on its own sets alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from s2h.diagnosis.answers import PLAIN, AnswerForm
from s2h.errors import ConfigError
from s2h.registry import Registry

if TYPE_CHECKING:  # the config asks which tasks have one
    from s2h.scoring.sets import EvalRow


class Reader(ABC):
    """Reads the puzzles of one task in the columns of the paper's code, and measures predictions for them.

    Attributes:
        columns: that a set needs beside index, question and answer.
        gold_form: what the column answer must hold, in words.
        form: how answers of predictions are written.
    """

    columns: ClassVar[tuple[str, ...]] = ()
    gold_form: ClassVar[str]
    form: ClassVar[AnswerForm] = PLAIN

    def puzzle(self, row: Mapping[str, str]) -> str:
        """The input of ``measure`` beside the gold answer, for ``EvalRow.puzzle``.

        Args:
            row: the cells of a row by column.

        Raises:
            ValueError, IndexError: ``columns`` hold no puzzle.
        """
        return ""

    @abstractmethod
    def is_gold(self, answer: str) -> bool:
        """Whether a cell of the column answer is of ``gold_form``: another would make replies right or wrong by chance.

        Args:
            answer: any text.
        """

    @abstractmethod
    def measure(self, row: EvalRow, prediction: str) -> dict[str, float | None]:
        """Some metrics of the task's diagnoser, ``exact_match`` among them.

        Args:
            row: the puzzle.
            prediction: any text.
        """

    def is_right(self, row: EvalRow, answer: str) -> bool:
        """Whether an answer is right; by default, whether a prediction that says it alone matches exactly.

        Args:
            row: the puzzle.
            answer: as ``form`` reads it, not empty.
        """
        return self.measure(row, f"Answer: {answer}")["exact_match"] == 1


READERS: Registry[type[Reader]] = Registry("reader")
READERS.add("consecutive_table_readout", "s2h.scoring.gold_answer_metrics:TableReader")
READERS.add("table_readout", "s2h.scoring.gold_answer_metrics:TableReader")
READERS.add("grid_navigation", "s2h.scoring.gold_answer_metrics:GridReader")
READERS.add("visual_analogy", "s2h.scoring.gold_answer_metrics:AnalogyReader")


def refuse_unreadable(task: str) -> None:
    """Raise ConfigError where a task has no reader."""
    if task not in READERS:
        raise ConfigError(
            f"external sets are not read for the task {task!r}: it has no reader (those of {', '.join(READERS)} "
            "have). Give it one (docs/add-a-task.md)."
        )


def find_reader(task: str) -> Reader:
    """The reader of a task; raises ConfigError where it has none."""
    refuse_unreadable(task)
    return READERS[task]()
