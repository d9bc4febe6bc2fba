"""Liger's fused GPU kernels in the place of a model's own norms and gated feed-forward layers.

Layers are found by what they are, in any model. Liger's own patches by the name of the model are not taken: 0.8.5
imports classes that transformers 5.23 no longer has.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

from torch import Tensor, nn

from s2h.errors import ModelError
from s2h.logs import LOGGER
from s2h.models.settings import TrainingSettings

_NORMS = {
    "LlamaRMSNorm", "MistralRMSNorm", "Qwen2RMSNorm", "Qwen2VLRMSNorm", "Qwen2_5_VLRMSNorm", "Qwen3RMSNorm",
    "Qwen3VLTextRMSNorm", "InternVLVisionRMSNorm",
}  # fmt: skip
"""Classes of transformers that scale by one over the root mean square, in fp32, and then by their weight as it is."""
_GATED = ("gate_proj", "up_proj", "down_proj")


def choose_kernels(model: nn.Module, settings: TrainingSettings, *, device: str) -> str:
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


def _take_liger(model: nn.Module) -> str | None:
    """Put Liger's kernels into a model; returns why that is not possible, else None."""
    try:
        import liger_kernel.transformers.functional  # noqa: F401
    except ImportError as error:
        return f"liger-kernel cannot be imported ({error}; to install it: pip install liger-kernel)"
    norms = [module for module in model.modules() if type(module).__name__ in _NORMS]
    gated = [module for module in model.modules() if _is_gated(module)]
    for module in norms:
        module.forward = MethodType(_norm, module)
    for module in gated:
        module.forward = MethodType(_feed_forward, module)
    LOGGER.info("kernels: Liger's, in %d norms and %d feed-forward layers", len(norms), len(gated))
    return None if norms or gated else "the model has no layers that Liger knows"


def _is_gated(module: nn.Module) -> bool:
    """Whether a layer is down(silu(gate(x)) * up(x))."""
    activation = type(getattr(module, "act_fn", None)).__name__
    return all(hasattr(module, name) for name in _GATED) and activation in ("SiLU", "SiLUActivation")


def _norm(module: Any, hidden: Tensor) -> Tensor:
    from liger_kernel.transformers.functional import liger_rms_norm

    found: Tensor = liger_rms_norm(hidden, module.weight, module.variance_epsilon, in_place=False)
    return found


def _feed_forward(module: Any, hidden: Tensor) -> Tensor:
    from liger_kernel.transformers.functional import liger_swiglu

    found: Tensor = module.down_proj(liger_swiglu(module.gate_proj(hidden), module.up_proj(hidden)))
    return found
