"""One class behind the registries of tasks and model families: names to lazily imported objects."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from s2h.errors import ConfigError

T = TypeVar("T")


def unknown(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for a name that does not exist: near matches first, then everything that does exist."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return ConfigError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names) or 'none'}.")


class Registry(Generic[T]):
    """Names mapped to objects that are imported when first asked for.

    Entries are written as ``module:attribute``, so that listing the names imports nothing and a stage that handles
    one task depends on the code of that task alone.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._places: dict[str, str] = {}

    def add(self, name: str, place: str) -> None:
        """Register ``name`` at ``place`` ("module:attribute"); a duplicate is refused."""
        if name in self._places:
            raise ConfigError(
                f"the {self.kind} {name!r} is registered twice: {self._places[name]} and {place}. Rename one of them."
            )
        self._places[name] = place

    def place(self, name: str) -> str:
        """The "module:attribute" of ``name``; an unknown name raises ConfigError with near matches."""
        if name not in self._places:
            raise unknown(self.kind, name, self._places)
        return self._places[name]

    def module(self, name: str) -> str:
        """The dotted name of the module that holds ``name``."""
        return self.place(name).partition(":")[0]

    def __getitem__(self, name: str) -> T:
        module, _, attribute = self.place(name).partition(":")
        try:
            found: Any = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"the {self.kind} {name!r} is registered as {self.place(name)}, but: {error}.") from error
        return found  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._places))

    def __contains__(self, name: object) -> bool:
        return name in self._places
