"""Gradient alignment on models where the answer is known, and on the tiny model, where a small step tells it."""

from __future__ import annotations

import json
import shutil
from typing import Any

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from s2h.models.loading import load_model, load_processor
from s2h.models.settings import TrainingSettings
from s2h.overlays import read_config
from s2h.supervision.examples import Example
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.training.alignment import SCHEMA, SOURCES, AlignmentSpec, align, measure_alignment, probe, write_alignment
from s2h.training.collate import IGNORED, Collator, with_targets
from s2h.training.losses import ForwardPass

numbers = st.floats(-3, 3, allow_nan=False, width=32)
vectors = st.lists(numbers, min_size=4, max_size=4)


def gradient(values: list[float]) -> dict[str, Tensor]:
    """Of two parameters."""
    return {"a": torch.tensor(values[:1]), "b": torch.tensor(values[1:]).reshape(1, 3)}


@given(vectors, vectors)
def test_the_inner_product_is_that_of_all_parameters(one: list[float], other: list[float]) -> None:
    found = align(gradient(one), gradient(other))
    assert found.inner_product == pytest.approx(sum(a * b for a, b in zip(one, other, strict=True)), abs=1e-5)
    assert found.preconditioned is None
    assert found.cosine is None or -1.0001 <= found.cosine <= 1.0001
    assert align(gradient(other), gradient(one)).inner_product == pytest.approx(found.inner_product)


@given(vectors)
def test_a_gradient_agrees_with_itself(values: list[float]) -> None:
    found = align(gradient(values), gradient(values))
    assert found.cosine is None if not any(values) else found.cosine == pytest.approx(1)
    opposite = align(gradient(values), gradient([-value for value in values]))
    assert opposite.inner_product == pytest.approx(-found.inner_product)


def test_adam_weighs_each_parameter_by_its_moments() -> None:
    source, target = gradient([3.0, 4.0, 0.0, 0.0]), gradient([1.0, 1.0, 1.0, 1.0])
    moments = gradient([9.0, 1.0, 0.0, 0.0])
    found = align(source, target, moments, beta2=0.5)
    # 3 / sqrt(9/2 + 9/2) + 4 / sqrt(1/2 + 16/2)
    assert found.preconditioned == pytest.approx(1 + 4 / 8.5**0.5)
    steps = torch.tensor([1, 4 / 8.5**0.5, 0, 0])
    assert found.preconditioned_cosine == pytest.approx(float(steps.sum() / (steps.norm() * 2)))


class Known(nn.Module):
    """Predicts the same words whatever it sees: logits are its parameters, so gradients are softmax minus target."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([0.0, 1.0, -1.0]))
        self.head = nn.Identity()
        self.base_model = None

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, input_ids: Tensor, **_: Any) -> Any:
        return type("Output", (), {"logits": self.head(self.logits.expand(*input_ids.shape, 3))})()


def batch(labels: list[list[int]]) -> dict[str, Tensor]:
    inputs = torch.zeros(len(labels), len(labels[0]), dtype=torch.long)
    return with_targets({"input_ids": inputs, "labels": torch.tensor(labels)})


def text_batch(model: Any, shard: str) -> dict[str, Tensor]:
    """Eight puzzles of a shard as text."""
    collator = Collator(ExampleEncoder(load_processor(model)))
    rows = pl.read_parquet(shard).head(8).iter_rows(named=True)
    made = [Example(0, "text", r["text"] + "\n\n" + r["text_question"], r["reasoning"], None) for r in rows]
    return with_targets(collator(made))


def test_loss_and_gradient_are_means_over_the_target_tokens() -> None:
    model, no = Known(), IGNORED
    found = probe(model, ForwardPass(model), [batch([[no, 1, 1], [no, no, 0]]), batch([[no, 1, no]])])
    shares = torch.tensor([0.0, 1.0, -1.0]).softmax(0)
    expected = shares - torch.tensor([1 / 4, 3 / 4, 0])
    torch.testing.assert_close(found.gradient["logits"], expected)
    assert found.loss == pytest.approx(float(-(3 * shares[1].log() + shares[0].log()) / 4))
    assert found.exact == pytest.approx(2 / 3)


def test_in_bf16_loss_and_gradient_are_about_the_same(tiny_model, readout_shards) -> None:
    batches = [text_batch(tiny_model, readout_shards["SIMPLE"][0])]
    model = load_model(tiny_model, dtype=torch.float32, attention="eager")
    forward_pass = ForwardPass(model)
    exact, rounded = (probe(model, forward_pass, batches, autocast=autocast) for autocast in (False, True))
    assert exact.loss != rounded.loss
    assert rounded.loss == pytest.approx(exact.loss, rel=1e-2)
    assert align(exact.gradient, rounded.gradient).cosine == pytest.approx(1, abs=1e-2)


def settings(**changes: Any) -> TrainingSettings:
    tiny = read_config().models["tiny"].training
    assert tiny is not None
    return tiny.model_copy(update=changes)


def question(model: Any, shards: dict[str, list[str]], puzzles: int = 12) -> AlignmentSpec:
    sets = {"consecutive_table_readout": shards}
    return AlignmentSpec(str(model), sets, puzzles, settings(), frozen=())  # type: ignore[arg-type]


def test_a_small_step_lowers_the_other_loss_by_the_inner_product(tiny_model, readout_shards) -> None:
    """The first-order prediction, held against a real step of gradient descent."""

    def examples(level: str) -> list[dict[str, Tensor]]:
        return [text_batch(tiny_model, readout_shards[level][0])]

    model = load_model(tiny_model, dtype=torch.float32, attention="eager")
    forward_pass = ForwardPass(model)
    source, target = (probe(model, forward_pass, examples(level)) for level in ("SIMPLE", "HARD"))
    predicted = align(source.gradient, target.gradient).inner_product
    rate = 1e-3 / predicted
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter -= rate * source.gradient[name]
    lowered = target.loss - probe(model, forward_pass, examples("HARD")).loss
    assert lowered == pytest.approx(rate * predicted, rel=0.05)


def test_a_model_without_snapshots_is_measured_at_its_end(tiny_model, readout_shards, tmp_path) -> None:

    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    (model / "manifest.json").write_text(json.dumps({"steps": 7}))
    frame = measure_alignment(question(model, readout_shards), "test")
    assert frame.select("source_level", "source_format").rows() == list(SOURCES)
    assert frame["step"].to_list() == [7] * 4
    assert frame["preconditioned"].null_count() == 4
    assert frame["puzzles"].to_list() == [12] * 4
    assert frame["target_loss"].n_unique() == 1
    run = {"task": "consecutive_table_readout", "recipe": "mix", "budget": 48, "model": "tiny", "seed": 0}
    for name in ("one", "other"):
        write_alignment(tmp_path / name, question(model, readout_shards), run=run, phase=1)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()

    assert pl.read_parquet(tmp_path / "one").schema == pl.Schema(SCHEMA)
