"""The conversion at the beginning of a response, in tokens: given to the model, or kept from it.

Shapes: B examples of a batch, L tokens of the longest prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from s2h.errors import ModelError
from s2h.supervision.conversion import OPENING
from s2h.supervision.formats import TRANSCRIPTION_HEADER
from s2h.tokenisation.chat_template import prompt_text, user_turn
from s2h.tokenisation.encoding import SEQUENCES


def opening_ids(tokenizer: Any) -> list[int]:
    """The tokens of ``OPENING``, as a response of training begins with them."""
    ids: list[int] = tokenizer(OPENING, add_special_tokens=False)["input_ids"]
    return ids


def with_opening(encoded: dict[str, Tensor], ids: Sequence[int]) -> dict[str, Tensor]:
    """Encoded prompts, padded on the left, each followed by the same first tokens of its response.

    Args:
        encoded: what ``encode_prompts`` gave, with tensors ``int64[B, L]`` among them.
        ids: of these tokens.
    """
    size = len(encoded["input_ids"]), len(ids)
    behind = {"input_ids": torch.tensor(ids).expand(size), "attention_mask": torch.ones(size, dtype=torch.int64)}
    text = torch.zeros(size, dtype=torch.int64)  # the type of tokens that are no image
    return {
        name: torch.cat([value, behind.get(name, text)], dim=1) if name in SEQUENCES else value
        for name, value in encoded.items()
    }


def starting_tokens(tokenizer: Any) -> list[int]:
    """Every token with which a response can begin that begins with the conversion.

    These are the first letters of ``TRANSCRIPTION_HEADER`` in all lengths that are a token, with white space before
    them or without, and white space alone.
    """
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))], clean_up_tokenization_spaces=False)
    starts = [text.lstrip() for text in texts]
    return [
        token
        for token, start in enumerate(starts)
        if TRANSCRIPTION_HEADER.startswith(start) or start.startswith(TRANSCRIPTION_HEADER)
    ]


def opening_message() -> dict[str, Any]:
    """The response as far as it is given, as the last message of a conversation that a server continues."""
    return {"role": "assistant", "content": [{"type": "text", "text": OPENING}]}


def check_continuation(processor: Any) -> None:
    """Check that a server which continues ``opening_message`` gives the model the tokens that we would.

    Raises:
        ModelError: the model's chat template does not leave the beginning of a response as it is.
    """
    messages = [*user_turn("x", with_image=True), opening_message()]
    tokenizer = processor.tokenizer
    try:
        found = processor.apply_chat_template(messages, continue_final_message=True, tokenize=False)
    except Exception as error:  # a template's own errors are of several kinds
        raise ModelError(f"the model's chat template cannot continue a response ({error}): {_ADVICE}") from None
    prompt = tokenizer(prompt_text(processor, "x", with_image=True), add_special_tokens=False)["input_ids"]
    if tokenizer(found, add_special_tokens=False)["input_ids"] != [*prompt, *opening_ids(tokenizer)]:
        raise ModelError(f"the model's chat template continues {OPENING!r} as {found[-80:]!r}: {_ADVICE}")


_ADVICE = "set scoring.backend to transformers, or leave conversions out of its runs."
