"""Micro-batches in the order in which a process computes them, read and encoded ahead of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from s2h.training.batches import micro_batches, round_count, step_count, step_positions
from s2h.training.collate import IGNORED, Collator
from s2h.training.data import Mixture

_AHEAD = 4  # micro-batches that each loader process prepares


class Plan:
    """Which examples each process computes in each step and round: a function of the lengths alone.

    Where the mixture has images, every micro-batch gets one, if need be from an example that is not learned (the
    filler): all processes then run the vision tower equally often, and their gradients come in the same order. Without
    it ZeRO-3 waits for ever, and ZeRO-2, which adds up gradients as they come, adds those of different parameters.

    Args:
        tokens: of every example of the phase, ``int64[examples]``.
        shows: whether it has an image, ``bool[examples]``.
        batch_size: examples of a step, over all processes.
        micro_batch_size: most examples that a process computes at once.
        ranks: number of processes.
    """

    def __init__(
        self,
        tokens: NDArray[np.int64],
        shows: NDArray[np.bool_],
        *,
        batch_size: int,
        micro_batch_size: int,
        ranks: int,
    ) -> None:
        self.tokens, self.shows = tokens, shows
        self.batch_size, self.micro_batch_size, self.ranks = batch_size, micro_batch_size, ranks
        self.steps = step_count(len(tokens), batch_size)
        self.rounds = round_count(batch_size, ranks=ranks, micro_batch_size=micro_batch_size)
        self.filler = int(np.where(shows, tokens, np.iinfo(np.int64).max).argmin()) if shows.any() else None

    def positions(self, step: int) -> range:
        """Positions in the mixture of a step's examples."""
        return step_positions(step, examples=len(self.tokens), batch_size=self.batch_size)

    @lru_cache(maxsize=4)  # noqa: B019 - a plan lives as long as its training
    def groups(self, step: int) -> list[list[list[int]]]:
        """For each process its groups of positions, as many as there are rounds; some may be empty."""
        positions = self.positions(step)
        lengths = [int(length) for length in self.tokens[positions.start : positions.stop]]
        dealt = micro_batches(lengths, ranks=self.ranks, micro_batch_size=self.micro_batch_size)
        padded = [[*mine, *[[]] * (self.rounds - len(mine))] for mine in dealt]
        return [[[positions[i] for i in group] for group in mine] for mine in padded]

    def computed(self, group: Sequence[int], stand_in: int) -> list[int]:
        """The positions that are really computed for a group: a stand-in for none, and the filler where it is needed.

        Only the group itself is learned.
        """
        whole = [*group] or [stand_in]
        needed = self.filler is not None and not self.shows[whole].any()
        return [*whole, self.filler] if needed and self.filler is not None else whole

    def _all_groups(self) -> Iterator[list[int]]:
        """Every group of every step and process, with what is computed beside it."""
        for step in range(self.steps):
            for mine in self.groups(step):
                yield from (self.computed(group, self.positions(step)[0]) for group in mine)

    def padding(self) -> float:
        """The share of the tokens computed that no example is made of: padding, stand-ins and fillers."""
        computed = sum(len(group) * int(self.tokens[group].max()) for group in self._all_groups())
        return 1 - int(self.tokens.sum()) / computed

    def largest(self) -> list[int]:
        """The micro-batch with the most tokens, padding included: what needs the most memory."""
        return max(self._all_groups(), key=lambda group: len(group) * int(self.tokens[group].max()))


class MicroBatches(Dataset[dict[str, Tensor]]):
    """A process's micro-batches from a step on, one after the other.

    Args:
        mixture: the examples.
        collator: makes tensors of them.
        plan: what is computed when.
        rank: number of the process.
        first: the step to begin with.
    """

    def __init__(self, mixture: Mixture, collator: Collator, plan: Plan, *, rank: int, first: int) -> None:
        self.mixture, self.collator, self.plan, self.rank, self.first = mixture, collator, plan, rank, first

    def __len__(self) -> int:
        return (self.plan.steps - self.first) * self.plan.rounds

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        step, place = divmod(index, self.plan.rounds)
        group = self.plan.groups(self.first + step)[self.rank][place]
        return self.batch(group, self.plan.positions(self.first + step)[0])

    def batch(self, group: Sequence[int], stand_in: int) -> dict[str, Tensor]:
        """The tensors of a group; what is computed beside it is not learned."""
        tensors = self.collator([self.mixture[position] for position in self.plan.computed(group, stand_in)])
        tensors["labels"][len(group) :] = IGNORED
        return tensors


def load_ahead(batches: MicroBatches, *, processes: int, pin_memory: bool) -> Iterator[dict[str, Tensor]]:
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
