"""A registry that says what its objects read, so that a plan of them imports none."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from s2h.registry import Registry

T = TypeVar("T")


class ReadingRegistry(Registry[T]):
    """Names mapped to objects that are imported when first asked for, and to what these read, which is known before.

    Args:
        kind: of the objects, for messages.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self._reads: dict[str, frozenset[str]] = {}
        self._data: dict[str, tuple[Path, ...]] = {}

    def add(self, name: str, place: str, *, reads: Iterable[str] = (), data: Iterable[Path] = ()) -> None:
        """Register ``name`` at ``place`` ("module:attribute"); a duplicate is refused.

        Args:
            name: of the object.
            place: where it is.
            reads: names of results that it reads.
            data: files of its package that it reads beside them.
        """
        super().add(name, place)
        self._reads[name], self._data[name] = frozenset(reads), tuple(data)

    def reads(self, name: str) -> frozenset[str]:
        """The results that the object reads."""
        return self._reads[name]

    def data(self, name: str) -> tuple[Path, ...]:
        """The files of its package that the object reads beside them."""
        return self._data[name]
