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

    Args:
        tokens: of every example of the phase, ``int64[examples]``.
        batch_size: examples of a step, over all processes.
        micro_batch_size: most examples that a process computes at once.
        ranks: number of processes.
    """

    def __init__(self, tokens: NDArray[np.int64], *, batch_size: int, micro_batch_size: int, ranks: int) -> None:
        self.tokens, self.batch_size, self.micro_batch_size, self.ranks = tokens, batch_size, micro_batch_size, ranks
        self.steps = step_count(len(tokens), batch_size)
        self.rounds = round_count(batch_size, ranks=ranks, micro_batch_size=micro_batch_size)

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

    def padding(self) -> float:
        """The share of all tokens computed that is padding."""
        computed = sum(
            len(group) * int(self.tokens[group].max())
            for step in range(self.steps)
            for mine in self.groups(step)
            for group in mine
            if group
        )
        return 1 - int(self.tokens.sum()) / computed

    def largest(self) -> list[int]:
        """The micro-batch with the most tokens, padding included: what needs the most memory."""
        groups = (group for step in range(self.steps) for mine in self.groups(step) for group in mine if group)
        return max(groups, key=lambda group: len(group) * int(self.tokens[group].max()))


class MicroBatches(Dataset[dict[str, Tensor]]):
    """A process's micro-batches from a step on, one after the other.

    Args:
        mixture: the examples.
        collator: makes tensors of them.
        plan: what is computed when.
        rank: number of the process.
        first: the step to begin with.
        always_images: give every micro-batch an image where the mixture has any. Under ZeRO-3 all processes must run
            the vision tower equally often, or they wait for each other for ever.
    """

    def __init__(
        self, mixture: Mixture, collator: Collator, plan: Plan, *, rank: int, first: int, always_images: bool
    ) -> None:
        self.mixture, self.collator, self.plan, self.rank, self.first = mixture, collator, plan, rank, first
        shows = (mixture.frame["image_shard"] != "").to_numpy()
        shortest = np.where(shows, plan.tokens, np.iinfo(np.int64).max).argmin()
        self.filler = int(shortest) if always_images and shows.any() else None

    def __len__(self) -> int:
        return (self.plan.steps - self.first) * self.plan.rounds

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        step, place = divmod(index, self.plan.rounds)
        group = self.plan.groups(self.first + step)[self.rank][place]
        return self.batch(group, self.plan.positions(self.first + step)[0])

    def batch(self, group: Sequence[int], stand_in: int) -> dict[str, Tensor]:
        """The tensors of a group; one without examples computes ``stand_in`` and learns nothing from it."""
        examples = [self.mixture[position] for position in group or [stand_in]]
        learning = len(examples) if group else 0
        if self.filler is not None and not any(example.image for example in examples):
            examples.append(self.mixture[self.filler])
        tensors = self.collator(examples)
        tensors["labels"][learning:] = IGNORED
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
