"""A small InternVL from random weights: a family that nothing in s2h speaks of by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import (
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    PreTrainedTokenizerFast,
)

from tests.models.words import word_tokenizer

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>", "<unk>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|> {{ message.role }} {% for part in message.content %}"
    "{% if part.type == 'image' %}<IMG_CONTEXT> {% else %}{{ part.text }} {% endif %}{% endfor %}<|im_end|> "
    "{% endfor %}{% if add_generation_prompt %}<|im_start|> assistant{% endif %}"
)
_SIDE, _TOKENS = 96, 9

_NAMED = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}


def build(folder: Path, words: Iterable[str]) -> None:
    """Write the model and its processor; an image becomes 3 x 3 tokens."""
    tokenizer = word_tokenizer(SPECIAL, {*words, "user", "assistant"}, named=_NAMED)
    size = {"height": _SIDE, "width": _SIDE}
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=size, crop_to_patches=False),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(),
        image_seq_length=_TOKENS,
        chat_template=CHAT_TEMPLATE,
    )
    torch.manual_seed(0)
    model = InternVLForConditionalGeneration(_config(tokenizer))
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _config(tokenizer: PreTrainedTokenizerFast) -> InternVLConfig:
    return InternVLConfig(
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(tokenizer),
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": [_SIDE, _SIDE],
            "patch_size": [16, 16],
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=_TOKENS,
        downsample_ratio=0.5,
    )
