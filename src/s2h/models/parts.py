"""The parts of a vision-language model, identified by the names of its parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args

from torch import nn

from s2h.errors import ModelError
from s2h.phases import ModelPart

PARTS: tuple[ModelPart, ...] = get_args(ModelPart)

_PROJECTOR = re.compile(r"projector|merger|connector|aligner")
_VISION = re.compile(r"vision|visual|image_encoder")


def part_of(name: str) -> ModelPart:
    """The part to which a parameter belongs: the projector lies between vision and language.

    Qwen's projector (``merger``) stands inside its vision tower, so it is looked for first.
    """
    if _PROJECTOR.search(name):
        return "projector"
    return "vision" if _VISION.search(name) else "language"


def freeze(model: nn.Module, frozen: Iterable[ModelPart]) -> dict[ModelPart, tuple[int, int]]:
    """Stop the given parts from learning; returns (parameters, of these learning) of every part.

    Raises:
        ModelError: a part has no parameters, or none of the model would learn.
    """
    stopped = set(frozen)
    counts: dict[ModelPart, tuple[int, int]] = dict.fromkeys(PARTS, (0, 0))
    for name, parameter in model.named_parameters():
        part = part_of(name)
        if part in stopped:
            parameter.requires_grad_(False)
        number = getattr(parameter, "ds_numel", parameter.numel())  # under ZeRO-3 a process holds a piece
        total, learning = counts[part]
        counts[part] = (total + number, learning + (number if parameter.requires_grad else 0))
    for part in stopped:
        if not counts[part][0]:
            raise ModelError(f"frozen names {part}, but the model has no such part: {_listed(counts)}.")
    if not any(learning for _, learning in counts.values()):
        raise ModelError(f"with {', '.join(sorted(stopped))} frozen no parameter of the model would be trained.")
    return counts


def linear_layers(model: nn.Module, frozen: Iterable[ModelPart]) -> list[str]:
    """Names of all linear layers in parts that learn, but for the output layer: where LoRA is put."""
    stopped, head = set(frozen), _output_layer(model)
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head and part_of(name) not in stopped
    ]


def _output_layer(model: Any) -> Any:
    return model.get_output_embeddings()


def _listed(counts: dict[ModelPart, tuple[int, int]]) -> str:
    return ", ".join(f"{part} {total:,} parameters" for part, (total, _) in counts.items())
