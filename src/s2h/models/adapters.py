"""Low-rank adapters beside the weights of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from s2h.models.settings import LoraSettings


def add_adapters(model: Any, lora: LoraSettings, layers: Sequence[str]) -> Any:
    """The model with low-rank adapters in the given layers; nothing else of it learns.

    Inputs are not told to require gradients, as is often done for gradient checkpointing: its form without reentrance
    needs none, and the backward pass would go through a vision tower in which nothing learns.

    Args:
        model: of transformers; its layers are changed in place.
        lora: rank, scale and dropout of the adapters.
        layers: names of linear layers.
    """
    from peft import LoraConfig, get_peft_model  # takes seconds, which other trainings should not wait for

    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=list(layers))
    return get_peft_model(model, config)
