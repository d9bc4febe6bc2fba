"""Which examples an optimizer step holds, and which process computes them: a function of the mixture's order alone."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence


def step_count(examples: int, batch_size: int) -> int:
    """Optimizer steps of a phase; the last one may be smaller."""
    return math.ceil(examples / batch_size)


def step_positions(step: int, *, examples: int, batch_size: int) -> range:
    """Positions in the mixture of the examples of an optimizer step."""
    return range(step * batch_size, min((step + 1) * batch_size, examples))


def round_count(batch_size: int, *, ranks: int, micro_batch_size: int) -> int:
    """Micro-batches that each process computes for a step: its rounds of gradient accumulation."""
    return max(math.ceil(batch_size / (ranks * micro_batch_size)), 1)


def micro_batches(lengths: Sequence[int], *, ranks: int, micro_batch_size: int) -> list[list[list[int]]]:
    """Deal the examples of a step to the processes, in groups of like length.

    The examples are sorted by length and cut into groups so that the largest group, padding included, is as small as
    it can be: many short examples weigh as much as few long ones, and all processes finish together. Every process
    gets the same number of groups; where there are fewer examples than groups, some are empty.

    Args:
        lengths: length of each example of the step, in any unit, at least 1.
        ranks: number of processes.
        micro_batch_size: most examples in a group.

    Returns:
        For each process its groups, each a list of places in ``lengths``.
    """
    groups = ranks * round_count(len(lengths), ranks=ranks, micro_batch_size=micro_batch_size)
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    longest = lengths[order[0]]
    weights = range(longest, longest * micro_batch_size + 1)
    least = bisect.bisect_left(
        weights, True, key=lambda weight: len(_cut(lengths, order, weight, micro_batch_size)) <= groups
    )
    cut = _cut(lengths, order, weights[least], micro_batch_size)
    cut += [[]] * (groups - len(cut))
    # Back and forth, so that no process gets the heavier group of every round.
    rounds = [cut[start : start + ranks] for start in range(0, groups, ranks)]
    turned = [row if turn % 2 == 0 else row[::-1] for turn, row in enumerate(rounds)]
    return [[row[rank] for row in turned] for rank in range(ranks)]


def _cut(lengths: Sequence[int], order: Sequence[int], weight: int, most: int) -> list[list[int]]:
    """Cut ``order``, longest first, into groups of at most ``most`` examples and ``weight`` tokens with padding."""
    cut: list[list[int]] = []
    start = 0
    while start < len(order):
        size = min(weight // lengths[order[start]], most)
        cut.append(list(order[start : start + size]))
        start += size
    return cut
