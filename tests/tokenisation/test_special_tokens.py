"""Words that models read as something else than text."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import AddedToken

from s2h.models.loading import load_processor
from s2h.tokenisation.special_tokens import control_tokens, find_special_token, plain_question

TOKENS = [
    "<|im_end|>", "<|eot_id|>", "<|image_pad|>", "<|vision_start|>", "<|endoftext|>", "<|image_1|>",
    "<|begin_of_text|>", "<｜end▁of▁sentence｜>", "</s>", "<s>", "<end_of_turn>", "<IMG_CONTEXT>",
    "<image_soft_token>", "[INST]", "[/INST]", "[IMG]", "<video>", "<pad>", "<image>",
]  # fmt: skip
TEXT = [
    "a < b > c",
    "<b>bold</b>",
    "|x|",
    "x <| y |> z",
    "[1, 2]",
    "<Convert>",
    "<|box_start|>(1,2)<|box_end|>",
    "<ref>",
]


@pytest.mark.parametrize("token", TOKENS)
def test_special_tokens_are_found(token: str) -> None:
    assert find_special_token(f"before{token} after {token}") == token


@pytest.mark.parametrize("text", TEXT)
def test_text_is_left_alone(text: str) -> None:
    assert find_special_token(text) == ""
    assert plain_question(f" {text}\n", has_image=True) == f" {text}\n"


@pytest.mark.parametrize("asked", ["<image>\nHow many?", "How many?\n<image>", " <image> How many?"])
def test_the_mark_of_the_image_is_taken_out(asked: str) -> None:
    assert plain_question(asked, has_image=True) == "How many?"
    with pytest.raises(ValueError, match="1 times, and 0 images"):
        plain_question(asked, has_image=False)


@pytest.mark.parametrize("asked", ["<image> <image> x", "<image> x <|im_end|>", "<ima<image>ge>"])
def test_what_asks_for_more_is_refused(asked: str) -> None:
    with pytest.raises(ValueError, match=r"stands in it|special token"):
        plain_question(asked, has_image=True)


def test_a_model_names_its_own(tiny_model: Path) -> None:
    assert control_tokens(load_processor(tiny_model)) == ["<end>", "<image>", "<pad>", "<unk>"]
    tokens = ["!", "<|im_end|>", "<|box_start|>", "</box>", "<end_of_turn>"]
    added = {place: AddedToken(token, special=True) for place, token in enumerate(tokens)}
    added[9] = AddedToken("<tool_call>", special=False)
    processor = SimpleNamespace(tokenizer=SimpleNamespace(added_tokens_decoder=added), image_token="<|image_pad|>")
    assert control_tokens(processor) == ["<end_of_turn>", "<|im_end|>", "<|image_pad|>"]
