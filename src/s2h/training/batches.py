"""Which examples an optimizer step holds, and which process computes them in which micro-batch.

It is a function of the mixture's order and its examples' lengths and work alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from s2h.tokenisation.lengths import Lengths

_CLOSE = 1.01  # groups are as even as they can be, to within 1 %


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a micro-batch.

    Attributes:
        examples: most examples; None for any number.
        tokens: most tokens, padding included; None for any number. An example that is longer is computed alone.
    """

    examples: int | None = None
    tokens: int | None = None


class BatchPlan:
    """Which examples each process computes in each step and micro-batch.

    Args:
        lengths: of the examples of the phase.
        cost: arithmetic of each example in any unit, ``float64[examples]``; None takes their tokens for it.
        batch_size: examples of a step, over all processes.
        limits: of a micro-batch.
        world_size: number of processes.
    """

    def __init__(
        self,
        lengths: Lengths,
        *,
        cost: NDArray[np.float64] | None = None,
        batch_size: int,
        limits: Limits,
        world_size: int,
    ) -> None:
        self.lengths, self.batch_size, self.world_size = lengths, batch_size, world_size
        self.cost = lengths.tokens.astype(np.float64) if cost is None else cost
        self.steps = step_count(len(lengths.tokens), batch_size)
        sizes = [self._sizes(step) for step in range(self.steps)]
        self.grad_accum_steps = max(min_grad_accum_steps(each, world_size=world_size, limits=limits) for each in sizes)
        self._dealt = [
            micro_batches(each, world_size=world_size, grad_accum_steps=self.grad_accum_steps, limits=limits)
            for each in sizes
        ]
        self.placeholder = int(lengths.tokens.argmin())

    def positions(self, step: int) -> range:
        """Positions in the mixture of a step's examples."""
        return step_positions(step, examples=len(self.lengths.tokens), batch_size=self.batch_size)

    def _sizes(self, step: int) -> ExampleSizes:
        chosen = self.positions(step)
        tokens, cost = (each[chosen.start : chosen.stop].tolist() for each in (self.lengths.tokens, self.cost))
        return ExampleSizes(tokens, cost)

    def groups(self, step: int) -> list[list[list[int]]]:
        """For each process its groups of positions, one for each micro-batch; some may be empty."""
        positions = self.positions(step)
        return [[[positions[i] for i in group] for group in mine] for mine in self._dealt[step]]

    def computed(self, group: Sequence[int]) -> list[int]:
        """The positions that are really computed for a group: where it is empty a placeholder, the shortest example."""
        return [*group] or [self.placeholder]

    def _all_groups(self) -> Iterator[list[int]]:
        """Every group of every step and process, as it is computed."""
        for step in range(self.steps):
            for mine in self.groups(step):
                yield from map(self.computed, mine)

    def padding(self) -> float:
        """The share of the tokens computed that no example is made of: padding and placeholders."""
        tokens = self.lengths.tokens
        computed = sum(len(group) * int(tokens[group].max()) for group in self._all_groups())
        return 1 - int(tokens.sum()) / computed

    def waiting(self) -> float:
        """The share of their time for which processes would wait for the slowest of those that compute together."""
        slowest = 0.0
        for step in range(self.steps):
            together = zip(*self.groups(step), strict=True)
            slowest += sum(max(float(self.cost[group].sum()) for group in row) for row in together)
        return 1 - float(self.cost.sum()) / (slowest * self.world_size)

    def largest(self) -> list[list[int]]:
        """The micro-batches that need the most memory: the most tokens with padding, target tokens, pixels."""
        tokens, targets, pixels = self.lengths.tokens, self.lengths.targets, self.lengths.pixels
        groups = list(self._all_groups())
        largest = [
            max(groups, key=lambda group: len(group) * int(tokens[group].max())),
            max(groups, key=lambda group: int(targets[group].sum())),
            max(groups, key=lambda group: int(pixels[group].sum())),
        ]
        return [group for place, group in enumerate(largest) if group not in largest[:place]]


@dataclasses.dataclass(frozen=True, slots=True)
class ExampleSizes:
    """The examples of a step.

    Attributes:
        tokens: of each example, at least 1.
        cost: arithmetic of each example in any unit, above 0.
    """

    tokens: Sequence[int]
    cost: Sequence[float]

    @classmethod
    def from_tokens(cls, tokens: Sequence[int]) -> ExampleSizes:
        """Examples whose work is that of their tokens."""
        return cls(tokens, [float(number) for number in tokens])


def step_count(examples: int, batch_size: int) -> int:
    """Optimizer steps of a phase; the last one may be smaller."""
    return math.ceil(examples / batch_size)


def step_positions(step: int, *, examples: int, batch_size: int) -> range:
    """Positions in the mixture of the examples of an optimizer step."""
    return range(step * batch_size, min((step + 1) * batch_size, examples))


def min_grad_accum_steps(sizes: ExampleSizes, *, world_size: int, limits: Limits) -> int:
    """Micro-batches that each process needs at least for a step: its steps of gradient accumulation."""
    return math.ceil(len(_split(sizes, _longest_first(sizes), math.inf, limits)) / world_size)


def micro_batches(
    sizes: ExampleSizes, *, world_size: int, grad_accum_steps: int, limits: Limits
) -> list[list[list[int]]]:
    """Deal the examples of a step to the processes, in groups of like length and equal work.

    The examples are sorted by length and split into groups so that the group with the most work, padding included, has
    as little as can be. Groups of like work are computed at the same time: processes wait for each other after each.

    Args:
        sizes: of the examples of the step.
        world_size: number of processes.
        grad_accum_steps: groups of each process, at least as many as ``min_grad_accum_steps`` says.
        limits: of a group.

    Returns:
        For each process its groups, each a list of places in ``sizes``; some are empty where there are few examples.
    """
    order = _longest_first(sizes)
    split = _even_split(sizes, order, world_size * grad_accum_steps, limits)
    split.sort(key=lambda group: -_padded_cost(sizes, group))
    split += [[]] * (world_size * grad_accum_steps - len(split))
    rows = [split[start : start + world_size] for start in range(0, len(split), world_size)]
    # Back and forth, so that no process gets the heavier group every time.
    turned = [row if turn % 2 == 0 else row[::-1] for turn, row in enumerate(rows)]
    return [[row[rank] for row in turned] for rank in range(world_size)]


def _longest_first(sizes: ExampleSizes) -> list[int]:
    return sorted(range(len(sizes.tokens)), key=lambda i: (-sizes.tokens[i], i))


def _even_split(sizes: ExampleSizes, order: Sequence[int], groups: int, limits: Limits) -> list[list[int]]:
    """At most ``groups`` groups, of which the largest is as small as can be."""
    least = max(max(sizes.cost), sum(sizes.cost) / groups)
    most = least
    while len(split := _split(sizes, order, most, limits)) > groups:
        least, most = most, most * 1.2
        if math.isinf(most):
            raise ValueError(f"{len(order)} examples do not fit into {groups} groups of {limits}")
    while most > least * _CLOSE:
        middle = (least + most) / 2
        trial = _split(sizes, order, middle, limits)
        if len(trial) <= groups:
            most, split = middle, trial
        else:
            least = middle
    return split


def _split(sizes: ExampleSizes, order: Sequence[int], most: float, limits: Limits) -> list[list[int]]:
    """Split ``order``, longest first, into groups within ``limits`` and, where they hold several, of ``most`` work."""
    split: list[list[int]] = []
    start = 0
    while start < len(order):
        longest = sizes.tokens[order[start]]
        room = min(
            len(order) - start if limits.examples is None else limits.examples,
            len(order) - start if limits.tokens is None else limits.tokens // longest,
        )
        size, cost, tokens = 1, sizes.cost[order[start]], longest
        while size < min(room, len(order) - start):
            following = order[start + size]
            cost, tokens = cost + sizes.cost[following], tokens + sizes.tokens[following]
            if cost / tokens * longest * (size + 1) > most:
                break
            size += 1
        split.append(list(order[start : start + size]))
        start += size
    return split


def _padded_cost(sizes: ExampleSizes, group: Sequence[int]) -> float:
    """Work of a group when its padding costs what its tokens cost."""
    tokens = [sizes.tokens[i] for i in group]
    return sum(sizes.cost[i] for i in group) / sum(tokens) * max(tokens) * len(group)
