"""What jobs ask a cluster for."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2h.models.resources import decoding_request, process_count, training_request
from s2h.models.settings import ModelSettings, TrainingSettings
from s2h.models.sources import ModelResources
from s2h.overlays import merge, read_values


@functools.cache
def paper_model(name: str) -> ModelSettings:
    values = read_values("paper")
    return ModelSettings.model_validate(values["models"][name])


def training(model: ModelSettings, **changes: int) -> TrainingSettings:
    assert model.training is not None
    return model.training.model_copy(update=changes)


def model(**needs: float) -> ModelSettings:
    return paper_model("qwen2.5-vl-7b").model_copy(update={"resources": ModelResources.model_validate(needs)})


@pytest.mark.parametrize(("examples", "hours"), [(30_000, 1.5), (60_000, 3), (120_000, 6), (240_000, 12)])
def test_the_papers_largest_model_gets_the_papers_time_and_half_as_much_again(examples: int, hours: float) -> None:
    qwen = paper_model("qwen2.5-vl-7b")
    needs = training_request(qwen, training(qwen), examples=examples, attempt=1)
    assert hours < needs.runtime / 60 < 2 * hours
    assert (needs.gpus, needs.nodes, needs.cpus) == (8, 1, 64)
    assert 100_000 < needs.mem_mb < 400_000


def test_the_tiny_model_gets_no_gpu_in_the_smoke_study_either() -> None:
    tiny = ModelSettings.model_validate(read_values()["models"]["tiny"])
    smoke = ModelSettings.model_validate(merge(read_values(), read_values("smoke"))["models"]["tiny"])
    assert (tiny.job_resources.gpus, tiny.job_resources.decoding_gpus) == (0, 0)
    assert training_request(tiny, training(tiny), examples=30_000, attempt=1).mem_mb < 6000
    assert (smoke.job_resources.gpus, smoke.job_resources.decoding_gpus) == (0, 0)


def test_processes_that_read_ahead_have_memory_for_themselves_and_what_they_hold() -> None:
    qwen = paper_model("qwen2.5-vl-7b")

    def memory(loaders: int, micro_batch: int = 4, attempt: int = 1) -> int:
        settings = training(qwen, num_workers=loaders, micro_batch_size=micro_batch)
        return training_request(qwen, settings, examples=1000, attempt=attempt).mem_mb

    assert memory(1) - memory(0) == 8 * (700 + 4 * 96)
    assert memory(4) - memory(0) == 4 * (memory(1) - memory(0))
    assert memory(2, micro_batch=8) > memory(2)
    assert memory(2, attempt=3) == 3 * memory(2)


@given(
    params_b=st.floats(0.001, 100),
    gpus=st.integers(0, 8),
    nodes=st.integers(1, 16),
    examples=st.integers(0, 10**6),
    attempt=st.integers(1, 4),
)
def test_needs_grow_with_the_work_and_with_every_attempt(
    params_b: float, gpus: int, nodes: int, examples: int, attempt: int
) -> None:
    def needs(examples: int = examples, nodes: int = nodes, attempt: int = attempt) -> int:
        asked = model(params_b=params_b, gpus=gpus, nodes=nodes)
        return training_request(asked, training(asked), examples=examples, attempt=attempt).runtime

    assert needs(examples=examples + 10_000) >= needs()
    assert needs(nodes=nodes + 1) <= needs()
    assert needs(attempt=attempt) == attempt * needs(attempt=1)
    first, then = (
        decoding_request(model(params_b=params_b, decoding_gpus=gpus), examples=examples, attempt=n).mem_mb
        for n in (1, attempt)
    )
    assert then == attempt * first


def test_processes_are_the_gpus_or_without_any_the_cores() -> None:
    assert process_count(gpus=0, threads=3) == 3
    assert process_count(gpus=2, threads=16) == 2
