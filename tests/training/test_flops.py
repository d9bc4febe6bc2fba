"""FLOPs as they are counted without weights are those of a real forward and backward pass, in all families."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen2_5_VLConfig, Qwen2VLImageProcessor

from s2h.errors import ModelError
from s2h.models.adapters import with_adapters
from s2h.models.loading import load_model, load_processor
from s2h.models.parts import freeze, linear_layers
from s2h.models.settings import LoraSettings
from s2h.phases import ModelPart
from s2h.supervision.examples import Example
from s2h.supervision.formats import WORDS
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.training.collate import IGNORED, Collator
from s2h.training.flops import FlopModel
from tests.models import eagle, internvl, qwen

FAMILIES = {"tiny": None, "qwen": qwen, "internvl": internvl, "eagle": eagle}
SEEN = {"from", "a", "to", "b", "7", "="}


@pytest.fixture(scope="module", params=FAMILIES)
def folder(
    request: pytest.FixtureRequest, tiny_model: Path, readout: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    family = FAMILIES[request.param]
    if family is None:
        return tiny_model
    path = tmp_path_factory.mktemp(request.param)
    family.build(path, readout.vocabulary() | WORDS | SEEN)
    return path


def examples(*, images: Sequence[int | None]) -> list[Example]:
    """Examples with square images of these sides in pixels, or none."""
    pictures = [side and Image.new("RGB", (side, side)) for side in images]
    words = [("image" if picture else "text", "from a " * (3 * place + 1)) for place, picture in enumerate(pictures)]
    return [Example(i, *words[i], "a = b" + " 7" * i, picture) for i, picture in enumerate(pictures)]  # type: ignore[arg-type]


def counted_backward(
    gradient: Any, inputs: Any, weights: Any, _b: Any, _s: Any, _p: Any, _d: Any, transposed: bool, *rest: Any, **_: Any
) -> int:
    """A convolution without overlap between groups: torch's formula multiplies by their number."""
    assert not transposed
    wanted = rest[2]
    return sum(2 * inputs[0] * prod(gradient[2:]) * prod(weights) for each in wanted[:2] if each)


def really(model: Any, batch: dict[str, Tensor]) -> int:
    """FLOPs of a forward and a backward pass, all padding and both halves of the attention included."""
    inputs = dict(batch)
    labels = inputs.pop("labels")
    rows = (labels[:, 1:] != IGNORED).any(dim=0).nonzero()[:, 0]
    convolution = {torch.ops.aten.convolution_backward: counted_backward}
    with FlopCounterMode(display=False, custom_mapping=convolution) as counter:
        logits = model(**inputs, use_cache=False, logits_to_keep=rows).logits
        loss = functional.cross_entropy(logits.flatten(0, 1), labels[:, rows + 1].flatten(), ignore_index=IGNORED)
        loss.backward()
    return int(counter.get_total_flops())


def reckoned(work: FlopModel, batch: dict[str, Tensor], pictures: int) -> float:
    """The same by what is counted without weights, with the other half of the attention."""
    count, length = batch["input_ids"].shape
    rows = int((batch["labels"][:, 1:] != IGNORED).any(dim=0).sum())
    size = batch["pixel_values"].numel() // pictures if pictures else 0
    pixels = np.array([size] * pictures + [0] * (count - pictures))
    found = work.flops(np.full(count, length), np.full(count, rows), pixels)
    later = count * length * (length - 1) / 2
    return float(found.sum() + work.pair * later)


def compare(
    folder: Path, images: Sequence[int | None], *, lora: LoraSettings | None = None, frozen: Sequence[ModelPart] = ()
) -> None:
    processor = load_processor(folder)
    work = FlopModel.of(folder, processor, frozen=frozen, lora=lora)
    batch = Collator(ExampleEncoder(processor))(examples(images=images))
    model = load_model(folder, dtype=torch.float32, attention="eager").eval()
    freeze(model, frozen)
    if lora:
        model = with_adapters(model, lora, linear_layers(model, frozen))
    pictures = sum(side is not None for side in images)
    assert reckoned(work, batch, pictures) == pytest.approx(really(model, batch), rel=0.01)


@pytest.mark.parametrize("images", [(None,), (96,), (96, 96, None)], ids=["text", "image", "mixed"])
def test_it_counts_what_is_computed(folder: Path, images: tuple[int | None, ...]) -> None:
    compare(folder, images)


@pytest.mark.parametrize("frozen", [("vision",), ("language",), ("vision", "language")], ids="+".join)
def test_frozen_parts_cost_what_is_computed_for_others(folder: Path, frozen: tuple[ModelPart, ...]) -> None:
    compare(folder, (96, None), frozen=frozen)


@pytest.mark.parametrize("frozen", [(), ("vision", "projector")], ids=["all", "language"])
def test_adapters_cost_no_gradients_of_the_weights(folder: Path, frozen: tuple[ModelPart, ...]) -> None:
    compare(folder, (96, 96), lora=LoraSettings(rank=4, alpha=8), frozen=frozen)


def test_qwen_at_full_size_has_the_flops_of_the_closed_form(tmp_path: Path) -> None:
    """Qwen2.5-VL-3B, by the sizes of its published config."""
    layers, width, kv_width, feed_forward, words = 36, 2048, 256, 11008, 151936
    depth, seen, seen_feed_forward, whole = 32, 1280, 3420, 4
    text = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": 16, "num_key_value_heads": 2}
    text |= {"intermediate_size": feed_forward, "vocab_size": words, "tie_word_embeddings": True}
    text |= {"rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6}}
    vision = {"depth": depth, "hidden_size": seen, "num_heads": 16, "intermediate_size": seen_feed_forward}
    vision |= {"window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "out_hidden_size": width}
    Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True).save_pretrained(tmp_path)
    limits = {"shortest_edge": 128 * 28**2, "longest_edge": 1280 * 28**2}  # as in config/paper.yaml
    work = FlopModel.of(tmp_path, SimpleNamespace(image_processor=Qwen2VLImageProcessor(size=limits)))
    assert work.token == 6 * layers * (2 * width * (width + kv_width) + 3 * width * feed_forward)
    assert (work.pair, work.target) == (12 * layers * width, 6 * words * width)
    patches = 40 * 40  # of which windows hold 8 x 8
    merged = 4 * seen
    for_each = 6 * depth * (4 * seen**2 + 3 * seen * seen_feed_forward) + 4 * 1176 * seen
    attended = 12 * seen * (whole * patches + (depth - whole) * 64)
    projected = 6 * (merged**2 + merged * width) / 4
    found = float(work.flops(np.array([0]), np.array([0]), np.array([1176 * patches]))[0])
    assert found == pytest.approx(patches * (for_each + attended + projected), rel=1e-6)


def test_a_study_s_examples_are_counted_at_once(tiny_model: Path) -> None:
    work = FlopModel.of(tiny_model, load_processor(tiny_model))
    tokens = np.arange(1, 240_001)
    found = work.flops(tokens, tokens // 2, np.where(tokens % 2, 0, 1000))
    assert found.shape == tokens.shape
    assert found[99] == 100 * work.token + 5050 * work.pair + 50 * work.target + 1000 * work.pixel


def test_what_cannot_be_counted_says_so(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"the FLOPs of .* cannot be counted: AttributeError: .*image_processor"):
        FlopModel.of(tiny_model, load_processor(tiny_model).tokenizer)
