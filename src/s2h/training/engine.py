"""The model inside DeepSpeed: loaded, frozen where it should not learn, with its optimizer and schedule."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import deepspeed
import torch
from transformers.integrations import HfDeepSpeedConfig

from s2h.errors import ConfigError
from s2h.logs import LOGGER
from s2h.models.kernels import choose_kernels
from s2h.models.loading import fastest_attention, load_model
from s2h.models.settings import TrainingSettings
from s2h.phases import ModelPart
from s2h.training.fitting import offloads, prepare_model
from s2h.training.job import Job
from s2h.training.losses import ForwardPass, dummy_image
from s2h.training.schedule import rate


def read_config(settings: TrainingSettings, *, grad_accum_steps: int) -> dict[str, Any]:
    """DeepSpeed's settings: those of the file, with what the study decides filled in.

    Args:
        settings: how to train.
        grad_accum_steps: micro-batches of a process in a step.

    Raises:
        ConfigError: the file cannot be read, or does not go with the settings.
    """
    path = Path(settings.deepspeed)
    try:
        config: dict[str, Any] = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise ConfigError(f"training.deepspeed names {path}, which cannot be read: {error}") from None
    if settings.lora and zero_stage(config) == 3:
        raise ConfigError("lora is merged into whole weights, which ZeRO-3 does not hold: use a ZeRO-2 file.")
    return config | {
        "train_micro_batch_size_per_gpu": 1,  # read by nothing that runs here: the loader deals micro-batches
        "gradient_accumulation_steps": grad_accum_steps,
        "gradient_clipping": settings.max_grad_norm,
        "bf16": {"enabled": settings.precision == "bf16"},
        "steps_per_print": 2**31,
    }


def zero_stage(config: dict[str, Any]) -> int:
    """How much DeepSpeed spreads over the processes: 2 optimizer and gradients, 3 the weights too."""
    return int(config.get("zero_optimization", {}).get("stage", 0))


@dataclasses.dataclass(frozen=True, slots=True)
class Built:
    """A model that is ready to be trained.

    Attributes:
        engine: of DeepSpeed.
        forward_pass: computes the loss of a micro-batch.
        kernels: what computes norms and feed-forward layers, ``liger`` or ``plain``.
    """

    engine: Any
    forward_pass: ForwardPass
    kernels: str


def build(
    job: Job,
    config: dict[str, Any],
    processor: Any,
    *,
    device: str,
    steps: int,
    frozen: Collection[ModelPart],
    uses_images: bool,
    recompute: bool,
) -> Built:
    """The model of a job in DeepSpeed's engine.

    Args:
        job: what is trained.
        config: what ``read_config`` gave.
        processor: of the model.
        device: ``cuda`` or ``cpu``.
        steps: optimizer steps of the phase.
        frozen: parts that do not learn; vision and projector among them where no example has an image.
        uses_images: whether any example has an image.
        recompute: recompute activations in the backward pass.
    """
    settings = job.settings
    if offloads(config):  # the optimizer steps on the CPU, where a process has one thread otherwise
        torch.set_num_threads(max(len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")), 1))
    # Weights are spread over the processes while they are loaded, as long as this object lives.
    keep = HfDeepSpeedConfig(config) if zero_stage(config) == 3 else None
    attention = fastest_attention(device) if settings.attention == "auto" else settings.attention
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    model = load_model(job.base, dtype=dtype, attention=attention)
    del keep
    kernels = choose_kernels(model, settings, device=device)
    model, counts = prepare_model(model, settings, frozen=frozen, recompute=recompute)
    _log_parts(counts)
    needs_dummy_image = uses_images and (zero_stage(config) == 3 or not {"vision", "projector"} <= set(frozen))
    forward_pass = ForwardPass(model, dummy_image(processor) if needs_dummy_image else None)
    optimizer = _optimizer(model, settings, device=device)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps=steps, settings=settings))
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, lr_scheduler=schedule, config=config)
    return Built(engine, forward_pass, kernels)


def _optimizer(model: Any, settings: TrainingSettings, *, device: str) -> torch.optim.Optimizer:
    """AdamW of all that learns."""
    return torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=settings.learning_rate,
        betas=(0.9, settings.adam_beta2),
        weight_decay=settings.weight_decay,
        fused=device == "cuda",
    )


def _log_parts(counts: dict[Any, tuple[int, int]]) -> None:
    for part, (total, learning) in counts.items():
        LOGGER.info("%s: %s parameters, %s learn", part, f"{total:,}", f"{learning:,}" if learning else "none")


def whole_model(engine: Any) -> tuple[Any, dict[str, Any] | None]:
    """The model for saving, and its weights where they have to be put together from all processes.

    All processes must call it. Adapters are still apart from the weights (``s2h.models.adapters``).
    """
    state = engine._zero3_consolidated_16bit_state_dict() if engine.zero_optimization_stage() == 3 else None
    return engine.module, state
