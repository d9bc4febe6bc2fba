"""Text and pictures for Eagle-X2: the chat format that the released models were trained with, and square pictures."""

from __future__ import annotations

from typing import Any

from transformers import LlavaImageProcessorPil, ProcessorMixin

from s2h.errors import ModelError

BOS, TURN_END, TEXT_END = "<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>"
PAD, IMAGE = "<|reserved_special_token_0|>", "<|reserved_special_token_1|>"
"""Llama-3's reserved words: the release pads with the first; the second holds the places of images here."""

SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
"""The system turn of every conversation of the released models (LLaVA's), word for word: they never saw another."""

CHAT_TEMPLATE = (
    "{%- set own = messages[0].role == 'system' -%}"
    "{{- '" + BOS + "' -}}"
    "{%- for message in (messages if own else [{'role': 'system', 'content': '" + SYSTEM + "'}] + messages) -%}"
    "{{- '<|start_header_id|>' + message.role + '<|end_header_id|>' -}}"
    "{%- if message.content is string -%}{{- message.content -}}{%- else -%}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}{{- '" + IMAGE + "\n' -}}{%- else -%}{{- part.text -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '" + TURN_END + "' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>' -}}{%- endif -%}"
)
"""The released models' chat format.

QUIRK: unlike Meta's own, no line ends follow a header. A line end follows the image, which opens the user's turn.
QUIRK not kept: the release's evaluation writes the word ``<image>`` into the prompts of examples without an image,
its training does not; here neither does.
"""


class EagleX2ImageProcessor(LlavaImageProcessorPil):  # type: ignore[misc, unused-ignore]
    """Pictures as the released models see them, ``float[3, size, size]`` each.

    They are padded to a square, in the middle, with CLIP's mean colour (QUIRK: cut off, not rounded, to 122, 116,
    104), resized bicubically, and normalised once, with CLIP's constants, for both towers. Pillow resizes, as in the
    release: torchvision comes out up to one level of brightness differently.
    """

    do_pad = True
    size = {"shortest_edge": 1024}  # noqa: RUF012
    crop_size = {"height": 1024, "width": 1024}  # noqa: RUF012


class EagleX2Processor(ProcessorMixin):  # type: ignore[misc, unused-ignore]
    """Text through Llama-3's tokenizer, pictures padded to a square; an image token stands for each place of the grid.

    Texts bring their own BOS, as the chat template writes it: the tokenizer adds none, even where it would.

    Args:
        image_processor: of pictures.
        tokenizer: Llama-3's, or one with its special tokens.
        image_seq_length: tokens of an image.
        image_token: that stands for an image in a text.
        chat_template: by default that of the released models.

    Raises:
        ModelError: the tokenizer lacks the image token.
    """

    text_kwargs = {"add_special_tokens": False}  # noqa: RUF012

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        image_seq_length: int = 1024,
        image_token: str = IMAGE,
        chat_template: str | None = None,
    ) -> None:
        self.image_seq_length = image_seq_length
        self.image_token = image_token
        self.image_token_id = tokenizer.convert_tokens_to_ids(image_token)
        if self.image_token_id in (None, tokenizer.unk_token_id):
            raise ModelError(f"the tokenizer has no token {image_token}, which holds the place of an image.")
        super().__init__(image_processor, tokenizer, chat_template=chat_template or CHAT_TEMPLATE)

    def replace_image_token(self, image_inputs: dict[str, Any], image_idx: int, **kwargs: Any) -> str:
        """The tokens in place of one image."""
        return self.image_token * self.image_seq_length


def check_words(tokenizer: Any) -> None:
    """Raise ModelError where a tokenizer lacks special tokens of Llama-3."""
    needed = (BOS, TURN_END, TEXT_END, PAD, IMAGE, "<|start_header_id|>", "<|end_header_id|>")
    lacks = [word for word in needed if tokenizer.convert_tokens_to_ids(word) in (None, tokenizer.unk_token_id)]
    if lacks:
        raise ModelError(f"the tokenizer is not that of Llama-3: it has no {', '.join(lacks)}.")


def make_processor(tokenizer: Any, image_size: int, image_seq_length: int) -> EagleX2Processor:
    """The processor around a Llama-3 tokenizer, which is configured so that ``<|eot_id|>`` ends a turn.

    Args:
        tokenizer: it is changed: its BOS, EOS and padding are set.
        image_size: side of the square pictures, pixels (the release: 1024).
        image_seq_length: tokens of an image (the release: 1024).

    Raises:
        ModelError: it is another kind of tokenizer.
    """
    check_words(tokenizer)
    tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token = BOS, TURN_END, PAD
    tokenizer.padding_side = "left"
    images = EagleX2ImageProcessor(
        size={"shortest_edge": image_size}, crop_size={"height": image_size, "width": image_size}
    )
    return EagleX2Processor(images, tokenizer, image_seq_length=image_seq_length)
