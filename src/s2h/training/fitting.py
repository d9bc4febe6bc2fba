"""Whether a training fits the memory of its machine before its first step, and whether activations are recomputed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Sequence
from typing import Any

import psutil
import torch
import torch.distributed as dist
from torch import Tensor

from s2h.errors import TrainingError
from s2h.logs import LOGGER
from s2h.models.adapters import with_adapters
from s2h.models.loading import fastest_attention, weightless_model
from s2h.models.parts import freeze, linear_layers
from s2h.models.settings import TrainingSettings
from s2h.phases import ModelPart
from s2h.training.job import Job
from s2h.training.losses import ForwardPass
from s2h.training.memory import MemoryEstimate, ParameterCounts, estimate_memory
from s2h.training.peak import measure

_GIB = 2**30
_USABLE = 0.95  # of a GPU's free memory: torch's allocator, NCCL and kernels take some beside what is counted


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """What a training finds.

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
        """This one, in a process that has joined the others."""
        gpu = torch.cuda.mem_get_info(device)[0] * _USABLE if device.type == "cuda" else None
        beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        return cls(gpu, psutil.virtual_memory().available, dist.get_world_size(), beside)


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
        batches: the largest micro-batches, as ``with_targets`` gives them; what they take is measured for GPUs alone.
        frozen: parts that do not learn.
        machine: that trains.

    Raises:
        TrainingError: the training does not fit either way.
    """
    asked = job.settings.gradient_checkpointing
    for recompute in (False, True) if asked == "auto" else (bool(asked),):
        found = measure_memory(
            job, config, batches if machine.gpu else [], frozen=frozen, recompute=recompute, machine=machine
        )
        problem = _problem(found, machine, offloads=offloads(config))
        way = "computed again in the backward pass" if recompute else "kept"
        LOGGER.info("with activations %s: %s", way, problem or f"{_summary(found, machine)}: it fits")
        if not problem:
            return recompute
    raise TrainingError(f"training {job.base} {problem}: {memory_advice(config)}.")


def measure_memory(
    job: Job,
    config: dict[str, Any],
    batches: Sequence[dict[str, Tensor]],
    *,
    frozen: Collection[ModelPart],
    recompute: bool,
    machine: Machine,
) -> MemoryEstimate:
    """What a training takes, with activations that are kept or computed again; see ``recomputes``."""
    activations = []
    for batch in batches:
        model = _weightless(job, frozen, recompute=recompute)
        forward_pass = ForwardPass(model)
        try:
            peak = measure(model, batch, lambda m, b, run=forward_pass: run.loss(m, b, torch.device("cpu")))  # type: ignore[misc]
        except Exception as error:  # any family may do what no other does
            LOGGER.warning("what a micro-batch takes cannot be measured (%s); trying it will tell", error)
            break
        activations.append(peak.activations)
    sizes = ParameterCounts.of(_weightless(job, frozen, recompute=recompute))
    return estimate_memory(
        sizes,
        config,
        activations=max(activations, default=0),
        world_size=machine.world_size,
        local_world_size=machine.local_world_size,
    )


def _weightless(job: Job, frozen: Collection[ModelPart], *, recompute: bool) -> Any:
    """The model of a job as it is trained, without weights."""
    settings = job.settings
    attention = fastest_attention("cuda") if settings.attention == "auto" else settings.attention
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    model = weightless_model(job.base, dtype=dtype, attn_implementation="sdpa" if "flash" in attention else attention)
    with torch.device("meta"):
        return prepare_model(model, settings, frozen=frozen, recompute=recompute)[0]


def prepare_model(
    model: Any, settings: TrainingSettings, *, frozen: Collection[ModelPart], recompute: bool
) -> tuple[Any, dict[ModelPart, tuple[int, int]]]:
    """A model as it is trained: parts frozen, with adapters, activations kept or not; and what ``freeze`` says."""
    counts = freeze(model, frozen)
    if settings.lora:
        model = with_adapters(model, settings.lora, linear_layers(model, frozen))
    if recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.train(), counts


def offloads(config: dict[str, Any]) -> bool:
    """Whether DeepSpeed keeps the optimizer in the machine's memory."""
    place = config.get("zero_optimization", {}).get("offload_optimizer", {}).get("device", "none")
    return str(place) != "none"


def _problem(found: MemoryEstimate, machine: Machine, *, offloads: bool) -> str:
    """What does not fit; empty where all does."""
    host = found.host if machine.gpu else found.gpu * machine.local_world_size + found.host * offloads
    if machine.gpu and found.gpu > machine.gpu:
        return f"needs {found.gpu / _GIB:.1f} GiB of each GPU, of which {machine.gpu / _GIB:.1f} GiB can be used"
    if host > machine.host:
        return f"needs {host / _GIB:.1f} GiB of the machine's memory, of which {machine.host / _GIB:.1f} GiB are free"
    return ""


def _summary(found: MemoryEstimate, machine: Machine) -> str:
    each = f"{found.gpu / _GIB:.2f} GiB of each {'GPU' if machine.gpu else 'process'}"
    return f"{each}, {found.host / _GIB:.2f} GiB of the machine" if machine.gpu else each


def memory_advice(config: dict[str, Any]) -> str:
    """What to change when memory does not suffice, the least painful first."""
    stage = int(config.get("zero_optimization", {}).get("stage", 0))
    spread = "" if stage == 3 else ", spread the weights too (training.deepspeed: config/deepspeed/zero3.json)"
    return (
        "lower training.micro_batch_tokens or micro_batch_size, set training.gradient_checkpointing"
        f"{spread}, use more GPUs, let the machine's memory help (config/deepspeed/zero2_offload.json, "
        "zero3_offload.json), or train adapters (training.lora)"
    )
