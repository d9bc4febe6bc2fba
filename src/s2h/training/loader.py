"""Micro-batches in the order in which a process computes them, read and encoded ahead of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from s2h.training.batches import Limits, StepSizes, count_grad_accum_steps, micro_batches, step_count, step_positions
from s2h.training.collate import IGNORED, Collator
from s2h.training.data import Mixture
from s2h.training.inspection import Lengths
from s2h.training.losses import with_targets

_AHEAD = 4  # micro-batches that each loader process prepares


class BatchPlan:
    """Which examples each process computes in each step and round: a function of their lengths and work alone.

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
        self.grad_accum_steps = max(
            count_grad_accum_steps(each, world_size=world_size, limits=limits) for each in sizes
        )
        self._dealt = [
            micro_batches(each, world_size=world_size, grad_accum_steps=self.grad_accum_steps, limits=limits)
            for each in sizes
        ]
        self.placeholder = int(lengths.tokens.argmin())

    def positions(self, step: int) -> range:
        """Positions in the mixture of a step's examples."""
        return step_positions(step, examples=len(self.lengths.tokens), batch_size=self.batch_size)

    def _sizes(self, step: int) -> StepSizes:
        chosen = self.positions(step)
        tokens, cost = (each[chosen.start : chosen.stop].tolist() for each in (self.lengths.tokens, self.cost))
        return StepSizes(tokens, cost)

    def groups(self, step: int) -> list[list[list[int]]]:
        """For each process its groups of positions, as many as there are rounds; some may be empty."""
        positions = self.positions(step)
        return [[[positions[i] for i in group] for group in mine] for mine in self._dealt[step]]

    def computed(self, group: Sequence[int]) -> list[int]:
        """The positions that are really computed for a group: where it is empty the shortest example, not learned."""
        return [*group] or [self.placeholder]

    def _all_groups(self) -> Iterator[list[int]]:
        """Every group of every step and process, as it is computed."""
        for step in range(self.steps):
            for mine in self.groups(step):
                yield from map(self.computed, mine)

    def padding(self) -> float:
        """The share of the tokens computed that no example is made of: padding and stand-ins."""
        tokens = self.lengths.tokens
        computed = sum(len(group) * int(tokens[group].max()) for group in self._all_groups())
        return 1 - int(tokens.sum()) / computed

    def waiting(self) -> float:
        """The share of their time for which processes would wait for the slowest of each round."""
        slowest = 0.0
        for step in range(self.steps):
            rows = zip(*self.groups(step), strict=True)
            slowest += sum(max(float(self.cost[group].sum()) for group in row) for row in rows)
        return 1 - float(self.cost.sum()) / (slowest * self.world_size)

    def largest(self) -> list[list[int]]:
        """The micro-batches that need the most memory: the most tokens with padding, target tokens, pixels."""
        tokens, targets, pixels = self.lengths.tokens, self.lengths.targets, self.lengths.pixels
        groups = list(self._all_groups())
        found = [
            max(groups, key=lambda group: len(group) * int(tokens[group].max())),
            max(groups, key=lambda group: int(targets[group].sum())),
            max(groups, key=lambda group: int(pixels[group].sum())),
        ]
        return [group for place, group in enumerate(found) if group not in found[:place]]


class MicroBatches(Dataset[dict[str, Tensor]]):
    """A process's micro-batches from a step on, one after the other.

    Args:
        mixture: the examples.
        collator: makes tensors of them.
        plan: what is computed when.
        rank: number of the process.
        first: the step to begin with.
    """

    def __init__(self, mixture: Mixture, collator: Collator, plan: BatchPlan, *, rank: int, first: int) -> None:
        self.mixture, self.collator, self.plan, self.rank, self.first = mixture, collator, plan, rank, first

    def __len__(self) -> int:
        return (self.plan.steps - self.first) * self.plan.grad_accum_steps

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        step, place = divmod(index, self.plan.grad_accum_steps)
        return self.batch(self.plan.groups(self.first + step)[self.rank][place])

    def batch(self, group: Sequence[int]) -> dict[str, Tensor]:
        """The tensors of a group; a stand-in is not learned."""
        tensors = self.collator([self.mixture[position] for position in self.plan.computed(group)])
        tensors["labels"][len(group) :] = IGNORED
        return with_targets(tensors)


def prefetch(batches: MicroBatches, *, processes: int, pin_memory: bool) -> Iterator[dict[str, Tensor]]:
    """The micro-batches in their order, prepared by ``processes`` processes ahead of time; by this one if 0.

    Args:
        batches: what is to be prepared.
        processes: beside this one.
        pin_memory: put tensors where a GPU can fetch them by itself.
    """
    options: dict[str, Any] = {}
    if processes:
        options = {"prefetch_factor": _AHEAD, "multiprocessing_context": "spawn"}
    loader = DataLoader(batches, batch_size=None, num_workers=processes, pin_memory=pin_memory, **options)
    return iter(loader)
