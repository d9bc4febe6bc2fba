"""Greedy decoding in batches.

Shapes: B examples of a batch, L tokens of the longest prompt (padded on the left), T new tokens of the longest reply.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import GenerationConfig

from s2h.models.loading import load_model, load_processor, prompt_text
from s2h.models.settings import ScoringSettings


@dataclasses.dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked.

    Attributes:
        text: the user's turn, without the image.
        image: file of the picture, opened only when its batch is decoded; None for a text example.
    """

    text: str
    image: Path | None


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered.

    Attributes:
        text: the reply without special tokens.
        tokens: number of new tokens, the one that ends the reply included.
        seconds: the batch's time, divided by its number of examples.
    """

    text: str
    tokens: int
    seconds: float


class Decoder:
    """Greedy replies of a model; prompts are encoded as in training, but padded on the left.

    Args:
        model: on the device where it shall run, in the precision that it shall have.
        processor: tokenizer, image processor and chat template of the model; its padding side becomes left.
        settings: size of batches and longest reply.
    """

    def __init__(self, model: Any, processor: Any, settings: ScoringSettings) -> None:
        self.model, self.processor, self.settings = model.eval(), processor, settings
        tokenizer = processor.tokenizer
        tokenizer.padding_side = "left"
        own = model.generation_config.eos_token_id
        self._stops = sorted({tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None})
        # Replaced, not amended: a published model brings penalties and temperatures that greedy decoding must not have.
        model.generation_config = GenerationConfig(
            do_sample=False,
            max_new_tokens=settings.max_new_tokens,
            eos_token_id=self._stops,
            pad_token_id=tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
        )

    def __call__(self, prompts: Sequence[Prompt], progress: Callable[[int], None] = lambda done: None) -> list[Reply]:
        """The replies in the order of ``prompts``; ``progress`` is told after each batch how many are done."""
        replies: dict[int, Reply] = {}
        for batch in self._batches(prompts):
            replies.update(zip(batch, self._decode([prompts[i] for i in batch]), strict=True))
            progress(len(replies))
        return [replies[i] for i in range(len(prompts))]

    def _batches(self, prompts: Sequence[Prompt]) -> Iterator[list[int]]:
        """Positions of prompts of one kind and alike in length; the longest come first, so that memory fails early."""
        lengths = (
            [len(ids) for ids in self.processor.tokenizer([p.text for p in prompts])["input_ids"]] if prompts else []
        )
        for shows_image in (True, False):
            chosen = [i for i, prompt in enumerate(prompts) if (prompt.image is not None) == shows_image]
            chosen.sort(key=lambda i: -lengths[i])
            for start in range(0, len(chosen), self.settings.batch_size):
                yield chosen[start : start + self.settings.batch_size]

    def encode(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        """Model inputs (input_ids ``int64[B, L]`` and others) for prompts that all have an image or all have none."""
        texts = [prompt_text(self.processor, p.text, with_image=p.image is not None) for p in prompts]
        images = [Image.open(p.image).convert("RGB") for p in prompts if p.image is not None]
        return dict(self.processor(text=texts, images=images or None, padding=True, return_tensors="pt"))

    @torch.inference_mode()
    def _decode(self, prompts: Sequence[Prompt]) -> list[Reply]:
        started = time.perf_counter()
        inputs = {key: self._placed(value) for key, value in self.encode(prompts).items()}
        whole_BS = self.model.generate(**inputs)  # S = L + T
        new_BT = whole_BS[:, inputs["input_ids"].shape[1] :].tolist()
        seconds = (time.perf_counter() - started) / len(prompts)
        return [self._reply(ids, seconds) for ids in new_BT]

    def _placed(self, value: Tensor) -> Tensor:
        dtype = self.model.dtype if value.is_floating_point() else value.dtype
        return value.to(device=self.model.device, dtype=dtype)

    def _reply(self, ids: list[int], seconds: float) -> Reply:
        end = next((at for at, token in enumerate(ids) if token in self._stops), len(ids))
        text = self.processor.tokenizer.decode(ids[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Reply(text, min(end + 1, len(ids)), seconds)


def load_decoder(folder: str | Path, settings: ScoringSettings) -> Decoder:
    """The decoder of a model folder: on a GPU in bf16 where there is one, else on the CPU in fp32.

    Raises:
        ModelError: the folder holds no model or no processor.
    """
    on_gpu = torch.cuda.is_available()
    dtype = torch.bfloat16 if on_gpu else torch.float32
    model = load_model(folder, dtype=dtype, attention="sdpa" if on_gpu else "eager")  # as in training
    return Decoder(model.to("cuda" if on_gpu else "cpu"), load_processor(folder), settings)
