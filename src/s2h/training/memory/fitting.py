"""Whether a training fits the memory of its machine before its first step, and whether activations are recomputed."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import psutil
import torch
import torch.distributed as dist
from torch import Tensor

from s2h.errors import TrainingError
from s2h.logs import LOGGER
from s2h.phases import ModelPart
from s2h.training.deepspeed_config import offloads_optimizer, zero_stage
from s2h.training.job import Job
from s2h.training.losses import ForwardPass
from s2h.training.memory.activations import measure_peak
from s2h.training.memory.zero import MemoryEstimate, ParameterCounts, estimate_memory
from s2h.training.model import weightless_trainable
from s2h.training.processes import local_world_size

_GIB = 2**30
_USABLE = 0.95  # of a GPU's free memory: torch's allocator, NCCL and kernels take some beside what is counted


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """The memory and processes available to a training run.

    Attributes:
        gpu: bytes that are free on a GPU; None for a training on the CPU.
        host: bytes of the node's memory that are free.
        world_size: processes that train together.
        local_world_size: of these on one node.
    """

    gpu: float | None
    host: float
    world_size: int
    local_world_size: int

    @classmethod
    def here(cls, device: torch.device) -> Machine:
        """The machine of this process, which has joined the process group."""
        gpu = torch.cuda.mem_get_info(device)[0] * _USABLE if device.type == "cuda" else None
        return cls(gpu, psutil.virtual_memory().available, dist.get_world_size(), local_world_size())


def recomputes(
    job: Job,
    config: dict[str, Any],
    batches: Sequence[dict[str, Tensor]],
    *,
    frozen: Collection[ModelPart],
    machine: Machine,
) -> bool:
    """Whether activations are to be computed again in the backward pass, as the settings or the memory ask for it.

    Args:
        job: what is trained.
        config: DeepSpeed's, as ``read_config`` gives it.
        batches: the largest micro-batches, as ``collate.with_targets`` gives them; what they take is measured for GPUs
            alone.
        frozen: parts that do not learn.
        machine: that trains.

    Raises:
        TrainingError: the training does not fit either way.
    """
    setting = job.settings.gradient_checkpointing
    for recompute in (False, True) if setting == "auto" else (bool(setting),):
        measured = batches if machine.gpu else []
        estimate = memory_needed(job, config, measured, frozen=frozen, recompute=recompute, machine=machine)
        problem = _problem(estimate, machine, offloads=offloads_optimizer(config))
        way = "computed again in the backward pass" if recompute else "kept"
        LOGGER.info("with activations %s: %s", way, problem or f"{_summary(estimate, machine)}: it fits")
        if not problem:
            return recompute
    raise TrainingError(f"training {job.base} {problem}: {memory_advice(config)}.")


def memory_needed(
    job: Job,
    config: dict[str, Any],
    batches: Sequence[dict[str, Tensor]],
    *,
    frozen: Collection[ModelPart],
    recompute: bool,
    machine: Machine,
) -> MemoryEstimate:
    """The memory that a training run takes, with activations kept or recomputed; see ``recomputes``."""
    activations = []
    for batch in batches:
        model = weightless_trainable(job, frozen=frozen, recompute=recompute)
        forward_pass = ForwardPass(model)
        try:
            peak = measure_peak(model, batch, lambda m, b, run=forward_pass: run.loss(m, b, torch.device("cpu")))  # type: ignore[misc]
        except Exception as error:  # any family may do what no other does
            LOGGER.warning("what a micro-batch takes cannot be measured (%s); trying it will tell", error)
            break
        activations.append(peak.activations)
    sizes = ParameterCounts.of(weightless_trainable(job, frozen=frozen, recompute=recompute))
    return estimate_memory(
        sizes,
        config,
        activations=max(activations, default=0),
        world_size=machine.world_size,
        local_world_size=machine.local_world_size,
    )


def _problem(estimate: MemoryEstimate, machine: Machine, *, offloads: bool) -> str:
    """The part that does not fit into memory, as text; empty where all does."""
    host = estimate.host
    if not machine.gpu:
        host = estimate.gpu * machine.local_world_size + (estimate.host if offloads else 0)
    if machine.gpu and estimate.gpu > machine.gpu:
        return f"needs {estimate.gpu / _GIB:.1f} GiB of each GPU, of which {machine.gpu / _GIB:.1f} GiB can be used"
    if host > machine.host:
        return f"needs {host / _GIB:.1f} GiB of the machine's memory, of which {machine.host / _GIB:.1f} GiB are free"
    return ""


def _summary(estimate: MemoryEstimate, machine: Machine) -> str:
    each = f"{estimate.gpu / _GIB:.2f} GiB of each {'GPU' if machine.gpu else 'process'}"
    return f"{each}, {estimate.host / _GIB:.2f} GiB of the machine" if machine.gpu else each


def memory_advice(config: dict[str, Any]) -> str:
    """Advice on what to change when memory does not suffice, the least costly first."""
    zero3 = ", spread the weights too (training.deepspeed: config/deepspeed/zero3.json)"
    spread = "" if zero_stage(config) == 3 else zero3
    return (
        "lower training.micro_batch_tokens or micro_batch_size, set training.gradient_checkpointing"
        f"{spread}, use more GPUs, let the machine's memory help (config/deepspeed/zero2_offload.json, "
        "zero3_offload.json), or train adapters (training.lora)"
    )
