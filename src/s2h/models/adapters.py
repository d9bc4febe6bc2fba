"""Low-rank adapters: kept beside the weights of a trained model, and put onto their base in one way for good.

What a training writes and what is made again from its adapters is the same to the last bit: both add adapters, as the
file holds them, to the base's weights here, in fp64 on the CPU, and round once.

Shapes: O outputs and I inputs of a layer, R the rank.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from s2h.models.settings import LoraSettings
from s2h.models.weights import ADAPTERS

_BEFORE = "base_model.model."  # what peft puts before the names of a model's layers


def with_adapters(model: Any, lora: LoraSettings, layers: Sequence[str]) -> Any:
    """The model with low-rank adapters in the given layers; nothing else of it learns.

    Inputs are not set to require gradients, as is often done for gradient checkpointing: its form without reentrance
    needs none, and the backward pass would go through a vision tower in which nothing learns.

    Args:
        model: of transformers; its layers are changed in place.
        lora: rank, scale and dropout of the adapters.
        layers: names of linear layers.
    """
    from peft import LoraConfig, get_peft_model  # takes seconds, which other training runs should not wait for

    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=list(layers))
    return get_peft_model(model, config)


def save_adapters(adapted: Any, folder: Path) -> Any:
    """Write a model's adapters into its folder, in peft's own files, and give the model with its weights changed.

    Args:
        adapted: peft's model.
        folder: of the trained model.
    """
    place = folder / ADAPTERS
    adapted.save_pretrained(place)
    (place / "README.md").unlink(missing_ok=True)  # a form that nobody has filled in
    config = place / "adapter_config.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings["target_modules"] = sorted(settings["target_modules"])  # peft writes a set, in another order each time
    config.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    model = adapted.unload()
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)  # training takes one a process, but all others wait for this now
    merge_adapters(model, place)
    torch.set_num_threads(threads)
    return model


def merge_adapters(model: Any, place: Path) -> None:
    """Change the weights of a model by the adapters of a folder.

    Args:
        model: their base, as it was when they were trained.
        place: folder with ``adapter_config.json`` and ``adapter_model.safetensors``.
    """
    settings = json.loads((place / "adapter_config.json").read_text(encoding="utf-8"))
    tensors = load_file(place / "adapter_model.safetensors")
    for key in sorted(key for key in tensors if ".lora_A." in key):
        layer = model.get_submodule(key.removeprefix(_BEFORE).partition(".lora_A.")[0])
        _add(
            layer.weight,
            tensors[key],
            tensors[key.replace(".lora_A.", ".lora_B.")],
            settings["lora_alpha"] / settings["r"],
        )


@torch.no_grad()
def _add(weight_OI: Tensor, a_RI: Tensor, b_OR: Tensor, scale: float) -> None:
    update_OI = scale * (b_OR.double() @ a_RI.double())
    weight_OI.copy_(weight_OI.cpu().double() + update_OI)
