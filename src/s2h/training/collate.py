"""From encoded examples to the tensors of a micro-batch.

Shapes: B examples, L tokens of the longest of them, N target tokens of all of them. Padding is on the right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from s2h.seeding import generator
from s2h.supervision.examples import Example
from s2h.tokenisation.encoding import EncodedExample, ExampleEncoder

IGNORED = -100  # label of a token that is not in the loss, as torch's cross entropy reads it


@dataclasses.dataclass(frozen=True, slots=True)
class RandomPositions:
    """At the end of a phase, responses that read the image (format "image") start later than they follow the prompt.

    The other formats need no shift: they read text, which the mixtures hold in all lengths.

    Attributes:
        most: the most positions by which a response starts later, at the end of the phase; the range grows evenly from
            none at half of the phase.
        examples: number of examples of the phase.
        seed: of the run; the shift of an example depends on it and the example's position alone.
    """

    most: int
    examples: int
    seed: int

    def shift(self, example: Example) -> int:
        """How many positions later the response of an example starts."""
        if example.format != "image":
            return 0
        late = max(2 * example.position - self.examples, 0)
        rng = generator(self.seed, "position", example.position)
        return int(rng.integers(0, self.most * late // self.examples + 1))


class Collator:
    """Pads examples to one length.

    Args:
        encoder: of the model.
        random_positions: where responses start; None lets them follow their prompts.
        masks: give the attention mask. A model whose tokens see only what stands before them needs none where padding
            is on the right, and computes faster without.
    """

    def __init__(
        self, encoder: ExampleEncoder, *, random_positions: RandomPositions | None = None, masks: bool = True
    ) -> None:
        self.encoder, self.random_positions, self.masks = encoder, random_positions, masks

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """The model's inputs: input_ids, labels, attention_mask ``int64[B, L]``, pixel_values and what goes with them.

        ``position_ids int64[B, L]`` are there with ``random_positions``.
        """
        encoded = self.encoder(examples)
        batch = encoded.images | self._sequences(encoded.examples)
        if self.random_positions:
            shifts = [self.random_positions.shift(example) for example in examples]
            batch["position_ids"] = _positions(encoded.examples, shifts, batch["input_ids"].shape[1])
        elif not self.masks:  # without a mask transformers takes positions that leap for several sequences in a row
            del batch["attention_mask"]
        return batch

    def _sequences(self, examples: list[EncodedExample]) -> dict[str, Tensor]:
        batch = {
            "input_ids": _padded([each.ids for each in examples], self.encoder.processor.tokenizer.pad_token_id),
            "attention_mask": _padded([[1] * len(each.ids) for each in examples], 0),
            "labels": _padded([_labels(each) for each in examples], IGNORED),
        }
        for name in examples[0].token_types:
            batch[name] = torch.zeros_like(batch["input_ids"])
            for row, each in enumerate(examples):
                types = each.token_types[name]
                batch[name][row, : len(types)] = torch.tensor(types)
        return batch


def _labels(example: EncodedExample) -> list[int]:
    return [token if in_loss else IGNORED for token, in_loss in zip(example.ids, example.loss_mask, strict=True)]


def _padded(rows: list[list[int]], value: int) -> Tensor:
    """Rows as ``int64[B, L]``, filled up with a value."""
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def _positions(examples: list[EncodedExample], shifts: Sequence[int], length: int) -> Tensor:
    """Positions that count on from 0, and from the end of each prompt on are shifted."""
    positions_BL = torch.arange(length).repeat(len(examples), 1)
    for row, (example, shift) in enumerate(zip(examples, shifts, strict=True)):
        positions_BL[row, example.prompt_length :] += shift
    return positions_BL


def with_targets(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The batch of a ``Collator``, with labels replaced by tensors that a GPU can use without synchronising.

    ``rows int64[N]`` are the places (b * L + t) of the tokens before those in the loss, ``targets int64[N]`` the
    latter.
    """
    following_BL = functional.pad(batch["labels"][:, 1:], (0, 1), value=IGNORED)
    rows_N = (following_BL != IGNORED).flatten().nonzero().squeeze(1)
    rest = {name: value for name, value in batch.items() if name != "labels"}
    return {**rest, "rows": rows_N, "targets": following_BL.flatten()[rows_N]}
