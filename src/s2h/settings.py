"""Base of the typed config tree: every part is immutable, and an unknown key is an error."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from s2h.registry import unknown

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""A seed, as numpy and torch take it."""


class Settings(BaseModel):
    """Base of every part of the config."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def named(kind: str) -> AfterValidator:
    """Check that a text is the name of something in the config.

    The names that exist are those of ``kind`` in the context of the validation; without them nothing is checked.
    """

    def check(name: str, info: ValidationInfo) -> str:
        known = (info.context or {}).get(kind)
        if known is not None and name not in known:
            elsewhere = info.context and info.context.get("elsewhere")
            raise ValueError(f"{unknown(kind, name, known)}{elsewhere(kind, name) if elsewhere else ''}")
        return name

    return AfterValidator(check)


KeyPath = tuple[str | int, ...]
"""The keys that lead to a value, and places in lists from 0: ``("runs", 0, "recipes")``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong or odd in a config.

    Attributes:
        path: the key where it is; empty for the config as a whole.
        message: what is wrong, what was expected, what to do.
    """

    path: KeyPath
    message: str

    def __str__(self) -> str:
        return f"{key_path(self.path)}: {self.message}" if self.path else self.message


def key_path(path: KeyPath) -> str:
    """The keys as one word: ``runs[0].recipes``."""
    words = (
        f"[{part}]" if isinstance(part, int) else f".{part if part.isprintable() else repr(part)}" for part in path
    )
    return "".join(words).removeprefix(".")
