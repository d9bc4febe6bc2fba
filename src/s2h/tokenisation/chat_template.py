"""Prompts and a conversation's later turns, as the model's own chat template writes them.

Training and scoring encode their prompts here, so that both are alike. A processor needs torch; importing this module
does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from s2h.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

_RESPONSE, _QUESTION = "s2hresponse", "s2hquestion"  # words that no template has


def user_turn(prompt: str, *, with_image: bool) -> list[dict[str, Any]]:
    """A conversation of one user turn, as chat templates read it; the image comes first."""
    image = [{"type": "image"}] if with_image else []
    return [{"role": "user", "content": [*image, {"type": "text", "text": prompt}]}]


def prompt_text(processor: Any, prompt: str, *, with_image: bool) -> str:
    """The text that stands before the response: the chat template applied, with the marker of the model's turn."""
    turn = user_turn(prompt, with_image=with_image)
    text: str = processor.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
    return text


def encode_prompts(processor: Any, prompts: Sequence[str], images: Sequence[Image.Image | None]) -> dict[str, Tensor]:
    """Prompts and their images through the chat template and the processor, padded to one length.

    Args:
        processor: tokenizer, image processor and chat template of a model.
        prompts: the user's turns, without the images.
        images: for each prompt its image, or None.

    Returns:
        ``input_ids``, ``attention_mask`` ``int64[B, L]`` and, where there are images, what the model reads of them.
    """
    pairs = zip(prompts, images, strict=True)
    texts = [prompt_text(processor, prompt, with_image=image is not None) for prompt, image in pairs]
    present = [image for image in images if image is not None]
    return dict(processor(text=texts, images=present or None, padding=True, return_tensors="pt"))


class LaterTurns:
    """The text between two responses of a conversation.

    A response is closed by the end-of-turn token, as in an example of one turn; what follows up to the next response
    (the marks of the turns and the user's text) is masked out of the loss.

    Args:
        processor: of the model; its chat template is read once, when it is first needed.
    """

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._around: tuple[str, str] | None = None

    def between(self, question: str) -> str:
        """The text between a response's end-of-turn token and the next response.

        Raises:
            ModelError: the model's chat template takes no conversation of several turns.
        """
        before, after = self._around = self._around or self._read_template()
        return f"{before}{question}{after}"

    def _read_template(self) -> tuple[str, str]:
        turns = [("user", "x"), ("assistant", _RESPONSE), ("user", _QUESTION)]
        messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]
        try:
            whole = self._processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception as error:  # a template's own errors are of several kinds
            raise ModelError(f"the model's chat template takes no conversation of several turns: {error}") from None
        parts = re.split(f"{_RESPONSE}|{_QUESTION}", whole)
        if len(parts) != 3:
            raise ModelError(f"the model's chat template leaves turns out of a conversation: {whole[-200:]!r}")
        end = re.escape(self._processor.tokenizer.eos_token)
        return re.sub(rf"^\s*{end}", "", parts[1], count=1), parts[2]
