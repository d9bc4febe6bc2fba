"""Lengths are those of the batches, truncated or not."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from s2h.errors import TrainingError
from s2h.models.loading import load_processor
from s2h.supervision.examples import Mixture
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.tokenisation.lengths import count_tokens


@pytest.mark.parametrize("max_length", [None, 200, 60, 40, 25])
def test_lengths_are_those_of_the_encoded_examples(
    model_folder: Path, conversations: Path, max_length: int | None
) -> None:
    encoder = ExampleEncoder(load_processor(model_folder), max_length=max_length)
    mixture = Mixture.read(conversations)
    lengths = count_tokens(mixture, encoder)
    assert max_length is None or lengths.tokens.max() <= max_length
    for place in range(0, len(mixture), 3):
        encoded = encoder([mixture[place]])
        (example,) = encoded.examples
        assert lengths.targets[place] == sum(example.loss_mask)
        assert lengths.tokens[place] == len(example.ids) or not lengths.targets[place]
        pixels = encoded.images.get("pixel_values")
        assert lengths.pixels[place] == (0 if pixels is None else pixels.numel())


def test_a_word_that_the_model_lacks_is_named_in_later_turns_too(tiny_model: Path, conversations: Path) -> None:
    mixture = Mixture.read(conversations)
    frame = mixture.frame.with_columns(more=mixture.frame["more"].list.eval("zebra" + pl.element()))
    with pytest.raises(TrainingError, match="'zebra"):
        count_tokens(Mixture(frame), ExampleEncoder(load_processor(tiny_model)))
