"""Greedy decoding in batches.

Shapes: B examples of a batch, L tokens of the longest prompt (padded on the left), T new tokens of the longest output.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor
from transformers import GenerationConfig

from s2h.devices import local_device
from s2h.errors import DataError, ModelError
from s2h.images import decode_image
from s2h.logs import LOGGER
from s2h.models.loading import load_model, load_processor
from s2h.models.settings import ScoringSettings
from s2h.scoring.openings import opening_ids, starting_tokens, with_opening
from s2h.supervision.conversion import Conversion
from s2h.tokenisation.chat_template import encode_prompts
from s2h.tokenisation.special_tokens import control_tokens

_MOST = 256  # examples of a batch whose size is found by memory: larger ones wait for their longest prediction
_FREE_SHARE = 0.6  # of the free memory is planned with; the rest is for what is not counted


@dataclasses.dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt for a model.

    Attributes:
        text: the user's turn, without the image.
        image: a picture file in any format; None for a text example.
        conversion: whether the response begins with the conversion of the image to text.
    """

    text: str
    image: bytes | None
    conversion: Conversion = "free"


@dataclasses.dataclass(frozen=True, slots=True)
class Prediction:
    """The response of a model to a prompt.

    Attributes:
        text: the prediction without special tokens; a forced conversion belongs to it, and reasoning as a ``<think>``
            block before what the model says.
        tokens: number of its tokens, reasoning and the one that ends it included; None where that is not known.
        seconds: the batch's time, divided by its number of examples.
        prompt_tokens: of the prompt, as the server counts them; None where it does not.
        reasoning_tokens: of the tokens, those that were reasoning; likewise.
        finish: why it ended: ``stop``; ``length``, cut off at the longest prediction; ``content_filter``; ``refused``
            and ``failed``: there is no prediction, as the server refuses the prompt for good, or gave none that can be
            used in several tries; or another word of the server's. None where it is not known.
        error: why there is no prediction.
        version: of the model, as the server calls it.
    """

    text: str
    tokens: int | None
    seconds: float
    prompt_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish: str | None = None
    error: str | None = None
    version: str | None = None


class Decoder:
    """Greedy predictions of a model; prompts are encoded as in training, but padded on the left.

    Args:
        model: on the device where it shall run, in the precision that it shall have.
        processor: tokenizer, image processor and chat template of the model; its padding side becomes left.
        settings: size of batches and longest prediction.
        share: of the machine's memory that this decoder may use, where several run side by side.
    """

    def __init__(self, model: Any, processor: Any, settings: ScoringSettings, *, share: float = 1.0) -> None:
        self.model, self.processor, self.settings = model.eval(), processor, settings
        self._share = share
        self._most = _MOST if settings.batch_size == "auto" else int(settings.batch_size)
        tokenizer = processor.tokenizer
        tokenizer.padding_side = "left"
        own = model.generation_config.eos_token_id
        self._opening = opening_ids(tokenizer)
        self._control = control_tokens(processor)
        self._stops = sorted({tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None})
        # Replaced, not amended: a published model brings penalties and temperatures that greedy decoding must not have.
        model.generation_config = GenerationConfig(
            do_sample=False,
            max_new_tokens=settings.max_new_tokens,
            eos_token_id=self._stops,
            pad_token_id=tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
        )

    def __call__(self, prompts: Sequence[Prompt]) -> list[Prediction]:
        """The predictions, in their order, for prompts of one kind: all with an image or all without, one conversion.

        Raises:
            ModelError: not even one example fits the memory.
        """
        predictions: list[Prediction] = []
        while len(predictions) < len(prompts):
            rest = prompts[len(predictions) :]
            size = min(self._most, len(rest))
            if self.settings.batch_size == "auto" and size > 1:
                size = min(size, self._fitting(rest[:size]))
            try:
                predictions += self._decode(rest[:size])
            except torch.OutOfMemoryError as error:
                if size == 1:
                    raise ModelError(
                        "one example alone does not fit the memory: lower scoring.max_new_tokens, or use a larger GPU."
                    ) from error
                torch.cuda.empty_cache()
                self._most = size // 2
                LOGGER.warning("a batch of %d does not fit the memory: continuing with %d", size, self._most)
        return predictions

    def encode(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        """Model inputs (input_ids ``int64[B, L]`` and others) for prompts of one kind, with a forced conversion.

        Raises:
            DataError: a prompt holds one of the model's special tokens.
        """
        for prompt in prompts:
            self._refuse_special_tokens(prompt.text)
        images = [None if p.image is None else decode_image(p.image) for p in prompts]
        encoded = encode_prompts(self.processor, [p.text for p in prompts], images)
        return with_opening(encoded, self._opening) if prompts[0].conversion == "forced" else encoded

    def _refuse_special_tokens(self, text: str) -> None:
        found = [token for token in self._control if token in text]
        if found:
            raise DataError(
                f"a question holds {', '.join(found)}, which the model reads as a special token: take it out of the "
                f"question. It begins: {text[:200]!r}"
            )

    def _fitting(self, prompts: Sequence[Prompt]) -> int:
        """How many examples as long as the longest of ``prompts`` fit the memory, by what is free now."""
        longest = max(prompts, key=lambda prompt: len(prompt.text))
        tokens = self.encode([longest])["input_ids"].shape[1]
        free = psutil.virtual_memory().available * self._share
        if self.model.device.type == "cuda":
            free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return max(int(free * _FREE_SHARE / example_bytes(self.model, tokens, self.settings.max_new_tokens)), 1)

    @torch.inference_mode()
    def _decode(self, prompts: Sequence[Prompt]) -> list[Prediction]:
        started = time.perf_counter()
        inputs = {key: self._placed(value) for key, value in self.encode(prompts).items()}
        # The inputs end with the first tokens of a response whose conversion is forced.
        given = len(self._opening) if prompts[0].conversion == "forced" else 0
        limits: dict[str, Any] = {"max_new_tokens": max(self.model.generation_config.max_new_tokens - given, 1)}
        if prompts[0].conversion == "forbidden":
            limits["begin_suppress_tokens"] = self._starting_tokens
        whole_BS = self.model.generate(**inputs, **limits)  # S = L + T
        new_BT = whole_BS[:, inputs["input_ids"].shape[1] - given :].tolist()
        seconds = (time.perf_counter() - started) / len(prompts)
        return [self._prediction(ids, seconds) for ids in new_BT]

    @cached_property
    def _starting_tokens(self) -> list[int]:
        return starting_tokens(self.processor.tokenizer)

    def _placed(self, value: Tensor) -> Tensor:
        dtype = self.model.dtype if value.is_floating_point() else value.dtype
        return value.to(device=self.model.device, dtype=dtype)

    def _prediction(self, ids: list[int], seconds: float) -> Prediction:
        end = next((at for at, token in enumerate(ids) if token in self._stops), len(ids))
        text = self.processor.tokenizer.decode(ids[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        finish = "stop" if end < len(ids) else "length"
        return Prediction(text, min(end + 1, len(ids)), seconds, finish=finish)


def example_bytes(model: Any, tokens: int, new_tokens: int) -> int:
    """Memory that one example of a batch takes, about: keys and values of all its tokens, and what a layer computes.

    Args:
        model: with its config.
        tokens: of the prompt.
        new_tokens: of the longest prediction.
    """
    config, size = model.config.get_text_config(), model.dtype.itemsize
    heads = config.num_attention_heads
    head_width = getattr(config, "head_dim", None) or config.hidden_size // heads
    cached = 2 * config.num_hidden_layers * config.num_key_value_heads * head_width * (tokens + new_tokens) * size
    layer = tokens * (4 * config.hidden_size + 2 * config.intermediate_size) * size
    plain = config._attn_implementation == "eager"  # holds every head's weights, in fp32 for the softmax
    return int(cached + layer + (heads * tokens * tokens * (size + 4) if plain else 0))


def load_decoder(
    folder: str | Path, settings: ScoringSettings, *, rank: int = 0, share: float = 1.0, **options: Any
) -> Decoder:
    """The decoder of a model folder: in bf16 on the GPU that is given (``local_device``), else in fp32 on the CPU.

    Args:
        folder: what ``save_pretrained`` wrote.
        settings: how to decode.
        rank: number of this process among those that decode together; each has its own GPU.
        share: of the machine's memory that the decoder may use.
        options: keyword arguments for loading the processor, e.g. ``max_pixels``.

    Raises:
        ModelError: the folder holds no model or no processor, or a GPU is missing.
    """
    device = local_device(rank)
    on_gpu = device.type == "cuda"
    dtype = torch.bfloat16 if on_gpu else torch.float32
    model = load_model(folder, dtype=dtype, attention="sdpa" if on_gpu else "eager")  # as in training
    return Decoder(model.to(device), load_processor(folder, **options), settings, share=share)
