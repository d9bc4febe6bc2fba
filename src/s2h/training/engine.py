"""The model inside DeepSpeed: loaded, frozen where it should not learn, with its optimizer and schedule."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import deepspeed
import psutil
import torch
import torch.distributed as dist
from transformers.integrations import HfDeepSpeedConfig

from s2h.errors import ConfigError, TrainingError
from s2h.logs import LOGGER
from s2h.models.kernels import choose_kernels
from s2h.models.loading import fastest_attention, load_model, parameter_count
from s2h.models.parts import freeze, linear_layers
from s2h.models.settings import TrainingSettings
from s2h.training.job import Job
from s2h.training.losses import Learner, blank_picture
from s2h.training.schedule import rate

_GIB = 2**30


def read_config(settings: TrainingSettings, *, rounds: int) -> dict[str, Any]:
    """DeepSpeed's settings: those of the file, with what the study decides filled in.

    Args:
        settings: how to train.
        rounds: micro-batches of a process in a step.

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
        "gradient_accumulation_steps": rounds,
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
        learner: computes the loss of a micro-batch.
        kernels: what computes norms and feed-forward layers, ``liger`` or ``plain``.
    """

    engine: Any
    learner: Learner
    kernels: str


def build(
    job: Job, config: dict[str, Any], processor: Any, *, device: str, steps: int, uses_images: bool, recompute: bool
) -> Built:
    """The model of a job in DeepSpeed's engine.

    Args:
        job: what is trained.
        config: what ``read_config`` gave.
        processor: of the model.
        device: ``cuda`` or ``cpu``.
        steps: optimizer steps of the phase.
        uses_images: whether any example has an image; otherwise vision and projector are left as they are.
        recompute: recompute activations in the backward pass.
    """
    settings = job.settings
    # Weights are spread over the processes while they are loaded, as long as this object lives.
    keep = HfDeepSpeedConfig(config) if zero_stage(config) == 3 else None
    attention = fastest_attention(device) if settings.attention == "auto" else settings.attention
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    model = load_model(job.base, dtype=dtype, attention=attention)
    del keep
    kernels = choose_kernels(model, settings, device=device)
    frozen = {*job.frozen, *(() if uses_images else ("vision", "projector"))}
    _log_parts(freeze(model, frozen))
    if settings.lora:
        model = _with_adapters(model, settings, linear_layers(model, frozen))
    if recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    shows_blank = uses_images and (zero_stage(config) == 3 or not {"vision", "projector"} <= frozen)
    learner = Learner(model, blank_picture(processor) if shows_blank else None)
    optimizer = _optimizer(model, settings, device=device)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps=steps, settings=settings))
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, lr_scheduler=schedule, config=config)
    return Built(engine, learner, kernels)


def _optimizer(model: Any, settings: TrainingSettings, *, device: str) -> torch.optim.Optimizer:
    """AdamW of all that learns."""
    return torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=settings.learning_rate,
        betas=(0.9, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=device == "cuda",
    )


def _log_parts(counts: dict[Any, tuple[int, int]]) -> None:
    for part, (total, learning) in counts.items():
        LOGGER.info("%s: %s parameters, %s learn", part, f"{total:,}", f"{learning:,}" if learning else "none")


def _with_adapters(model: Any, settings: TrainingSettings, layers: list[str]) -> Any:
    """The model with low-rank adapters in the given layers; nothing else of it learns."""
    from peft import LoraConfig, get_peft_model

    assert settings.lora is not None
    config = LoraConfig(
        r=settings.lora.rank, lora_alpha=settings.lora.alpha, lora_dropout=settings.lora.dropout, target_modules=layers
    )
    adapted = get_peft_model(model, config)
    adapted.enable_input_require_grads()
    return adapted


def whole_model(engine: Any) -> tuple[Any, dict[str, Any] | None]:
    """The model for saving, and its weights where they have to be put together from all processes.

    All processes must call it. Adapters are still apart from the weights (``s2h.models.adapters``).
    """
    state = engine._zero3_consolidated_16bit_state_dict() if engine.zero_optimization_stage() == 3 else None
    return engine.module, state


def needed_memory(parameters: int, settings: TrainingSettings, *, stage: int, ranks: int) -> float:
    """Bytes that weights, gradients and optimizer take of a process, without the activations.

    Weights and gradients take 2 bytes a parameter in bf16 and 4 in fp32; AdamW's fp32 weights and moments 12. ZeRO-2
    spreads gradients and optimizer over the processes, ZeRO-3 the weights too. Adapters leave the weights alone.
    """
    wide = 2 if settings.precision == "bf16" else 4
    weights = parameters * wide / (ranks if stage == 3 else 1)
    return weights if settings.lora else weights + parameters * (wide + 12) / (ranks if stage >= 2 else 1)


def check_memory(job: Job, config: dict[str, Any], *, device: str) -> None:
    """Raise TrainingError where the machine has too little memory even without activations."""
    stage, ranks = zero_stage(config), dist.get_world_size()
    needed = needed_memory(parameter_count(job.base), job.settings, stage=stage, ranks=ranks)
    free, where = psutil.virtual_memory().available / ranks, "of memory is free for each process"
    if device == "cuda":
        free, where = float(torch.cuda.mem_get_info()[0]), "of the GPU's memory is free"
    LOGGER.info("weights, gradients and optimizer need %.2f GiB; %.2f GiB %s", needed / _GIB, free / _GIB, where)
    if needed > free:
        raise TrainingError(
            f"training {job.base} needs {needed / _GIB:.1f} GiB a process for weights, gradients and optimizer, but "
            f"only {free / _GIB:.1f} GiB {where}: {memory_advice(stage)}."
        )


def memory_advice(stage: int) -> str:
    """What to change when memory does not suffice, the least painful first."""
    spread = "" if stage == 3 else ", spread the weights too (training.deepspeed: config/deepspeed/zero3.json)"
    return (
        "lower training.micro_batch_tokens or micro_batch_size, set training.gradient_checkpointing"
        f"{spread}, use more GPUs, or train adapters (training.lora)"
    )
