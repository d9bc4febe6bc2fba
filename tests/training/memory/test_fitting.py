"""A training that does not fit is refused before its model is loaded; activations are recomputed where they must be."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from s2h.errors import TrainingError
from s2h.models.loading import load_processor
from s2h.models.settings import TrainingSettings
from s2h.supervision.formats import WORDS
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.training.collate import Collator, with_targets
from s2h.training.deepspeed_config import read_config
from s2h.training.job import Job
from s2h.training.memory.fitting import Machine, memory_needed, recomputes
from tests.models import qwen
from tests.shipped import ROOT
from tests.training.test_losses import examples

VALUES = {"learning_rate": 1e-3, "batch_size": 8, "micro_batch_size": 8, "max_length": 256}


@pytest.fixture(scope="module")
def folder(readout: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("qwen")
    qwen.build(made, readout.vocabulary() | WORDS)
    return made


@pytest.fixture(scope="module")
def batch(folder: Path) -> dict[str, Tensor]:
    collator = Collator(ExampleEncoder(load_processor(folder)), masks=False)
    return with_targets(collator(examples([1] * 8)))


def job(folder: Path, **changes: Any) -> Job:
    values = VALUES | {"deepspeed": str(ROOT / "config/deepspeed/zero2.json")} | changes
    nowhere = {name: Path() for name in ("mixture", "output", "checkpoints", "metrics", "tensorboard")}
    settings = TrainingSettings.model_validate(values)
    return Job(title="test", base=folder, **nowhere, seed=0, settings=settings)


def machine(**changes: Any) -> Machine:
    return dataclasses.replace(Machine(gpu=80e9, host=500e9, world_size=1, local_world_size=1), **changes)


def needs_of(chosen: Job, batches: list[dict[str, Tensor]], *, recompute: bool) -> int:
    config = read_config(chosen.settings, grad_accum_steps=1)
    return memory_needed(chosen, config, batches, frozen=(), recompute=recompute, machine=machine()).gpu


def chosen(job: Job, batch: dict[str, Tensor], **changes: Any) -> bool:
    return recomputes(
        job, read_config(job.settings, grad_accum_steps=1), [batch], frozen=(), machine=machine(**changes)
    )


def test_activations_are_recomputed_only_where_the_memory_asks_for_it(folder: Path, batch: dict[str, Tensor]) -> None:
    asked = job(folder, gradient_checkpointing="auto", precision="fp32")
    kept, again = (needs_of(asked, [batch], recompute=recompute) for recompute in (False, True))
    assert again < kept
    assert chosen(asked, batch, gpu=kept) is False
    assert chosen(asked, batch, gpu=kept - 1) is True
    with pytest.raises(TrainingError, match=r"of each GPU, of which .* can be used: lower training"):
        chosen(asked, batch, gpu=again - 1)


@pytest.mark.parametrize("asked", [True, False])
def test_who_says_it_is_done_as_said_or_refused(folder: Path, batch: dict[str, Tensor], asked: bool) -> None:
    told = job(folder, gradient_checkpointing=asked)
    assert chosen(told, batch) is asked
    with pytest.raises(TrainingError, match=r"zero3\.json.*zero2_offload\.json.*training\.lora"):
        chosen(told, batch, gpu=1.0)


def test_larger_micro_batches_need_more_and_adapters_less(folder: Path, batch: dict[str, Tensor]) -> None:
    whole = needs_of(job(folder), [batch], recompute=False)
    assert whole > needs_of(job(folder), [], recompute=False)
    assert whole > needs_of(job(folder, lora={"rank": 2, "alpha": 2}), [batch], recompute=False)


def test_the_machines_memory_must_hold_what_is_offloaded_and_all_of_a_training_on_cpus(
    folder: Path, batch: dict[str, Tensor]
) -> None:
    offloaded = job(folder, deepspeed=str(ROOT / "config/deepspeed/zero2_offload.json"))
    with pytest.raises(TrainingError, match=r"of the machine's memory, of which 0\.0 GiB are free"):
        chosen(offloaded, batch, host=10.0)
    with pytest.raises(TrainingError, match=r"of the machine's memory, of which 0\.0 GiB are free"):
        chosen(job(folder), batch, gpu=None, host=10.0)
    assert chosen(job(folder), batch, gpu=None) is False


def test_what_cannot_be_measured_is_left_to_the_first_try(
    folder: Path, batch: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    broken = {name: value for name, value in batch.items() if name != "image_grid_thw"}
    assert chosen(job(folder), broken) is False
    assert "cannot be measured" in caplog.text
