"""The model of a phase as it is trained: its precision, its attention, what of it learns, and what is recomputed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from s2h.models.adapters import with_adapters
from s2h.models.loading import fastest_attention, weightless_model
from s2h.models.parts import freeze, linear_layers
from s2h.models.settings import TrainingSettings
from s2h.phases import ModelPart
from s2h.training.job import Job


def with_precision(job: Job, device: torch.device) -> Job:
    """A job whose ``precision: auto`` is replaced by what the device computes fastest."""
    if job.settings.precision != "auto":
        return job
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    on_cpu = "bf16-mixed" if has_bf16 else "fp32"
    settings = job.settings.model_copy(update={"precision": "bf16" if device.type == "cuda" else on_cpu})
    return job.model_copy(update={"settings": settings})


def dtype_of(settings: TrainingSettings) -> torch.dtype:
    """Type of the weights."""
    return torch.bfloat16 if settings.precision == "bf16" else torch.float32


def attention_of(settings: TrainingSettings, device: str) -> str:
    """Implementation of attention on ``cuda`` or ``cpu``."""
    return fastest_attention(device) if settings.attention == "auto" else settings.attention


def made_trainable(
    model: Any, settings: TrainingSettings, *, frozen: Collection[ModelPart], recompute: bool
) -> tuple[Any, dict[ModelPart, tuple[int, int]]]:
    """A model with parts frozen, with adapters, with activations kept or recomputed; and what ``freeze`` says."""
    counts = freeze(model, frozen)
    if settings.lora:
        model = with_adapters(model, settings.lora, linear_layers(model, frozen))
    if recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.train(), counts


def weightless_trainable(job: Job, *, frozen: Collection[ModelPart], recompute: bool) -> Any:
    """The model of a job as GPUs train it, but on the device meta, where tensors have no values."""
    attention = attention_of(job.settings, "cuda")
    implementation = "sdpa" if "flash" in attention else attention
    model = weightless_model(job.base, dtype=dtype_of(job.settings), attn_implementation=implementation)
    with torch.device("meta"):
        return made_trainable(model, job.settings, frozen=frozen, recompute=recompute)[0]
