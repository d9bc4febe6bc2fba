"""One class behind the registries of tasks and model families: names to lazily imported objects."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from s2h.errors import ConfigError

T = TypeVar("T")


_LISTED = 12  # names in a message


def unknown(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for a name that does not exist: near matches first, then what does exist.

    Args:
        kind: of what.
        name: that does not exist.
        known: the names that do; of a mapping the values are titles, which are compared too.
    """
    names, near = sorted(known), near_matches(name, known)
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    more = f", … ({len(names)} in all)" if len(names) > _LISTED else ""
    return ConfigError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names[:_LISTED]) or 'none'}{more}.")


def near_matches(name: str, known: Iterable[str]) -> list[str]:
    """The names that may be meant by another: the same in other letters, a title, initials, a beginning, or similar.

    Args:
        name: as it was written, e.g. ``Mix+``, ``ctr``, ``lr`` or ``hard``.
        known: the names that exist; of a mapping the values are titles.

    Returns:
        At most two, the likeliest first.
    """
    titles = known if isinstance(known, Mapping) else {}
    names, asked = sorted(known), _plain(name)
    for matches in (
        [n for n in names if asked in (_plain(n), _plain(str(titles.get(n, n))))],
        [n for n in names if len(asked) > 1 and _initials(n) == asked],
        [n for n in names if asked and _plain(n).startswith(asked)],
    ):
        if matches:
            return sorted(matches, key=len)[:2]
    by_lower = {n.lower(): n for n in names}
    return [by_lower[n] for n in difflib.get_close_matches(name.lower(), sorted(by_lower), n=2, cutoff=0.5)]


def _plain(name: str) -> str:
    """Lower-case letters, digits and ``+``, which tells titles apart."""
    return re.sub(r"[^a-z0-9+]", "", name.lower())


def _initials(name: str) -> str:
    return "".join(part[0] for part in re.split(r"[^a-z0-9]+", name.lower()) if part)


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
