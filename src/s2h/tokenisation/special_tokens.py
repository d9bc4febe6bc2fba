"""Special tokens in texts of users: what stands for an image or ends a turn in a model must not stand in a text.

Processors and servers read such a word as the token itself, wherever it stands: an image token in a question asks for a
second image, and the end of a turn in a response is learned as its end.
"""

from __future__ import annotations

import re
from typing import Any

IMAGE_MARK = "<image>"
"""Stands in a text where LLaVA's code, and data made for it, put the image."""

_PLACES = r"(?:(?:box|object_ref|quad)_(?:start|end))"  # Qwen's marks of objects and places, which data may teach
_NAMES = (
    *("s", "unk", "pad", "bos", "eos", "mask", "image", "video", "audio", "img", "IMG_CONTEXT", "image_placeholder"),
    *("image_soft_token", "fake_token_around_image", "end_of_utterance", "im_start", "im_end", "im_patch"),
    *("start_of_turn", "end_of_turn", "start_of_image", "end_of_image"),
)
_KNOWN = re.compile(
    rf"<\|(?!{_PLACES}\|>)[\w.-]{{1,40}}\|>"
    r"|<｜[^<>｜\s]{1,40}｜>"
    rf"|</?(?:{'|'.join(_NAMES)})>"
    r"|\[(?:/?INST|IMG|IMG_BREAK|IMG_END)\]"
)
_OF_PLACES = re.compile(rf"<\|{_PLACES}\|>|</?(?:ref|box|quad)>")
_LEAST = 3  # characters of a token that no text has by chance; CLIP pads with an exclamation mark


def find_special_token(text: str) -> str:
    """The first special token of a well-known model in a text; empty where there is none."""
    found = _KNOWN.search(text)
    return found[0] if found else ""


def control_tokens(processor: Any) -> list[str]:
    """The special tokens of a model that no text may hold: all but those that mark objects and places.

    Args:
        processor: of the model, with its tokenizer.
    """
    images = [getattr(processor, f"{kind}_token", None) for kind in ("image", "video", "audio")]
    added = [token.content for token in processor.tokenizer.added_tokens_decoder.values() if token.special]
    named = {token for token in [*added, *images] if token}
    return sorted(
        token for token in named if len(token) >= _LEAST and token[0] in "<[" and not _OF_PLACES.fullmatch(token)
    )


def plain_question(text: str, *, has_image: bool) -> str:
    """A user's text without the mark of its image, which is shown before the text wherever the mark stands.

    Args:
        text: of a user's turn.
        has_image: whether an image is shown.

    Raises:
        ValueError: the text holds a mark without an image, several marks, or a special token.
    """
    marks = text.count(IMAGE_MARK)
    if marks > has_image:
        raise ValueError(f"{IMAGE_MARK} stands in it {marks} times, and {int(has_image)} images are shown")
    plain = text.replace(IMAGE_MARK, "").strip() if marks else text
    if token := find_special_token(plain):
        raise ValueError(f"it holds {token}, a special token of some models, which would be read as that token")
    return plain
