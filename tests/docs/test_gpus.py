"""The page of GPUs: what the shipped models take is what the code reckons."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig

from s2h.devices import _LEAST_DRIVERS
from s2h.models.eagle import EagleX2Config, register
from s2h.models.resources import training_request
from s2h.overlays import read_config
from tests.shipped import ROOT

PAGE = (ROOT / "docs/gpus.md").read_text()


def qwen(*, width: int, feed_forward: int, layers: int, heads: int, groups: int, words: int, tied: bool) -> Any:
    """Qwen2.5-VL in a published size."""
    text = {"hidden_size": width, "intermediate_size": feed_forward, "num_hidden_layers": layers, "vocab_size": words}
    text |= {"num_attention_heads": heads, "num_key_value_heads": groups, "tie_word_embeddings": tied}
    vision = {"hidden_size": 1280, "out_hidden_size": width}
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied)


MODELS = {
    "Qwen2.5-VL-3B": (
        "qwen2.5-vl-3b",
        qwen(width=2048, feed_forward=11_008, layers=36, heads=16, groups=2, words=151_936, tied=True),
    ),
    "Qwen2.5-VL-7B": (
        "qwen2.5-vl-7b",
        qwen(width=3584, feed_forward=18_944, layers=28, heads=28, groups=4, words=152_064, tied=False),
    ),
    "Eagle-X2-Llama3-8B": ("Eagle-X2-Llama3-8B", EagleX2Config()),
}
"""By their names in the page those in the configs, and their published sizes."""


def row(name: str) -> list[float]:
    """The numbers of a model's row."""
    cells = re.findall(rf"^\| {re.escape(name)} \|(.+)\|$", PAGE, re.MULTILINE)[0]
    return [float(number) for number in re.findall(r"[\d.]+", cells.replace(",", ""))]


@pytest.mark.parametrize("name", MODELS)
def test_what_a_model_takes_is_what_the_code_reckons(name: str) -> None:
    key, published = MODELS[name]
    config = read_config("paper", "released")
    model, training = config.models[key], config.models["qwen2.5-vl-7b"].training
    assert training is not None
    register()
    with torch.device("meta"):
        parameters = sum(weight.numel() for weight in AutoModelForImageTextToText.from_config(published).parameters())
    host = training_request(model, training, examples=1, attempt=1).mem_mb / 1000
    assert row(name) == [round(parameters / 1e9, 2), round(parameters * 2 / 2**30, 1), round(host)]


def test_the_drivers_are_those_of_the_code() -> None:
    assert all(f"| {cuda}.x | {driver} |" in PAGE for cuda, driver in _LEAST_DRIVERS.items())
