"""Token ids are those of the template's conversation; the loss mask is on its responses and nowhere else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from s2h.models.loading import load_processor
from s2h.supervision.examples import Example, Mixture
from s2h.tokenisation.chat_template import user_turn
from s2h.tokenisation.encoding import EncodedExample, ExampleEncoder


@pytest.fixture(scope="module")
def encoder(model_folder: Path) -> ExampleEncoder:
    return ExampleEncoder(load_processor(model_folder))


def encoded(encoder: ExampleEncoder, example: Example) -> EncodedExample:
    return encoder([example]).examples[0]


def in_loss(example: EncodedExample) -> list[int]:
    return [token for token, kept in zip(example.ids, example.loss_mask, strict=True) if kept]


def test_ids_are_the_templates_conversation_and_the_loss_mask_is_on_its_responses(
    encoder: ExampleEncoder, conversations: Path
) -> None:
    mixture, processor = Mixture.read(conversations), encoder.processor
    examples = [mixture[place] for place in range(40)]
    assert {len(example.more) for example in examples} >= {0, 2, 4}
    assert {example.image is None for example in examples} == {True, False}
    for example, found in zip(examples, encoder(examples).examples, strict=True):
        turns = user_turn(example.prompt, with_image=example.image is not None)
        for place, text in enumerate((example.response, *example.more)):
            role = ("assistant", "user")[place % 2]
            turns.append({"role": role, "content": [{"type": "text", "text": text}]})
        text = processor.apply_chat_template(turns, tokenize=False)
        expected = processor(text=[text], images=[example.image] if example.image else None)["input_ids"][0]
        assert found.ids == list(expected[: len(found.ids)])
        assert len(expected) - len(found.ids) <= 1  # what a template writes behind the last end-of-turn token
        words, end = processor.tokenizer.decode(in_loss(found)).split(), processor.tokenizer.eos_token
        assert words == [word for response in example.responses for word in [*response.split(), end]]
        assert not any(found.loss_mask[: found.prompt_length])


def test_a_truncated_example_is_the_beginning_of_the_whole(encoder: ExampleEncoder, conversations: Path) -> None:
    mixture = Mixture.read(conversations)
    example = max((mixture[place] for place in range(len(mixture))), key=lambda each: len(each.more))
    whole = encoded(encoder, example)
    length = len(whole.ids) - 5
    cut = encoded(ExampleEncoder(encoder.processor, max_length=length), example)
    assert cut == dataclasses.replace(whole, ids=whole.ids[:length], loss_mask=whole.loss_mask[:length])
    few = encoded(ExampleEncoder(encoder.processor, max_length=3), example)
    assert few.ids == whole.ids[:3]
    assert few.loss_mask == [False] * 3
    assert few.prompt_length == whole.prompt_length
    assert few.token_types == {name: types[:3] for name, types in whole.token_types.items()}


def test_examples_that_are_encoded_together_are_as_each_alone(encoder: ExampleEncoder, conversations: Path) -> None:
    mixture = Mixture.read(conversations)
    examples = [mixture[place] for place in range(8)]
    together = encoder(examples)
    assert together.examples == [encoded(encoder, example) for example in examples]
    assert ("pixel_values" in together.images) == any(example.image for example in examples)


def test_a_model_folder_is_enough(tiny_model: Path, encoder: ExampleEncoder) -> None:
    example = Example(0, "image", "from a to b", "7", Image.new("RGB", (96, 96)))
    direct = ExampleEncoder(load_processor(tiny_model))
    assert encoded(ExampleEncoder.of_model(tiny_model), example) == encoded(direct, example)


def test_token_types_are_the_prompts(encoder: ExampleEncoder) -> None:
    example = Example(0, "image", "from a to b", "7", Image.new("RGB", (96, 96)))
    found: Any = encoded(encoder, example).token_types
    expected = {"mm_token_type_ids", "token_type_ids"} & set(encoder.processor.model_input_names)
    assert set(found) == expected
    for types in found.values():
        assert len(types) == encoded(encoder, example).prompt_length
