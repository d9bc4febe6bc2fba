"""Right replies of every form, and what is found in a changed one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from s2h.diagnosis.diagnosis import Diagnosis
from s2h.diagnosis.registry import find_diagnoser
from s2h.puzzles.task import Task
from s2h.supervision.formats import CONVERSION, CONVERT_TOKEN

Found = tuple[str | None, int | None, str | None, str | None, str | None]


def gold(task: Task[Any], puzzle: Any, chain: str | None = None, *, transcribed: bool = False) -> str:
    """The right reply, by the task's own chain or another."""
    parts = [task.reason(puzzle) if chain is None else chain, task.answer_block(puzzle)]
    return "\n\n".join([CONVERSION, task.describe(puzzle), *parts] if transcribed else parts)


def right_replies(task: Task[Any], puzzle: Any) -> Iterator[str]:
    """Every right reply with a chain of thought; those of the compact style also as the tiny model writes them."""
    for chain in (task.reason(puzzle), *task.alternatives(puzzle).values()):
        for transcribed in (False, True):
            reply = gold(task, puzzle, chain, transcribed=transcribed)
            yield reply
            yield f"{' '.join([CONVERT_TOKEN] * 3)}\n\n{gold(task, puzzle, chain)}"
            if task.compact:
                yield " ".join(reply.split())


def diagnosed(task: Task[Any], puzzle: Any, reply: str) -> Diagnosis:
    return find_diagnoser(task).diagnose(puzzle, reply)


def flaw(diagnosis: Diagnosis) -> Found:
    """What a diagnosis found wrong: error, step, kind, expected, found."""
    return (
        diagnosis.error,
        diagnosis.wrong_step,
        diagnosis.wrong_kind,
        diagnosis.expected,
        diagnosis.found,
    )


def changed(text: str, old: str, new: str) -> str:
    """The text with one thing changed, which must be there once."""
    assert text.count(old) == 1, (old, text.count(old), text)
    return text.replace(old, new)
