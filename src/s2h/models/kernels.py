"""Liger's fused GPU kernels in the place of a model's own norms, rotations and feed-forward layers."""

from __future__ import annotations

from typing import Any

from s2h.errors import ModelError
from s2h.logs import LOGGER
from s2h.models.settings import TrainingSettings

_LOSSES = {"cross_entropy": False, "fused_linear_cross_entropy": False}
"""Left to ``s2h.training.losses``, which computes the logits of learned words alone."""


def choose_kernels(model: Any, settings: TrainingSettings, *, device: str) -> str:
    """Have a loaded model computed as the settings say; returns ``liger`` or ``plain``.

    Args:
        model: of transformers, without adapters.
        settings: how to train; ``auto`` takes Liger's kernels where that is possible.
        device: ``cuda`` or ``cpu``.

    Raises:
        ModelError: Liger's kernels are asked for and cannot be had.
    """
    if settings.kernels == "plain" or (settings.kernels == "auto" and device == "cpu"):
        return "plain"
    problem = "they need a GPU" if device == "cpu" else _take_liger(model)
    if problem is None:
        return "liger"
    if settings.kernels == "liger":
        raise ModelError(f"training.kernels is liger, but {problem}: set it to auto or plain.")
    LOGGER.info("kernels: transformers' own, as %s", problem)
    return "plain"


def _take_liger(model: Any) -> str | None:
    """Put Liger's kernels into a model; returns why that is not possible, else None."""
    try:
        from liger_kernel.transformers.monkey_patch import (
            MODEL_TYPE_TO_APPLY_LIGER_FN,
            _apply_liger_kernel_to_instance,
        )
    except ImportError as error:
        return f"liger-kernel cannot be imported ({error})"
    parts = (model, getattr(model.base_model, "language_model", model))
    for part in parts:
        if part.config.model_type in MODEL_TYPE_TO_APPLY_LIGER_FN:
            _apply_liger_kernel_to_instance(part, **_LOSSES)
            return None
    return f"Liger knows no {' or '.join(sorted({part.config.model_type for part in parts}))}"
