"""From examples to tensors: responses alone are learned, all of a conversation.

Shapes: B examples, L tokens of the longest of them. Padding is on the right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from s2h.models.loading import prompt_text
from s2h.seeding import generator
from s2h.training.data import Example
from s2h.training.turns import Turns

IGNORED = -100  # label of a token that is not learned, as torch's cross entropy reads it
_SEQUENCE_KEYS = {"input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids"}


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """Tokens behind a prompt.

    Attributes:
        ids: token ids.
        in_loss: whether they are a response, with the token that ends it.
    """

    ids: list[int]
    in_loss: bool


class Collator:
    """Tokenises prompts and responses apart, so that a prompt is tokenised in training exactly as in scoring.

    Args:
        processor: tokenizer, image processor and chat template of the model.
        random_positions: at the end of the phase, a response that reads the picture (format "image") starts up to
            this many positions later than it follows the prompt; the range grows evenly from none at half of the phase.
        seed: seed of the run; the shift of an example depends on it and the example's position alone.
        examples: number of examples of the phase.
        max_length: tokens after which examples are cut; None leaves them whole.
        masks: give the attention mask. A model whose tokens see only what stands before them needs none where padding
            is on the right, and computes faster without.
    """

    def __init__(
        self,
        processor: Any,
        *,
        random_positions: int,
        seed: int,
        examples: int,
        max_length: int | None = None,
        masks: bool = True,
    ) -> None:
        self.processor = processor
        self.max_length, self.masks = max_length, masks
        self._turns = Turns(processor)
        self.examples = examples
        self.random_positions = random_positions
        self.seed = seed

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """The model's inputs: input_ids, labels, attention_mask ``int64[B, L]``, pixel_values and what goes with them.

        ``position_ids int64[B, L]`` are there when ``random_positions`` is on.
        """
        encoded = self.encode_prompts(examples)
        prompts = [ids[mask.bool()] for ids, mask in zip(encoded["input_ids"], encoded["attention_mask"], strict=True)]
        batch = {key: value for key, value in encoded.items() if key not in _SEQUENCE_KEYS}
        batch |= self._sequences(prompts, self.encode_answers(examples))
        for key in ("mm_token_type_ids", "token_type_ids"):
            if key in encoded:  # zero is text: the response shows no image
                batch[key] = torch.zeros_like(batch["input_ids"])
                for row, (ids, mask) in enumerate(zip(encoded[key], encoded["attention_mask"], strict=True)):
                    kept = ids[mask.bool()][: self.max_length]
                    batch[key][row, : len(kept)] = kept
        if self.random_positions:
            batch["position_ids"] = self._positions(examples, [len(p) for p in prompts], batch["input_ids"].shape[1])
        elif not self.masks:  # without a mask transformers takes positions that leap for several sequences in a row
            del batch["attention_mask"]
        return batch

    def encode_prompts(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """The prompts and images through the processor."""
        texts = [prompt_text(self.processor, e.prompt, with_image=e.image is not None) for e in examples]
        images = [e.image for e in examples if e.image is not None]
        return dict(self.processor(text=texts, images=images or None, padding=True, return_tensors="pt"))

    def encode_responses(self, responses: list[str]) -> list[list[int]]:
        """Token ids of the responses, each closed by the end-of-turn token."""
        tokenizer = self.processor.tokenizer
        encoded: list[list[int]] = tokenizer(responses, add_special_tokens=False)["input_ids"]
        return [[*ids, tokenizer.eos_token_id] for ids in encoded]

    def encode_answers(self, examples: Sequence[Example]) -> list[list[Segment]]:
        """What follows the prompt of each example: its response, and the later turns of a conversation."""
        first = self.encode_responses([example.response for example in examples])
        answers = [[Segment(ids, in_loss=True)] for ids in first]
        for answer, example in zip(answers, examples, strict=True):
            answer += self.encode_more(example.more)
        return answers

    def encode_more(self, more: Sequence[str]) -> list[Segment]:
        """The later turns of a conversation, of user and model by turns."""
        if not more:
            return []
        between = [self._turns.between(question) for question in more[::2]]
        given: list[list[int]] = self.processor.tokenizer(between, add_special_tokens=False)["input_ids"]
        responses = self.encode_responses(list(more[1::2]))
        pairs = zip(given, responses, strict=True)
        return [piece for q, r in pairs for piece in (Segment(q, in_loss=False), Segment(r, in_loss=True))]

    def _sequences(self, prompts: list[Tensor], answers: list[list[Segment]]) -> dict[str, Tensor]:
        pad = torch.nn.utils.rnn.pad_sequence
        whole, labels = [], []
        for prompt, answer in zip(prompts, answers, strict=True):
            pieces = [torch.tensor(piece.ids, dtype=prompt.dtype) for piece in answer]
            known = [
                ids if piece.in_loss else torch.full_like(ids, IGNORED)
                for ids, piece in zip(pieces, answer, strict=True)
            ]
            whole.append(torch.cat([prompt, *pieces])[: self.max_length])
            labels.append(torch.cat([torch.full_like(prompt, IGNORED), *known])[: self.max_length])
        return {
            "input_ids": pad(whole, batch_first=True, padding_value=self.processor.tokenizer.pad_token_id),
            "attention_mask": pad([torch.ones_like(ids) for ids in whole], batch_first=True),
            "labels": pad(labels, batch_first=True, padding_value=IGNORED),
        }

    def _positions(self, examples: Sequence[Example], prompt_lengths: list[int], length: int) -> Tensor:
        """Positions count on from 0; where the response reads the picture they are shifted by the example's own number.

        The other formats need no shift: they read text, which the mixtures hold in all lengths.
        """
        positions_BL = np.tile(np.arange(length), (len(examples), 1))
        for row, (example, start) in enumerate(zip(examples, prompt_lengths, strict=True)):
            if example.format == "image":
                rng = generator(self.seed, "position", example.position)
                late = max(2 * example.position - self.examples, 0)
                most = self.random_positions * late // self.examples
                positions_BL[row, start:] += rng.integers(0, most + 1)
        return torch.from_numpy(positions_BL)
