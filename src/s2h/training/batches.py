"""Which examples an optimizer step holds, and which process computes them: a function of the mixture's order alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

_CLOSE = 1.01  # groups are as even as they can be, but for one per cent


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What one micro-batch may hold.

    Attributes:
        examples: most examples; None for any number.
        tokens: most tokens, padding included; None for any number. An example that is longer is computed alone.
    """

    examples: int | None = None
    tokens: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class StepSizes:
    """The examples of a step.

    Attributes:
        tokens: of each example, at least 1.
        cost: arithmetic of each example in any unit, above 0.
    """

    tokens: Sequence[int]
    cost: Sequence[float]

    @classmethod
    def from_tokens(cls, tokens: Sequence[int]) -> StepSizes:
        """Examples whose work is that of their tokens."""
        return cls(tokens, [float(number) for number in tokens])


def step_count(examples: int, batch_size: int) -> int:
    """Optimizer steps of a phase; the last one may be smaller."""
    return math.ceil(examples / batch_size)


def step_positions(step: int, *, examples: int, batch_size: int) -> range:
    """Positions in the mixture of the examples of an optimizer step."""
    return range(step * batch_size, min((step + 1) * batch_size, examples))


def count_grad_accum_steps(sizes: StepSizes, *, world_size: int, limits: Limits) -> int:
    """Micro-batches that each process needs for a step: its rounds of gradient accumulation."""
    return math.ceil(len(_cut(sizes, _longest_first(sizes), math.inf, limits)) / world_size)


def micro_batches(sizes: StepSizes, *, world_size: int, grad_accum_steps: int, limits: Limits) -> list[list[list[int]]]:
    """Deal the examples of a step to the processes, in groups of like length and equal work.

    The examples are sorted by length and cut into groups so that the group with the most work, padding included, has
    as little as can be. Groups of like work are computed in the same round: processes wait for each other after each.

    Args:
        sizes: of the examples of the step.
        world_size: number of processes.
        grad_accum_steps: groups of each process, at least as many as ``count_grad_accum_steps`` says.
        limits: of a group.

    Returns:
        For each process its groups, each a list of places in ``sizes``; some are empty where there are few examples.
    """
    order = _longest_first(sizes)
    cut = _even_cut(sizes, order, world_size * grad_accum_steps, limits)
    cut.sort(key=lambda group: -_padded_cost(sizes, group))
    cut += [[]] * (world_size * grad_accum_steps - len(cut))
    rows = [cut[start : start + world_size] for start in range(0, len(cut), world_size)]
    # Back and forth, so that no process gets the heavier group of every round.
    turned = [row if turn % 2 == 0 else row[::-1] for turn, row in enumerate(rows)]
    return [[row[rank] for row in turned] for rank in range(world_size)]


def _longest_first(sizes: StepSizes) -> list[int]:
    return sorted(range(len(sizes.tokens)), key=lambda i: (-sizes.tokens[i], i))


def _even_cut(sizes: StepSizes, order: Sequence[int], groups: int, limits: Limits) -> list[list[int]]:
    """At most ``groups`` groups, of which the largest is as small as can be."""
    least = max(max(sizes.cost), sum(sizes.cost) / groups)
    most = least
    while len(cut := _cut(sizes, order, most, limits)) > groups:
        least, most = most, most * 1.2
        if math.isinf(most):
            raise ValueError(f"{len(order)} examples do not fit into {groups} groups of {limits}")
    while most > least * _CLOSE:
        middle = (least + most) / 2
        found = _cut(sizes, order, middle, limits)
        if len(found) <= groups:
            most, cut = middle, found
        else:
            least = middle
    return cut


def _cut(sizes: StepSizes, order: Sequence[int], most: float, limits: Limits) -> list[list[int]]:
    """Cut ``order``, longest first, into groups within ``limits`` and, where they hold several, of ``most`` work."""
    cut: list[list[int]] = []
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
        cut.append(list(order[start : start + size]))
        start += size
    return cut


def _padded_cost(sizes: StepSizes, group: Sequence[int]) -> float:
    """Work of a group when its padding costs what its tokens cost."""
    tokens = [sizes.tokens[i] for i in group]
    return sum(sizes.cost[i] for i in group) / sum(tokens) * max(tokens) * len(group)
