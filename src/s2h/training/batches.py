"""Which examples an optimizer step holds, and which process computes them: a function of the mixture's order alone."""

from __future__ import annotations

import math
from collections.abc import Sequence


def step_count(examples: int, batch_size: int) -> int:
    """Optimizer steps of a phase; the last one may be smaller."""
    return math.ceil(examples / batch_size)


def step_positions(step: int, *, examples: int, batch_size: int) -> range:
    """Positions in the mixture of the examples of an optimizer step."""
    return range(step * batch_size, min((step + 1) * batch_size, examples))


def micro_batches(lengths: Sequence[int], *, ranks: int, micro_batch_size: int) -> list[list[list[int]]]:
    """Deal the examples of a step to the processes, in groups of like length.

    The examples are sorted by length and cut into groups, the groups dealt back and forth, so that little padding is
    computed and all processes finish together. Every process gets the same number of groups; where there are fewer
    examples than groups, some are empty.

    Args:
        lengths: length of each example of the step, in any unit.
        ranks: number of processes.
        micro_batch_size: most examples in a group.

    Returns:
        For each process its groups, each a list of places in ``lengths``.
    """
    rounds = max(math.ceil(len(lengths) / (ranks * micro_batch_size)), 1)
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    if rounds == 1:  # a group each: the processes take turns, so that none gets all the long ones
        return [[order[rank::ranks]] for rank in range(ranks)]
    groups = rounds * ranks
    cuts = [len(order) * g // groups for g in range(groups + 1)]
    dealt: list[list[list[int]]] = [[] for _ in range(ranks)]
    for g in range(groups):
        turn, place = divmod(g, ranks)
        rank = place if turn % 2 == 0 else ranks - 1 - place
        dealt[rank].append(order[cuts[g] : cuts[g + 1]])
    return dealt
