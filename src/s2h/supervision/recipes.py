"""A recipe is data: phases, each a list of parts with their share of the phase's examples.

The unit of compute is one training example seen. A budget N is the number of examples that a phase sees: unique
examples times how often each is seen, so that recipes are compared at equal compute, as in the paper.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable

from pydantic import Field, model_validator

from s2h.phases import Part, Phase, check_phases
from s2h.puzzles.task import TrainingLevel
from s2h.settings import Settings


class Recipe(Settings):
    """A way to supervise a model.

    Attributes:
        title: the paper's name, as tables show it.
        phases: trained one after the other; without any the model is scored untrained (zero-shot).
    """

    title: str = Field(min_length=1)
    phases: tuple[Phase, ...]

    @model_validator(mode="after")
    def _phases_fit(self) -> Recipe:
        check_phases(self.phases, of="recipe")
        return self

    @property
    def size(self) -> tuple[int, int]:
        """How many phases and parts it has."""
        return len(self.phases), sum(len(phase.parts) for phase in self.phases)


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


def puzzles_needed(phases: Iterable[Phase], budget: int, tasks: int = 1) -> dict[TrainingLevel, int]:
    """Unique training puzzles that phases need of each level and task; formats of one level share their puzzles."""
    needed: dict[TrainingLevel, int] = {}
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
