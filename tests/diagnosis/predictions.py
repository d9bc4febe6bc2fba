"""Right predictions of every form, and what is found in a changed one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from s2h.diagnosis.diagnoser_registry import find_diagnoser
from s2h.diagnosis.diagnosis import Diagnosis
from s2h.puzzles.task import Task
from s2h.supervision.formats import CONVERT_TOKEN, TRANSCRIPTION_HEADER

Found = tuple[str | None, int | None, str | None, str | None, str | None]


def gold(task: Task[Any], puzzle: Any, chain: str | None = None, *, transcribed: bool = False) -> str:
    """The right prediction, by the task's own chain or another."""
    parts = [task.chain_of_thought(puzzle) if chain is None else chain, task.answer_block(puzzle)]
    return "\n\n".join([TRANSCRIPTION_HEADER, task.to_text(puzzle), *parts] if transcribed else parts)


def right_predictions(task: Task[Any], puzzle: Any) -> Iterator[str]:
    """Every right prediction with a chain of thought; those of the compact style also as the tiny model writes them."""
    for chain in (task.chain_of_thought(puzzle), *task.alternatives(puzzle).values()):
        for transcribed in (False, True):
            prediction = gold(task, puzzle, chain, transcribed=transcribed)
            yield prediction
            yield f"{' '.join([CONVERT_TOKEN] * 3)}\n\n{gold(task, puzzle, chain)}"
            if task.compact:
                yield " ".join(prediction.split())


def diagnosed(task: Task[Any], puzzle: Any, prediction: str) -> Diagnosis:
    return find_diagnoser(task).diagnose(puzzle, prediction)


def first_error(diagnosis: Diagnosis) -> Found:
    """What a diagnosis found wrong: error, step, kind, expected, found."""
    return (
        diagnosis.error,
        diagnosis.first_error_step,
        diagnosis.error_detail,
        diagnosis.expected,
        diagnosis.observed,
    )


def changed(text: str, old: str, new: str) -> str:
    """The text with one thing changed, which must be there once."""
    assert text.count(old) == 1, (old, text.count(old), text)
    return text.replace(old, new)
