"""The data of a phase: from the file of its mixture to the micro-batches of a process.

A row of the mixture becomes an example (``supervision.examples``), then token ids and a loss mask
(``tokenisation.encoding``), and with others the tensors of a micro-batch (``collate``), in the order that ``batches``
plans.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from s2h.errors import ModelError
from s2h.logs import LOGGER
from s2h.models.loading import load_processor, needs_mask
from s2h.phases import ModelPart
from s2h.supervision.examples import Mixture
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.training.batches import BatchPlan, Limits
from s2h.training.collate import IGNORED, Collator, RandomPositions, with_targets
from s2h.training.flops import FlopModel
from s2h.training.inspection import check_targets, inspect
from s2h.training.interruptions import ignore_interruptions
from s2h.training.job import Job
from s2h.training.processes import from_rank_0, log_on_rank_0, node_names

_PREFETCHED = 4  # micro-batches that each loader process prepares ahead


@dataclasses.dataclass(frozen=True, slots=True)
class StepCounts:
    """The sizes of a step, over all processes.

    Attributes:
        tokens: of its examples, image tokens included.
        targets: of these the ones in the loss.
        flops: of its forward and backward passes; None where they cannot be counted.
    """

    tokens: int
    targets: int
    flops: float | None


class PhaseData:
    """The examples of a phase, inspected, and planned as micro-batches of all processes, which must all make it.

    Args:
        job: what is trained.

    Attributes:
        processor: of the model.
        lengths: of the examples that are trained on.
        dropped: how many were too long.
        frozen: parts of the model that do not learn; vision and projector among them where no example has an image.
        flops: of each example, ``float64[examples]``; None where they cannot be counted.
        plan: which process computes what when.
        padding: share of the tokens computed that no example is made of.

    Raises:
        DataError: the mixture cannot be read.
        ModelError: the base has no processor that takes images.
        TrainingError: the examples cannot be trained on as the settings ask.
    """

    def __init__(self, job: Job) -> None:
        settings, encoder = job.settings, _encoder(job)
        self.processor = encoder.processor
        self._mixture, self.lengths, self.dropped = inspect(Mixture.read(job.mixture), encoder, settings)
        shifts = _random_positions(job, len(self._mixture))
        self._collator = Collator(encoder, random_positions=shifts, masks=needs_mask(job.base))
        check_targets(self._mixture[0], self._collator)
        self.frozen: set[ModelPart] = {*job.frozen, *(() if self.has_images else ("vision", "projector"))}
        self.flops = self._count_flops(job)
        self.plan = BatchPlan(
            self.lengths,
            cost=self.flops,
            batch_size=settings.batch_size,
            limits=Limits(settings.micro_batch_size, settings.micro_batch_tokens),
            world_size=dist.get_world_size(),
        )
        self.padding = self.plan.padding()
        self._log()

    @property
    def has_images(self) -> bool:
        """Whether any example has an image."""
        return bool(self.lengths.pixels.any())

    def counts(self, step: int) -> StepCounts:
        """Tokens and FLOPs of a step."""
        positions = self.plan.positions(step)
        here = slice(positions.start, positions.stop)
        return StepCounts(
            tokens=int(self.lengths.tokens[here].sum()),
            targets=int(self.lengths.targets[here].sum()),
            flops=None if self.flops is None else float(self.flops[here].sum()),
        )

    def batches(self, *, first: int, num_workers: int, pin_memory: bool) -> Iterator[dict[str, Tensor]]:
        """This process's micro-batches in their order, as ``with_targets`` gives them.

        Args:
            first: the step to begin with.
            num_workers: processes beside this one that prepare them ahead of time; this one does if 0.
            pin_memory: put tensors where a GPU can fetch them by itself.
        """
        return prefetch(self._micro_batches(first), num_workers=num_workers, pin_memory=pin_memory)

    def largest(self) -> Iterator[dict[str, Tensor]]:
        """The micro-batches of all steps and processes that need the most memory."""
        micro_batches = self._micro_batches(0)
        return map(micro_batches.batch, self.plan.largest())

    def _micro_batches(self, first: int) -> MicroBatches:
        return MicroBatches(self._mixture, self._collator, self.plan, rank=dist.get_rank(), first=first)

    def _count_flops(self, job: Job) -> NDArray[np.float64] | None:
        """The first process counts for all of them, so that all deal the examples in the same way."""
        work = from_rank_0(lambda: _work(job, self.processor, self.frozen))
        return work.flops(self.lengths.tokens, self.lengths.targets, self.lengths.pixels) if work else None

    def _log(self) -> None:
        nodes = ", ".join(node_names())
        log_on_rank_0(
            "%d examples, %d tokens (%d in the loss) in %d steps of %d micro-batches on %d processes of the nodes %s; "
            "%.1f %% is padding; processes wait for each other %.1f %% of their time",
            *(len(self._mixture), self.lengths.tokens.sum(), self.lengths.targets.sum(), self.plan.steps),
            *(self.plan.grad_accum_steps, self.plan.world_size, nodes),
            *(100 * self.padding, 100 * self.plan.waiting()),
        )


def _encoder(job: Job) -> ExampleEncoder:
    truncates = job.settings.on_overlength == "truncate"
    processor = load_processor(job.base, **job.processor_options)
    return ExampleEncoder(processor, max_length=job.settings.max_length if truncates else None)


def _random_positions(job: Job, examples: int) -> RandomPositions | None:
    most = job.settings.random_positions
    return RandomPositions(most=most, examples=examples, seed=job.seed) if most else None


def _work(job: Job, processor: Any, frozen: set[ModelPart]) -> FlopModel | None:
    try:
        return FlopModel.of(job.base, processor, frozen=frozen, lora=job.settings.lora)
    except ModelError as error:
        LOGGER.warning("%s: there will be no TFLOP/s and no MFU", error)
        return None


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
        """The tensors of a group; a placeholder is masked out of the loss."""
        tensors = self.collator([self.mixture[position] for position in self.plan.computed(group)])
        tensors["labels"][len(group) :] = IGNORED
        return with_targets(tensors)


def prefetch(batches: MicroBatches, *, num_workers: int, pin_memory: bool) -> Iterator[dict[str, Tensor]]:
    """The micro-batches in their order, prepared by other processes ahead of time; see ``PhaseData.batches``."""
    options: dict[str, Any] = {}
    if num_workers:
        options = {
            "prefetch_factor": _PREFETCHED,
            "multiprocessing_context": "spawn",
            "worker_init_fn": ignore_interruptions,
        }
    loader = DataLoader(batches, batch_size=None, num_workers=num_workers, pin_memory=pin_memory, **options)
    return iter(loader)
