"""A recipe is data: phases, each a list of parts with their share of the phase's examples.

The unit of compute is one training example seen. A budget N is the number of examples that a phase sees: unique
examples times how often each is seen, so that recipes are compared at equal compute, as in the paper.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from s2h.puzzles.task import Level
from s2h.settings import Settings
from s2h.supervision.formats import FULL, Format


def _fraction(value: Any) -> Any:
    """Accept 2, "1/6" and 1.5; anything else is left to pydantic, which refuses it."""
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return Fraction(value)
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"{value!r} is not a number or a fraction such as 1/6") from None
    return Fraction(str(value)) if isinstance(value, float) else value


Ratio = Annotated[
    Fraction,
    BeforeValidator(_fraction, json_schema_input_type=int | float | str),
    PlainSerializer(str, return_type=str),
]
"""An exact positive number, written 2, 1.5 or "1/6"."""


class Part(Settings):
    """One kind of example in a phase.

    Attributes:
        level: level of the puzzles.
        format: supervision format.
        share: share of the phase's examples.
        chain: chain of thought in the responses: ``full``, ``none``, or an alternative of the task by its name.
        repeats: how often each example is written into one epoch.
    """

    level: Level
    format: Format
    share: Ratio = Field(gt=0, le=1)
    chain: str = FULL
    repeats: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _conversion_has_no_chain(self) -> Part:
        if self.format == "image_to_text" and self.chain != FULL:
            raise ValueError(f"image_to_text has no chain of thought, so leave chain away (found: {self.chain!r})")
        return self


class Phase(Settings):
    """A stretch of training with its own data; the first phase starts from the base model, later ones from the last.

    Attributes:
        parts: what the phase holds; the shares add up to 1.
        epochs: how often the phase's data are seen; an epoch may be broken off (1.5).
        budget: examples seen in this phase, as a multiple of the budget of the run.
        order: ``shuffled`` is one random order an epoch; ``interleaved`` deals the parts out evenly, in proportion;
            ``sequential`` takes the parts one after the other (a curriculum).
    """

    parts: tuple[Part, ...] = Field(min_length=1)
    epochs: Ratio = Field(Fraction(1), gt=0)
    budget: Ratio = Field(Fraction(1), gt=0)
    order: Literal["shuffled", "interleaved", "sequential"] = "shuffled"

    @model_validator(mode="after")
    def _whole(self) -> Phase:
        total = sum((part.share for part in self.parts), Fraction(0))
        if total != 1:
            raise ValueError(f"the shares of a phase must add up to 1, but these add up to {total}")
        return self


class Recipe(Settings):
    """A way to supervise a model.

    Attributes:
        title: the paper's name, as tables show it.
        phases: trained one after the other.
    """

    title: str
    phases: tuple[Phase, ...] = Field(min_length=1)


@dataclasses.dataclass(frozen=True, slots=True)
class PartCount:
    """How much of a part a budget buys.

    Attributes:
        part: the part.
        unique: number of different puzzles.
        epoch: examples of the part in one epoch, ``unique * part.repeats``.
    """

    part: Part
    unique: int
    epoch: int


def count(phase: Phase, budget: int) -> list[PartCount]:
    """Unique puzzles and examples of each part of ``phase`` in one epoch, for a run with ``budget`` examples.

    All divisions floor, so a phase never sees more than its budget.
    """
    counts = []
    for part in phase.parts:
        unique = math.floor(phase.budget * budget * part.share / (phase.epochs * part.repeats))
        counts.append(PartCount(part, unique, unique * part.repeats))
    return counts


def examples_seen(phase: Phase, budget: int) -> int:
    """Examples that the phase sees: its epochs times the examples of an epoch, rounded down."""
    return math.floor(phase.epochs * sum(c.epoch for c in count(phase, budget)))


def puzzles_needed(recipe: Recipe, budget: int) -> dict[Level, int]:
    """Unique training puzzles that ``recipe`` needs of each level; formats of one level share their puzzles."""
    needed: dict[Level, int] = {}
    for phase in recipe.phases:
        for counted in count(phase, budget):
            level = counted.part.level
            needed[level] = max(needed.get(level, 0), counted.unique)
    return needed
