from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from s2h.training import metrics
from s2h.training.metrics import Meter, MetricsWriter, mean_over_time, peak_memory

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which passes only when a test says so."""
    now = [100.0]
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now[0])
    return now


def step(meter: Meter, clock: list[float], *, waits: float, computes: float, **made: Any) -> dict[str, float]:
    meter.begin()
    for _ in range(2):
        with meter.waiting():
            clock[0] += waits / 2
        clock[0] += computes / 2
    return meter.end(**made)


def test_a_step_is_measured_with_its_waiting(clock: list[float]) -> None:
    meter = Meter(device=CPU, world_size=2, peak=100e12)
    clock[0] += 1000  # between steps, as for a checkpoint
    found = step(meter, clock, waits=1, computes=3, tokens=1000, flops=80e12)
    assert found.pop("peak_memory_gb") > 0
    assert found == {"seconds": 4, "tokens_per_second": 250, "data_wait": 0.25, "tflops_per_second": 10, "mfu": 0.1}
    again = step(meter, clock, waits=0, computes=1, tokens=1000, flops=1.23456789e9)
    assert (again["data_wait"], again["tflops_per_second"]) == (0, 0.0006173)


def test_what_is_not_known_is_left_out(clock: list[float]) -> None:
    unknown_card = step(Meter(device=CPU, world_size=1, peak=None), clock, waits=1, computes=1, tokens=1, flops=1e12)
    assert "mfu" not in unknown_card
    assert unknown_card["tflops_per_second"] == 0.5
    uncounted = step(Meter(device=CPU, world_size=1, peak=1e12), clock, waits=1, computes=1, tokens=1, flops=None)
    assert not {"mfu", "tflops_per_second"} & uncounted.keys()


def test_the_peak_of_memory_does_not_fall() -> None:
    held = torch.zeros(50_000_000, dtype=torch.float64)
    peak = peak_memory(CPU)
    assert peak > held.nbytes
    del held
    assert peak_memory(CPU) >= peak


def test_means_are_weighted_by_time_over_the_steps_that_have_a_measure() -> None:
    steps = [{"seconds": 100.0}, {"seconds": 1.0, "mfu": 0.2}, {"seconds": 3.0, "mfu": 0.4}]
    assert mean_over_time(steps, "mfu") == pytest.approx(0.35)
    assert mean_over_time(steps, "data_wait") is None


class Told:
    """Takes what a tracker would be told."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def tell(self, step: Any) -> None:
        self.steps.append(step)

    def close(self) -> None:
        self.steps.append("closed")


def test_lines_tensorboard_and_trackers_get_the_steps(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    before, new = {"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0, "mfu": 0.4, "data_wait": 0.1}
    told: Any = Told()
    writer = MetricsWriter(tmp_path / "metrics.jsonl", tmp_path / "board", [before], [told])
    writer.write([new])
    writer.close()
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [before, new]
    assert told.steps == [new, "closed"]
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("mfu")] == [(2, pytest.approx(0.4))]
