"""The interface of a checker: a second opinion on one task's puzzles, from what a reader of a record sees.

A checker shares no code with the generator: it parses the text, decodes the picture, solves the puzzle by another
method, and follows every chain of thought step by step. It may know the task's vocabulary and its settings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["record", "text", "image", "answer", "reasoning", "level"]
"""Kinds of problems of a record: in its bookkeeping, in a view of the puzzle, in its solution or its level."""


class Mismatch(Exception):  # noqa: N818 - a finding about data, not an error of the program
    """A record does not hold together.

    Attributes:
        kind: where.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind


def require(condition: object, kind: Kind, message: str) -> None:
    """Raise Mismatch unless ``condition`` holds."""
    if not condition:
        raise Mismatch(kind, message)


class Checker(ABC):
    """Checks the records of one task.

    Args:
        settings: the task's settings.
    """

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @property
    def compact(self) -> bool:
        """Whether records are in the compact style."""
        return bool(self.settings.style == "compact")

    def check_scene(self, record: Mapping[str, Any]) -> None:
        """Raise Mismatch where the text and the image of a scene do not show the same; it has nothing else.

        Args:
            record: the columns of ``s2h.puzzles.record.Record``.
        """
        raise Mismatch("record", f"{type(self).__name__} cannot check scenes: it does not define check_scene")

    @abstractmethod
    def check(self, record: Mapping[str, Any]) -> None:
        """Raise Mismatch where text, image, answer, a chain of thought or the level's promises do not agree.

        Args:
            record: the columns of ``s2h.puzzles.record.Record``.
        """
