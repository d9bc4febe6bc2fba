"""From an example to token ids and a loss mask: the responses are in the loss, and nothing else.

Prompts and responses are tokenised apart, so that a prompt is tokenised in training exactly as in scoring. A processor
needs torch; importing this module does not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2h.supervision.examples import Example
from s2h.tokenisation.chat_template import LaterTurns, encode_prompts

if TYPE_CHECKING:
    from torch import Tensor

_TOKEN_TYPES = ("mm_token_type_ids", "token_type_ids")
SEQUENCES = {"input_ids", "attention_mask", *_TOKEN_TYPES}
"""The outputs of a processor that have an entry for each token; all others belong to the images."""


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """Tokens behind a prompt that are in the loss all together, or not at all.

    Attributes:
        ids: token ids.
        in_loss: whether they are a response, with the token that ends it.
    """

    ids: list[int]
    in_loss: bool


@dataclasses.dataclass(frozen=True, slots=True)
class EncodedExample:
    """An example as a model is trained on it; all lists but the token types have a value for each token.

    Attributes:
        ids: token ids: of the prompt, image tokens included, and of all behind it.
        loss_mask: whether a token is in the loss.
        prompt_length: tokens of the prompt, those that are truncated included.
        token_types: by name of a model's input, the type of each token of the prompt; behind it there is text, type 0.
    """

    ids: list[int]
    loss_mask: list[bool]
    prompt_length: int
    token_types: dict[str, list[int]]


@dataclasses.dataclass(frozen=True, slots=True)
class EncodedBatch:
    """Examples that are computed together.

    Attributes:
        examples: each by itself, without padding.
        images: what the model reads of all their images, by name: ``pixel_values`` and what goes with them.
    """

    examples: list[EncodedExample]
    images: dict[str, Tensor]


class ExampleEncoder:
    """Tokenises examples for training.

    Args:
        processor: tokenizer, image processor and chat template of the model.
        max_length: tokens after which examples are truncated; None leaves them whole.
    """

    def __init__(self, processor: Any, *, max_length: int | None = None) -> None:
        self.processor, self.max_length = processor, max_length
        self._later_turns = LaterTurns(processor)

    @classmethod
    def of_model(cls, folder: str | Path, **options: Any) -> ExampleEncoder:
        """The encoder of a model folder, for a caller that does not import torch itself.

        Args:
            folder: what ``save_pretrained`` wrote.
            options: of the processor, e.g. ``max_pixels``.

        Raises:
            ModelError: there is no processor that takes images.
        """
        from s2h.models.loading import load_processor

        return cls(load_processor(folder, **options))

    def __call__(self, examples: Sequence[Example]) -> EncodedBatch:
        """Token ids and loss masks of examples, and the inputs of their images."""
        encoded = encode_prompts(self.processor, [e.prompt for e in examples], [e.image for e in examples])
        answers = self.encode_answers([e.response for e in examples], [e.more for e in examples])
        rows = [self._joined(encoded, row, answer) for row, answer in enumerate(answers)]
        return EncodedBatch(rows, {name: value for name, value in encoded.items() if name not in SEQUENCES})

    def encode_answers(self, responses: Sequence[str], more: Sequence[Sequence[str]]) -> list[list[Segment]]:
        """The segments after the prompt of each example.

        Args:
            responses: of each example, the first in a conversation.
            more: for each example the turns after that, of user and model by turns; empty where there are none.
        """
        first = self.encode_responses(responses)
        pairs = zip(first, more, strict=True)
        return [[Segment(ids, in_loss=True), *self._encode_later_turns(turns)] for ids, turns in pairs]

    def encode_responses(self, responses: Sequence[str]) -> list[list[int]]:
        """Token ids of responses, each closed by the end-of-turn token."""
        end = self.processor.tokenizer.eos_token_id
        return [[*ids, end] for ids in self.encode_texts(responses)]

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts alone, without anything that a tokenizer puts around them."""
        encoded: list[list[int]] = self.processor.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return encoded

    def _encode_later_turns(self, turns: Sequence[str]) -> list[Segment]:
        if not turns:
            return []
        given = self.encode_texts([self._later_turns.between(question) for question in turns[::2]])
        pairs = zip(given, self.encode_responses(turns[1::2]), strict=True)
        return [segment for q, r in pairs for segment in (Segment(q, in_loss=False), Segment(r, in_loss=True))]

    def _joined(self, encoded: dict[str, Tensor], row: int, answer: list[Segment]) -> EncodedExample:
        """Prompt ``row`` of what ``encode_prompts`` gave, without its padding, and the answer behind it."""
        real = encoded["attention_mask"][row].bool()
        prompt: list[int] = encoded["input_ids"][row][real].tolist()
        ids, loss_mask = list(prompt), [False] * len(prompt)
        for segment in answer:
            ids += segment.ids
            loss_mask += [segment.in_loss] * len(segment.ids)
        most = self.max_length
        types = {name: encoded[name][row][real][:most].tolist() for name in _TOKEN_TYPES if name in encoded}
        return EncodedExample(ids[:most], loss_mask[:most], len(prompt), types)
