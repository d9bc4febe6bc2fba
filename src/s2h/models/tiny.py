"""The embedded model: a stock LLaVA (CLIP tower, projector, Llama) of about a million parameters, made from config.

It reads the compact style: 16-pixel tiles, one patch each, and words separated by white space.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from s2h.errors import ModelError
from s2h.models.sources import TinySource

SPECIAL = ("<pad>", "<unk>", "<end>", "<image>", "<user>", "<assistant>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if not loop.first %} {% endif %}"
    "{% if message.role == 'user' %}<user>{% else %}<assistant>{% endif %}"
    "{% for part in message.content %}{% if part.type == 'image' %} <image>{% else %} {{ part.text }}{% endif %}"
    "{% endfor %}{% if message.role == 'assistant' %} <end>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} <assistant>{% endif %}"
)


def make_tokenizer(vocabulary: Iterable[str]) -> PreTrainedTokenizerFast:
    """A word-level tokenizer that splits at white space; a word that is not in ``vocabulary`` becomes ``<unk>``."""
    vocabulary = [*SPECIAL, *sorted(set(vocabulary) - set(SPECIAL))]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end>",
        additional_special_tokens=["<image>", "<user>", "<assistant>"],
        clean_up_tokenization_spaces=False,
        padding_side="left",
        extra_special_tokens={"image_token": "<image>"},
    )


def make_processor(settings: TinySource, vocabulary: Iterable[str], image_size: int) -> LlavaProcessor:
    """The processor: pictures are scaled to -1..1, and never resized unless their size is not the model's."""
    size = {"height": image_size, "width": image_size}
    images = CLIPImageProcessor(
        size=size, do_resize=True, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=0
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=make_tokenizer(vocabulary),
        patch_size=settings.patch_size,
        vision_feature_select_strategy="default",
        image_token="<image>",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def make_config(settings: TinySource, tokenizer: PreTrainedTokenizerFast, image_size: int) -> LlavaConfig:
    """The stock LLaVA config in the sizes of ``settings``."""
    vision = CLIPVisionConfig(
        image_size=image_size,
        patch_size=settings.patch_size,
        hidden_size=settings.vision_width,
        intermediate_size=2 * settings.vision_width,
        num_hidden_layers=settings.vision_layers,
        num_attention_heads=settings.heads,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.text_width,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.text_layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
        image_seq_length=(image_size // settings.patch_size) ** 2,
        tie_word_embeddings=True,
    )


@torch.no_grad()
def initialise(model: LlavaForConditionalGeneration, settings: TinySource) -> None:
    """Draw all matrices from the normal distribution; the place of a patch is that of its row plus that of its column.

    A table's cell is asked for by row and column, so places that are sums are found from the start.
    """
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            parameter.normal_(std=settings.initializer_range)
    (places,) = [p for name, p in model.named_parameters() if name.endswith("position_embedding.weight")]
    side, width = math.isqrt(len(places) - 1), places.shape[1]  # the first is that of the class token
    rows, columns = torch.randn(side, 1, width), torch.randn(1, side, width)
    places[1:] = (rows + columns).flatten(0, 1) * settings.position_embedding_std / math.sqrt(2)


def build(settings: TinySource, *, vocabulary: Iterable[str], image_size: int, seed: int, folder: Path) -> None:
    """Make the model from random weights and write it with its processor, as ``from_pretrained`` reads them.

    Args:
        settings: sizes.
        vocabulary: the closed vocabulary of the tasks it will see.
        image_size: side of the square images that it will see, pixels; a multiple of the patch size.
        seed: seed of the initial weights.
        folder: where to write; it is made.
    """
    if image_size % settings.patch_size:
        raise ModelError(f"images of {image_size} pixels cannot be cut into patches of {settings.patch_size}.")
    processor = make_processor(settings, vocabulary, image_size)
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(make_config(settings, processor.tokenizer, image_size))
    initialise(model, settings)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
