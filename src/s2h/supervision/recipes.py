"""A recipe is data: phases, each a list of parts with their share of the phase's examples.

The unit of compute is one training example seen. A budget N is the number of examples that a phase sees: unique
examples times how often each is seen, so that recipes are compared at equal compute, as in the paper.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable
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


ModelPart = Literal["vision", "projector", "language"]
"""The parts of a model that a phase may freeze."""


class Part(Settings):
    """One kind of example in a phase.

    Attributes:
        level: level of the puzzles.
        format: supervision format.
        share: share of the phase's examples.
        chain: chain of thought in the responses: ``full``, ``none``, an alternative of the task by its name, or
            ``internalised``, of which less and less is kept as the phase goes on.
        convert_tokens: in Image-via-Text, this many ``<Convert>`` tokens stand in place of the conversion; 0 writes
            the conversion out.
        repeats: how often each example is written into one epoch.
    """

    level: Level
    format: Format
    share: Ratio = Field(gt=0, le=1)
    chain: str = FULL
    convert_tokens: int = Field(0, ge=0)
    repeats: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _conversion_has_no_chain(self) -> Part:
        if self.format == "image_to_text" and self.chain != FULL:
            raise ValueError(f"image_to_text has no chain of thought, so leave chain away (found: {self.chain!r})")
        return self

    @model_validator(mode="after")
    def _only_a_conversion_is_replaced(self) -> Part:
        if self.convert_tokens and self.format != "image_via_text":
            raise ValueError(f"convert_tokens replace the conversion of image_via_text; {self.format} has none")
        return self


class Phase(Settings):
    """A stretch of training with its own data; the first phase starts from the base model, later ones from the last.

    Attributes:
        parts: what the phase holds; the shares add up to 1.
        epochs: how often the phase's data are seen; an epoch may be broken off (1.5).
        budget: examples seen in this phase, as a multiple of the budget of the run.
        order: ``shuffled`` is one random order an epoch; ``interleaved`` deals the parts out evenly, in proportion;
            ``sequential`` takes the parts one after the other (a curriculum).
        frozen: parts of the model that do not learn in this phase.
        optimizer: ``fresh``, or ``kept`` to go on with the moments of the phase before.
        training: settings of the model's training that are different in this phase, e.g. ``{learning_rate: 1.0e-3}``.
    """

    parts: tuple[Part, ...] = Field(min_length=1)
    epochs: Ratio = Field(Fraction(1), gt=0)
    budget: Ratio = Field(Fraction(1), gt=0)
    order: Literal["shuffled", "interleaved", "sequential"] = "shuffled"
    frozen: tuple[ModelPart, ...] = ()
    optimizer: Literal["fresh", "kept"] = "fresh"
    training: dict[str, Any] = Field(default_factory=dict)

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
        phases: trained one after the other; without any the model is scored as it came.
    """

    title: str
    phases: tuple[Phase, ...]

    @model_validator(mode="after")
    def _first_optimizer_is_fresh(self) -> Recipe:
        if self.phases and self.phases[0].optimizer == "kept":
            raise ValueError("optimizer: kept goes on from the phase before, and the first phase has none")
        return self


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


def count(phase: Phase, budget: int, tasks: int = 1) -> list[PartCount]:
    """Unique puzzles and examples of each part of ``phase`` in one epoch, for a run with ``budget`` examples.

    Where several tasks are trained together, the budget is shared evenly, and the counts are those of one task. All
    divisions floor, so a phase never sees more than its budget.
    """
    counts = []
    for part in phase.parts:
        unique = math.floor(phase.budget * budget * part.share / (phase.epochs * part.repeats * tasks))
        counts.append(PartCount(part, unique, unique * part.repeats))
    return counts


def examples_seen(phase: Phase, budget: int, tasks: int = 1) -> int:
    """Examples that the phase sees: its epochs times the examples of an epoch, rounded down."""
    return math.floor(phase.epochs * tasks * sum(c.epoch for c in count(phase, budget, tasks)))


def puzzles_needed(phases: Iterable[Phase], budget: int, tasks: int = 1) -> dict[Level, int]:
    """Unique training puzzles that phases need of each level and task; formats of one level share their puzzles."""
    needed: dict[Level, int] = {}
    for phase in phases:
        for counted in count(phase, budget, tasks):
            level = counted.part.level
            needed[level] = max(needed.get(level, 0), counted.unique)
    return needed


def kept_share(position: int, examples: int) -> float:
    """How much of an internalised chain of thought is kept in a phase's example, from 1 to 0.

    The schedule that the paper meant: the first 30 % of the examples keep all of it, over the next 40 % it shrinks in
    101 levels from full to none, the last 30 % have none. (The released code divides by 10 where it has 100 levels, so
    that most examples keep everything.)

    Args:
        position: of the example in the phase, from 0.
        examples: number of examples of the phase.
    """
    ramp_from, ramp_length = 3 * examples, 4 * examples  # in tenths of an example
    return min(max(100 - 101 * (10 * position - ramp_from) // ramp_length, 0), 100) / 100


def shortened(reasoning: str, share: float) -> str:
    """The first part of a chain of thought: at most ``share`` of its characters, cut behind a whole word."""
    limit = math.floor(share * len(reasoning))
    if limit >= len(reasoning) or reasoning[limit].isspace():
        return reasoning[:limit].rstrip()
    words = re.match(r"(.*)\s", reasoning[:limit], re.DOTALL)
    return words[1].rstrip() if words else ""
