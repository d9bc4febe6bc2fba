"""Qwen2.5-VL through its own processor: prompts, image tokens and the response mask."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch

from s2h.models.loading import load_model, load_processor, parameter_count
from s2h.models.parts import PARTS, freeze, linear_layers, part_of
from s2h.models.settings import ScoringSettings
from s2h.overlays import read_config
from s2h.scoring.decoding import Prompt, load_decoder
from s2h.supervision.examples import Example, Mixture
from s2h.supervision.formats import WORDS
from s2h.supervision.mixture import write_mixture
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.tokenisation.lengths import count_tokens
from s2h.training.collate import IGNORED, Collator
from tests.models import qwen


@pytest.fixture(scope="module")
def model_folder(readout: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen")
    qwen.build(folder, readout.vocabulary() | WORDS)
    return folder


@pytest.fixture(scope="module")
def mixture(readout_shards: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    path = tmp_path_factory.mktemp("mixture") / "phase-1.parquet"
    shards: Any = {"consecutive_table_readout": readout_shards}
    write_mixture(path, read_config().recipes["mix"].phases[0], budget=24, shards=shards, key=(0, "test"))
    return Mixture.read(path)


def test_the_response_and_its_end_are_learned_and_nothing_else(model_folder: Path, mixture: Mixture) -> None:
    processor = load_processor(model_folder)
    examples = [mixture[i] for i in range(len(mixture))]
    batch = Collator(ExampleEncoder(processor))(examples)
    for row, example in enumerate(examples):
        labels = batch["labels"][row]
        learned = labels[labels != IGNORED]
        assert processor.tokenizer.decode(learned).split() == [*example.response.split(), "<|im_end|>"]
        whole = batch["input_ids"][row][batch["attention_mask"][row].bool()]
        words = processor.tokenizer.decode(whole).split()
        assert words[:2] == ["<|im_start|>", "system"]
        assert words[-len(learned) - 2 : -len(learned)] == ["<|im_start|>", "assistant"]
        assert words.count("<|image_pad|>") == (9 if example.image else 0)
        assert "<unk>" not in words


def test_lengths_are_those_of_the_batches(model_folder: Path, mixture: Mixture) -> None:
    collator = Collator(ExampleEncoder(load_processor(model_folder)))
    lengths = count_tokens(mixture, collator.encoder)
    for i in range(len(mixture)):
        batch = collator([mixture[i]])
        assert lengths.tokens[i] == batch["input_ids"].shape[1]
        assert lengths.targets[i] == (batch["labels"] != IGNORED).sum()


def test_image_and_text_examples_mix_in_one_forward_pass(model_folder: Path, mixture: Mixture) -> None:
    model = load_model(model_folder, dtype=torch.float32, attention="sdpa")
    collator = Collator(ExampleEncoder(load_processor(model_folder)))
    examples = [mixture[i] for i in range(8)]
    assert len({example.image is None for example in examples}) == 2
    together = collator(examples)
    together.pop("labels")
    logits = model(**together).logits
    for row, example in enumerate(examples):
        alone = collator([example])
        length = alone["input_ids"].shape[1]
        alone.pop("labels")
        torch.testing.assert_close(logits[row, :length], model(**alone).logits[0], atol=1e-4, rtol=1e-4)


def test_a_larger_picture_within_the_limits_has_more_tokens(model_folder: Path, mixture: Mixture) -> None:
    shown = next(mixture[i] for i in range(len(mixture)) if mixture[i].image)
    counts = []
    for pixels in (60 * 60, 112 * 112):
        processor = load_processor(model_folder, min_pixels=pixels, max_pixels=pixels)
        batch = Collator(ExampleEncoder(processor))([shown])
        counts.append(int((batch["input_ids"] == processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")).sum()))
    assert counts == [4, 16]


def test_it_is_decoded_like_any_other(model_folder: Path, mixture: Mixture) -> None:
    picture = io.BytesIO()
    shown = next(mixture[i] for i in range(len(mixture)) if mixture[i].image)
    assert shown.image is not None
    shown.image.save(picture, "PNG")
    decoder = load_decoder(model_folder, ScoringSettings(max_new_tokens=4, batch_size=2))
    for image in (picture.getvalue(), None):
        predictions = decoder([Prompt("from na to nb", image), Prompt("from na to nc", image)])
        assert [1 <= (prediction.tokens or 0) <= 4 for prediction in predictions] == [True, True]
    asked = [Prompt(f"from n a to n {to}", picture.getvalue(), "forced") for to in "bc"]
    assert [prediction.text.split()[:3] for prediction in decoder(asked)] == [["Converted", "to", "text:"]] * 2


@pytest.mark.parametrize("family", ["qwen", "tiny"])
def test_parts_are_told_by_their_names(family: str, model_folder: Path, tiny_model: Path) -> None:
    folder = model_folder if family == "qwen" else tiny_model
    model = load_model(folder, dtype=torch.float32, attention="eager")
    assert {part_of(name) for name, _ in model.named_parameters()} == {*PARTS}
    assert parameter_count(folder) == sum(parameter.numel() for parameter in model.parameters())
    counts = freeze(model, ["vision"])
    assert counts["vision"][1] == 0 < counts["vision"][0]
    assert counts["projector"][0] == counts["projector"][1] > 0
    learning = {part_of(name) for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning == {"projector", "language"}
    layers = linear_layers(model, ["vision"])
    assert layers
    assert "lm_head" not in layers
    assert all(part_of(name) != "vision" for name in layers)


def test_a_text_example_is_worded_like_the_same_with_an_image(model_folder: Path) -> None:
    collator = Collator(ExampleEncoder(load_processor(model_folder)))
    batch = collator([Example(0, "text", "na:7", "7 = 7", None)])
    assert "pixel_values" not in batch
