"""DeepSpeed's config: the file that the settings name, with what the study decides filled in."""

from __future__ import annotations

import json
from typing import Any

from s2h.errors import ConfigError
from s2h.models.settings import TrainingSettings
from s2h.paths import find_file


def read_config(settings: TrainingSettings, *, grad_accum_steps: int) -> dict[str, Any]:
    """DeepSpeed's config for a training.

    Args:
        settings: how to train.
        grad_accum_steps: micro-batches of a process in a step.

    Raises:
        ConfigError: the file cannot be read, or does not go with the settings.
    """
    path = find_file(settings.deepspeed)
    try:
        config: dict[str, Any] = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise ConfigError(f"training.deepspeed names {path}, which cannot be read: {error}") from None
    if settings.lora and zero_stage(config) == 3:
        raise ConfigError("lora is merged into whole weights, which ZeRO-3 does not hold: use a ZeRO-2 file.")
    return config | {
        "train_micro_batch_size_per_gpu": 1,  # read by nothing that runs here: batches.py deals micro-batches
        "gradient_accumulation_steps": grad_accum_steps,
        "gradient_clipping": settings.max_grad_norm,
        "bf16": {"enabled": settings.precision == "bf16"},
        "torch_autocast": {
            "enabled": settings.precision == "bf16-mixed",
            "dtype": "bfloat16",
            "lower_precision_safe_modules": [],  # whose gradients would be reduced in bf16
        },
        "steps_per_print": 2**31,
    }


def zero_stage(config: dict[str, Any]) -> int:
    """How much DeepSpeed spreads over the processes: 2 optimizer and gradients, 3 the weights too."""
    return int(config.get("zero_optimization", {}).get("stage", 0))


def offloads_optimizer(config: dict[str, Any]) -> bool:
    """Whether DeepSpeed keeps the optimizer in the machine's memory."""
    place = config.get("zero_optimization", {}).get("offload_optimizer", {}).get("device", "none")
    return str(place) != "none"
