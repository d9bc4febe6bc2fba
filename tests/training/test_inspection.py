"""What cannot be trained is refused, left out or truncated, and counted, before the first step."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from s2h.errors import TrainingError
from s2h.models.loading import load_processor
from s2h.models.settings import TrainingSettings
from s2h.supervision.examples import Example, Mixture
from s2h.tokenisation.encoding import EncodedBatch, ExampleEncoder
from s2h.tokenisation.lengths import count_tokens
from s2h.training.collate import Collator
from s2h.training.inspection import check_targets, inspect
from tests.training.test_trainer import SETTINGS, manifest, measured, trained_in


def settings(**changes: object) -> TrainingSettings:
    return TrainingSettings.model_validate(SETTINGS | changes)


def encoder_of(folder: Path, max_length: int | None = None) -> ExampleEncoder:
    return ExampleEncoder(load_processor(folder), max_length=max_length)


def test_what_has_nothing_in_the_loss_left_is_left_out_and_counted(tiny_model: Path, conversations: Path) -> None:
    mixture = Mixture.read(conversations)
    whole = count_tokens(mixture, encoder_of(tiny_model))
    kept, lengths, dropped = inspect(
        mixture, encoder_of(tiny_model, 47), settings(max_length=47, on_overlength="truncate")
    )
    assert 0 < dropped < len(mixture)
    assert len(kept) == len(lengths.tokens) == len(mixture) - dropped
    assert lengths.targets.min() >= 1
    assert lengths.tokens.max() == 47 < whole.tokens.max()
    shown = Mixture(mixture.frame.filter(pl.col("image_bytes") > 0))
    with pytest.raises(TrainingError, match="no example has a response within"):
        inspect(shown, encoder_of(tiny_model, 8), settings(max_length=8, on_overlength="truncate"))


def test_long_conversations_are_refused_where_nothing_is_to_be_cut(tiny_model: Path, conversations: Path) -> None:
    with pytest.raises(TrainingError, match="are longer than training"):
        inspect(Mixture.read(conversations), encoder_of(tiny_model), settings(max_length=47))


class ShiftedEncoder(ExampleEncoder):
    """Its loss mask is one token late."""

    def __call__(self, examples: Sequence[Example]) -> EncodedBatch:
        found = super().__call__(examples)
        late = [dataclasses.replace(each, loss_mask=[False, *each.loss_mask[:-1]]) for each in found.examples]
        return dataclasses.replace(found, examples=late)


def test_targets_must_be_the_responses(tiny_model: Path, conversations: Path) -> None:
    mixture, encoder = Mixture.read(conversations), encoder_of(tiny_model)
    for place in range(8):
        check_targets(mixture[place], Collator(encoder))
    with pytest.raises(TrainingError, match="the labels are not the responses"):
        check_targets(mixture[0], Collator(ShiftedEncoder(encoder.processor)))


def test_conversations_are_trained_on_cut_in_two_processes(
    tmp_path: Path, tiny_model: Path, conversations: Path
) -> None:
    trained_in(
        tmp_path, tiny_model, conversations, {"frozen": ["vision", "language"]}, max_length=60, on_overlength="truncate"
    )
    facts = manifest(tmp_path)
    assert facts["frozen"] == ["vision", "language"]
    assert facts["examples"] + facts["examples_dropped"] == len(Mixture.read(conversations))
    assert sum(measured(tmp_path, "target_tokens")) == facts["target_tokens"]


def test_special_tokens_of_the_model_are_never_learned(
    tiny_model: Path, conversations: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame = Mixture.read(conversations).frame
    later = pl.col("more").list.eval(pl.element() + " <end>")
    for place, changed in {"prompt": pl.col("prompt") + " <image>", "response": "<pad>", "more": later}.items():
        broken = frame.with_columns(
            pl.when(pl.col("more").list.len() > 0)
            .then(changed if isinstance(changed, pl.Expr) else pl.lit(changed))
            .otherwise(pl.col(place))
            .alias(place)
        )
        several = int((frame["more"].list.len() > 0).sum())
        assert 0 < several < len(frame)
        kept, lengths, dropped = inspect(Mixture(broken), encoder_of(tiny_model), settings())
        assert (len(kept), len(lengths.tokens), dropped) == (len(frame) - several, len(frame) - several, several)
        assert f"{several} of {len(frame)} examples hold special tokens of the model" in caplog.text
        caplog.clear()
    with pytest.raises(TrainingError, match="none is left"):
        inspect(Mixture(frame.with_columns(prompt=pl.lit("<pad>"))), encoder_of(tiny_model), settings())
