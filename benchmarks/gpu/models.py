"""Models from random weights and micro-batches of random words, in full size on a GPU or in miniature on a CPU.

Shapes: B examples, L tokens of the longest of them.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig, Qwen2VLImageProcessor

from s2h.models.attention import attend_in_windows
from s2h.models.eagle import EagleX2Config, register
from s2h.models.eagle.configuration import LLAMA_SIZES
from s2h.training.collate import IGNORED
from s2h.training.flops import FlopModel

MARKS = 8
"""The last words of a vocabulary stand for what is no word; the first of them is the end of a turn."""
_END, _PAD, _IMAGE, _VIDEO, _BEGIN_IMAGE, _END_IMAGE = range(-MARKS, -MARKS + 6)
_PATCH_VALUES = 3 * 2 * 14 * 14  # numbers of a patch as Qwen's processor makes them


@dataclasses.dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a Qwen2.5-VL, and of the pictures that it is shown.

    Attributes:
        width: of the decoder.
        layers: of the decoder.
        heads: of the decoder; of keys and values ``key_heads``.
        key_heads: see there.
        feed_forward: width of the decoder's feed-forward layers.
        words: of the vocabulary.
        sections: of the rotations in time, height and width.
        vision_width: of the vision tower.
        vision_layers: of the vision tower.
        vision_heads: of the vision tower.
        vision_feed_forward: of the vision tower.
        whole: layers of the vision tower that attend to whole pictures.
        grid: patches of a picture in height and width.
    """

    width: int
    layers: int
    heads: int
    key_heads: int
    feed_forward: int
    words: int
    sections: tuple[int, int, int]
    vision_width: int
    vision_layers: int
    vision_heads: int
    vision_feed_forward: int
    whole: tuple[int, ...]
    grid: tuple[int, int]

    @property
    def image_tokens(self) -> int:
        """Tokens of a picture."""
        return self.grid[0] * self.grid[1] // 4


QWEN_3B = Sizes(
    *(2048, 36, 16, 2, 11008, 151_936, (16, 24, 24)),
    *(1280, 32, 16, 3420, (7, 15, 23, 31), (52, 96)),
)
"""Qwen2.5-VL-3B, and a picture of 1500 x 800 pixels: 4,992 patches, 1,248 tokens."""

MINIATURE = Sizes(*(64, 2, 4, 2, 128, 512, (2, 3, 3)), *(64, 2, 2, 96, (1,), (8, 8)))

FEW_LAYERS = dataclasses.replace(QWEN_3B, layers=8, vision_layers=8, whole=(7,))
"""The same with eight layers each: what trains with its optimizer on one GPU."""


def sizes(*, dry: bool) -> Sizes:
    """The sizes that a run measures."""
    return MINIATURE if dry else QWEN_3B


def qwen_config(size: Sizes, ids: dict[str, int] | None = None) -> Qwen2_5_VLConfig:
    """The config of a size; ``ids`` of a tokenizer's special tokens, else the last words of the vocabulary."""
    own = {"end": size.words + _END, "pad": size.words + _PAD, "image": size.words + _IMAGE}
    own |= {"video": size.words + _VIDEO, "begin": size.words + _BEGIN_IMAGE, **(ids or {})}
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": size.words,
            "bos_token_id": None,
            "eos_token_id": own["end"],
            "pad_token_id": own["pad"],
            "hidden_size": size.width,
            "intermediate_size": size.feed_forward,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "num_key_value_heads": size.key_heads,
            "max_position_embeddings": 32_768,
            "rope_parameters": {"rope_type": "default", "mrope_section": [*size.sections], "rope_theta": 1e6},
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": size.vision_layers,
            "hidden_size": size.vision_width,
            "intermediate_size": size.vision_feed_forward,
            "num_heads": size.vision_heads,
            "out_hidden_size": size.width,
            "fullatt_block_indexes": [*size.whole],
            "window_size": 112,
        },
        image_token_id=own["image"],
        video_token_id=own["video"],
        vision_start_token_id=own["begin"],
        tie_word_embeddings=True,
    )


def eagle_config(*, dry: bool, layers: int) -> EagleX2Config:
    """Eagle-X2 with its towers in full size and fewer layers of Llama-3."""
    if not dry:
        return EagleX2Config(text_config=LLAMA_SIZES | {"num_hidden_layers": layers})
    clip = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 1}
    vision = {
        "clip_config": {**clip, "image_size": 42, "patch_size": 14},
        "convnext_depths": [1, 1, 2, 1],
        "convnext_widths": [8, 12, 16, 24],
        "image_size": 128,
    }
    text = {"vocab_size": 256, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2}
    return EagleX2Config(vision_config=vision, text_config=text | {"pad_token_id": 3}, image_token_index=5)


def device() -> torch.device:
    """The GPU, or the CPU where there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make_model(config: Any, *, dtype: torch.dtype | None = None, windows: bool = True) -> Any:
    """A model from random weights, made where it runs: in bf16 on a GPU, in fp32 on a CPU.

    Args:
        config: of the model.
        dtype: another one.
        windows: have a vision tower's windows computed in one call, as in training.
    """
    place = device()
    dtype = dtype or (torch.bfloat16 if place.type == "cuda" else torch.float32)
    torch.manual_seed(0)
    register()
    with place:
        model = AutoModelForImageTextToText.from_config(config, dtype=dtype, attn_implementation="sdpa")
    if windows:
        attend_in_windows(model)
    return model


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """An example of a mixture.

    Attributes:
        tokens: those of the picture included.
        targets: of these the last ones, which are learned.
        image: whether it has a picture.
    """

    tokens: int
    targets: int
    image: bool


def recorded_items(number: int, *, dry: bool) -> list[Item]:
    """The first examples of Table Readout's Mix+ at the paper's size, with their real lengths; small ones in miniature.

    The tokenizer is Qwen2.5-VL's, and every image is 1500 x 800 pixels.
    """
    found = json.loads((Path(__file__).parents[1] / "lengths.json").read_text())["table_readout"]
    rows = list(zip(found["tokens"], found["targets"], map(int, found["images"]), strict=True))[:number]
    if not dry:
        return [Item(tokens, targets, bool(image)) for tokens, targets, image in rows]
    return [Item(tokens // 40 + 20 * image, targets // 40 + 1, bool(image)) for tokens, targets, image in rows]


def useful_flops(items: Sequence[Item], size: Sizes) -> float:
    """Floating-point operations of training on examples, as ``s2h.training.flops`` counts them."""
    patches = size.grid[0] * size.grid[1]
    tokens, targets = (np.array([getattr(item, name) for item in items]) for name in ("tokens", "targets"))
    pixels = np.array([patches * _PATCH_VALUES * item.image for item in items])
    return float(_work(size).flops(tokens, targets, pixels).sum())


@cache
def _work(size: Sizes) -> FlopModel:
    with tempfile.TemporaryDirectory() as folder:
        qwen_config(size).save_pretrained(folder)
        return FlopModel.of(folder, SimpleNamespace(image_processor=Qwen2VLImageProcessor()))


def qwen_batch(items: Sequence[Item], size: Sizes, *, masks: bool = False, seed: int = 0) -> dict[str, Tensor]:
    """What ``Collator`` makes of examples, of random words and pictures of noise; padding is on the right."""
    draw = torch.Generator().manual_seed(seed)
    longest = max(item.tokens for item in items)
    ids_BL = torch.randint(0, size.words - MARKS, (len(items), longest), generator=draw)
    labels_BL, mask_BL = torch.full_like(ids_BL, IGNORED), torch.ones_like(ids_BL)
    for row, item in enumerate(items):
        if item.image:
            ids_BL[row, 1] = size.words + _BEGIN_IMAGE
            ids_BL[row, 2 : 2 + size.image_tokens] = size.words + _IMAGE
            ids_BL[row, 2 + size.image_tokens] = size.words + _END_IMAGE
        learned = slice(item.tokens - item.targets, item.tokens)
        labels_BL[row, learned] = ids_BL[row, learned]
        ids_BL[row, item.tokens :] = size.words + _PAD
        mask_BL[row, item.tokens :] = 0
    batch = {"input_ids": ids_BL, "labels": labels_BL, **({"attention_mask": mask_BL} if masks else {})}
    return batch | _pictures(batch, size, sum(item.image for item in items), draw)


def _pictures(batch: dict[str, Tensor], size: Sizes, number: int, draw: torch.Generator) -> dict[str, Tensor]:
    shown = {"mm_token_type_ids": (batch["input_ids"] == size.words + _IMAGE).int()}
    if not number:
        return shown
    patches = number * size.grid[0] * size.grid[1]
    return shown | {
        "pixel_values": torch.randn(patches, _PATCH_VALUES, generator=draw),
        "image_grid_thw": torch.tensor([[1, *size.grid]] * number),
    }


def blank_inputs() -> dict[str, Tensor]:
    """The least picture of Qwen's, as ``s2h.training.losses.dummy_image`` gives it."""
    return {"pixel_values": torch.zeros(4, _PATCH_VALUES), "image_grid_thw": torch.tensor([[1, 2, 2]])}
