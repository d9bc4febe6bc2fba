"""The table of docs/memory.md: python -m docs.memory. It takes some minutes of one core and no GPU."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig, Qwen2_5_VLConfig
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from docs.blocks import fill_block
from s2h.models.eagle.configuration import EagleX2Config
from s2h.models.loading import weightless_model
from s2h.training.collate import IGNORED, with_targets
from s2h.training.losses import ForwardPass
from s2h.training.memory.activations import measure_peak
from s2h.training.memory.zero import MemoryEstimate, ParameterCounts, estimate_memory
from tests.shipped import ROOT

PAGE = Path(__file__).parent / "memory.md"

_GIB = 2**30
_CARDS = (79, 139)
"""GiB that a training finds free on an H100 and an H200."""
_SPARE = 0.05
"""Share of a GPU that is left for what is not counted: torch's allocator, NCCL, kernels' work space."""
_FILES = {"zero2": (1, 2, 8), "zero3": (1, 2, 8), "zero2_offload": (1, 2), "zero3_offload": (1, 2)}
"""DeepSpeed files, and the numbers of GPUs for which they are shown."""
_BATCH = 128  # examples of a step, of which the rounds follow
_SHIPPED = 4  # examples of a micro-batch whose activations are recomputed, as the page shows it

_TEXT, _LEARNED = 1756, 1483
"""Tokens of the longest example beside its picture, and of these the response's: a Visual Analogy in the paper's sizes,
among several hundred examples of each task and recipe, with Qwen's tokenizer."""
_PAGE = (900, 800)  # height and width of its picture, pixels
_PIXELS = {"min_pixels": 128 * 28**2, "max_pixels": 1280 * 28**2}

_ROPE = {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1_000_000.0}
_VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "num_heads": 16,
    "intermediate_size": 3420,
    "window_size": 112,
    "patch_size": 14,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
_SIZES: dict[str, dict[str, Any]] = {
    "Qwen2.5-VL-3B": {
        "hidden_size": 2048,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "intermediate_size": 11008,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
    "Qwen2.5-VL-7B": {
        "hidden_size": 3584,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "intermediate_size": 18944,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
    },
}
"""As they are published; both have the vision tower above."""
MODELS = (*_SIZES, "Eagle-X2")


def model_config(name: str) -> PreTrainedConfig:
    """The config of a model of the page."""
    if name == "Eagle-X2":
        return EagleX2Config()
    text = _SIZES[name]
    vision = _VISION | {"out_hidden_size": text["hidden_size"]}
    return Qwen2_5_VLConfig(
        text_config=text | {"rope_parameters": _ROPE},
        vision_config=vision,
        tie_word_embeddings=text["tie_word_embeddings"],
    )


def longest(config: Any, examples: int) -> dict[str, Tensor]:
    """A micro-batch of the longest example, as the collator gives it; what words it has does not matter."""
    picture, inputs = _eagle_picture(config) if isinstance(config, EagleX2Config) else _qwen_picture(config)
    ids_BL = torch.full((1, _TEXT), 1000)
    ids_BL = torch.cat([picture, ids_BL], dim=1).repeat(examples, 1)
    labels_BL = torch.full_like(ids_BL, IGNORED)
    labels_BL[:, -_LEARNED:] = 1000
    inputs = {name: torch.cat([value] * examples) for name, value in inputs.items()}
    if "image_grid_thw" in inputs:
        inputs["mm_token_type_ids"] = (ids_BL == config.image_token_id).int()
    return with_targets({"input_ids": ids_BL, "labels": labels_BL, **inputs})


def _qwen_picture(config: Any) -> tuple[Tensor, dict[str, Tensor]]:
    vision = config.vision_config
    grid = [side // vision.patch_size for side in smart_resize(*_PAGE, **_PIXELS)]
    patches = math.prod(grid)
    ids = torch.full((1, patches // vision.spatial_merge_size**2 + 1), config.image_token_id)
    ids[0, 0] = config.vision_start_token_id
    values = 3 * vision.temporal_patch_size * vision.patch_size**2
    return ids, {"pixel_values": torch.zeros(patches, values), "image_grid_thw": torch.tensor([[1, *grid]])}


def _eagle_picture(config: Any) -> tuple[Tensor, dict[str, Tensor]]:
    side = config.vision_config.image_size
    return torch.full((1, config.image_seq_length), config.image_token_id), {
        "pixel_values": torch.zeros(1, 3, side, side)
    }


@cache
def measured(name: str, *, checkpointing: bool, examples: int) -> tuple[ParameterCounts, int]:
    """The sizes of a model, and the bytes of its activations for a micro-batch of the longest example."""
    config = model_config(name)
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        model = weightless_model(folder, dtype=torch.bfloat16, attn_implementation="sdpa")
    model.train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    sizes = ParameterCounts.of(model)
    forward_pass = ForwardPass(model)
    peak = measure_peak(model, longest(config, examples), lambda m, batch: forward_pass.loss(m, batch, _CPU))
    return sizes, peak.activations


_CPU = torch.device("cpu")


def measure_memory(name: str, file: str, *, gpus: int, checkpointing: bool, examples: int) -> MemoryEstimate:
    """What a training of a model needs; activations grow evenly with the examples of a micro-batch."""
    sizes, one = measured(name, checkpointing=checkpointing, examples=1)
    _, two = measured(name, checkpointing=checkpointing, examples=2)
    config = json.loads((ROOT / f"config/deepspeed/{file}.json").read_text())
    config |= {"bf16": {"enabled": True}, "gradient_accumulation_steps": math.ceil(_BATCH / (gpus * examples))}
    activations = one + (two - one) * (examples - 1)
    return estimate_memory(sizes, config, activations=activations, world_size=gpus, local_world_size=gpus)


def most_examples(name: str, file: str, *, gpus: int, checkpointing: bool, card: float) -> int:
    """The largest micro-batch of the longest example that fits a card of so many GiB; 0 where none does."""
    examples = 0
    room = card * _GIB * (1 - _SPARE)
    while measure_memory(name, file, gpus=gpus, checkpointing=checkpointing, examples=examples + 1).gpu <= room:
        examples += 1
        if examples * gpus >= _BATCH:
            break
    return examples


def row(name: str, file: str, gpus: int) -> str:
    """One line of the table."""
    cells = [name, str(gpus), f"`{file}`"]
    for checkpointing, examples in ((True, _SHIPPED), (False, 1)):
        found = measure_memory(name, file, gpus=gpus, checkpointing=checkpointing, examples=examples)
        cells.append(f"{found.gpu / _GIB:.0f}")
        cells += [
            str(most_examples(name, file, gpus=gpus, checkpointing=checkpointing, card=card) or "-") for card in _CARDS
        ]
    host = measure_memory(name, file, gpus=gpus, checkpointing=True, examples=_SHIPPED).host
    return f"| {' | '.join([*cells, f'{host / _GIB:.0f}'])} |"


def table() -> str:
    """What training runs of the shipped configs need, and what fits."""
    return "\n".join([*_HEAD, *(row(*which) for which in _rows())])


def _rows() -> Iterator[tuple[str, str, int]]:
    return ((name, file, gpus) for name in MODELS for file, numbers in _FILES.items() for gpus in numbers)


_HEAD = (
    "| model | GPUs | file | 4 examples | most on 80 GB | on 141 GB | 1 example | most on 80 GB | on 141 GB | host |",
    "| --- | --: | --- | --: | --: | --: | --: | --: | --: | --: |",
)


if __name__ == "__main__":
    PAGE.write_text(fill_block(PAGE.read_text(), "needs", table()))
