"""Micro-batches: every target once over all processes, no placeholder in the loss, one order however prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from s2h.models.loading import load_processor
from s2h.supervision.examples import Mixture
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.tokenisation.lengths import count_tokens
from s2h.training.batches import BatchPlan, Limits
from s2h.training.collate import Collator
from s2h.training.data import MicroBatches, prefetch
from tests.training.test_trainer import write

STEPS, WORLD_SIZE = 4, 3


@pytest.fixture(scope="module")
def mixture(readout_shards: Any, tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    """Nineteen examples: of four steps of five the last has four, and three processes are not equally busy."""
    path = write(tmp_path_factory.mktemp("mixture") / "phase-1.parquet", readout_shards, budget=24)
    return Mixture(Mixture.read(path).frame.head(19))


def batches_of(mixture: Mixture, folder: Path, rank: int, *, first: int = 0) -> MicroBatches:
    encoder = ExampleEncoder(load_processor(folder))
    lengths = count_tokens(mixture, encoder)
    plan = BatchPlan(lengths, batch_size=5, limits=Limits(1), world_size=WORLD_SIZE)
    assert plan.steps == STEPS
    return MicroBatches(mixture, Collator(encoder), plan, rank=rank, first=first)


def test_every_target_of_a_step_is_computed_once(mixture: Mixture, tiny_model: Path) -> None:
    world_size = [batches_of(mixture, tiny_model, rank) for rank in range(WORLD_SIZE)]
    plan, grad_accum_steps = world_size[0].plan, world_size[0].plan.grad_accum_steps
    encoder = world_size[0].collator.encoder
    assert {len(each) for each in world_size} == {STEPS * grad_accum_steps}
    empty = 0
    for step in range(STEPS):
        computed = [each[step * grad_accum_steps + place] for each in world_size for place in range(grad_accum_steps)]
        texts = [mixture[position].response for position in plan.positions(step)]
        wanted = sorted(token for ids in encoder.encode_responses(texts) for token in ids)
        assert sorted(token for batch in computed for token in batch["targets"].tolist()) == wanted
        empty += sum(not len(batch["targets"]) and len(batch["input_ids"]) == 1 for batch in computed)
    assert empty == STEPS * grad_accum_steps * WORLD_SIZE - len(mixture) > 0  # placeholders


def test_they_go_on_from_a_step_and_are_the_same_however_prepared(mixture: Mixture, tiny_model: Path) -> None:
    whole = batches_of(mixture, tiny_model, 1)
    later = batches_of(mixture, tiny_model, 1, first=2)
    expected = [whole[place] for place in range(2 * whole.plan.grad_accum_steps, len(whole))]
    same(list(prefetch(later, num_workers=0, pin_memory=False)), expected)
    same(list(prefetch(later, num_workers=1, pin_memory=False)), expected)


def same(found: list[dict[str, Tensor]], expected: list[dict[str, Tensor]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(value, other[name]) for name, value in one.items())
