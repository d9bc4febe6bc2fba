"""A small Eagle-X2 from random weights: the real classes, and tokenizers with Llama-3's special tokens made here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import GenerationConfig, PreTrainedTokenizerFast

from s2h.models.eagle import EagleX2Config, EagleX2ForConditionalGeneration
from s2h.models.eagle.processing import SYSTEM, make_processor

SPECIAL = (
    "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
    "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
)  # fmt: skip
IMAGE_SIZE, IMAGE_TOKENS = 128, 16


def llama_tokenizer(
    words: Iterable[str], *, adds_bos: bool, special: tuple[str, ...] = SPECIAL
) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words with Llama-3's special tokens; some of Llama-3's add a BOS, some do not."""
    vocabulary = [*special, *sorted({*words, *SYSTEM.split(), "system", "user", "assistant", "<unk>"})]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|begin_of_text|>",
        eos_token="<|end_of_text|>",
        unk_token="<unk>",
        additional_special_tokens=list(special[2:]),
    )
    if adds_bos:
        bos = ("<|begin_of_text|>", 0)
        backend = tokenizer.backend_tokenizer
        backend.post_processor = TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[bos])
    return tokenizer


def small_config(tokenizer: PreTrainedTokenizerFast) -> EagleX2Config:
    """CLIP's 3 x 3 patches are brought to ConvNeXt's 4 x 4 places."""
    ids = {word: tokenizer.convert_tokens_to_ids(word) for word in SPECIAL}
    return EagleX2Config(
        vision_config={
            "clip_config": {
                "hidden_size": 64,
                "intermediate_size": 96,
                "num_hidden_layers": 2,
                "num_attention_heads": 1,
                "image_size": 42,
                "patch_size": 14,
            },
            "convnext_depths": [1, 1, 2, 1],
            "convnext_widths": [8, 12, 16, 24],
            "convnext_head": 10,
            "image_size": IMAGE_SIZE,
        },
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0},
            "bos_token_id": ids["<|begin_of_text|>"],
            "eos_token_id": [ids["<|end_of_text|>"], ids["<|eot_id|>"]],
            "pad_token_id": ids["<|reserved_special_token_0|>"],
        },
        image_token_index=ids["<|reserved_special_token_1|>"],
    )


def small_model(tokenizer: PreTrainedTokenizerFast) -> EagleX2ForConditionalGeneration:
    """Random weights, large enough for replies to depend on prompts and pictures."""
    torch.manual_seed(0)
    model = EagleX2ForConditionalGeneration(small_config(tokenizer))
    for name, parameter in model.named_parameters():
        if name.endswith("gamma"):
            torch.nn.init.uniform_(parameter, 0.5, 1.0)
        elif parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    ends = model.config.text_config.eos_token_id
    model.generation_config = GenerationConfig(
        bos_token_id=0, eos_token_id=ends, pad_token_id=tokenizer.convert_tokens_to_ids(SPECIAL[2])
    )
    return model


def build(folder: Path, words: Iterable[str], *, adds_bos: bool = False) -> None:
    """Write the model and its processor; an image becomes 4 x 4 tokens."""
    tokenizer = llama_tokenizer(words, adds_bos=adds_bos)
    small_model(tokenizer).save_pretrained(folder)
    make_processor(tokenizer, IMAGE_SIZE, IMAGE_TOKENS).save_pretrained(folder)
