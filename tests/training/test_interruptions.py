"""Real trainings that are interrupted as by a terminal or a scheduler, and go on in any number of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from s2h.supervision.formats import WORDS
from tests.models import qwen
from tests.training.test_trainer import (
    ENVIRONMENT,
    ZERO3,
    Fields,
    job,
    manifest,
    measured,
    mixture,
    same_model,
    train,
    trained_in,
    weights,
)

__all__ = ["mixture"]

LONG = {"save_steps": None, "batch_size": 2}
"""Twenty-four steps, and no checkpoint by itself."""
_LAUNCH = """
import sys
from pathlib import Path
from s2h.logs import job_log
from s2h.training.job import Job
from s2h.training.launch import launch
job, log, processes = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
with job_log(log):
    launch(Job.model_validate_json(job), log=log, threads=processes, gpus=0, nodes=1)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, mixture: Path) -> Path:
    """A training that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    trained_in(folder, tiny_model, mixture, **LONG)
    return folder


def started(
    folder: Path, base: Path, mixture: Path, fields: Fields = None, *, processes: int, **changes: Any
) -> subprocess.Popen[str]:
    """A training that the workflow's job has started, in a process group as that of a terminal."""
    folder.mkdir(exist_ok=True)
    words = job(folder, base, mixture, fields, **LONG | changes)
    return subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, words[0], words[2], str(processes)],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def interrupted(
    folder: Path,
    base: Path,
    mixture: Path,
    fields: Fields = None,
    *,
    by: int = signal.SIGTERM,
    processes: int = 2,
    **changes: Any,
) -> str:
    """Interrupt a training a few steps after it began; what it says."""
    before = _steps(folder)
    training = started(folder, base, mixture, fields, processes=processes, **changes)
    while _steps(folder) < before + 2:
        assert training.poll() is None, (folder / "log.output").read_text()[-3000:]
        time.sleep(0.01)
    os.killpg(training.pid, by)
    _, said = training.communicate(timeout=60)
    assert training.returncode == 1, said
    return said


def _steps(folder: Path) -> int:
    metrics = folder / "metrics.jsonl"
    return metrics.read_text().count("\n") if metrics.exists() else 0


def _checkpoint(folder: Path) -> int:
    """After how many steps the last one was written."""
    return int((folder / "checkpoints/last").read_text().partition("-")[2])


@pytest.mark.parametrize("by", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_an_interrupted_training_leaves_a_checkpoint_of_its_step_and_goes_on_from_it(
    by: int, whole: Path, tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    said = interrupted(tmp_path, tiny_model, mixture, by=by)
    done = _checkpoint(tmp_path)
    assert done == _steps(tmp_path)
    assert f"s2h: interrupted at step {done} of 24, checkpoint at {done}; the same command goes on\n" in said
    assert "Traceback" not in said
    assert not (tmp_path / "model").exists()
    again = train(tmp_path, tiny_model, mixture, **LONG)
    assert f"[s2h] test: goes on after step {done} of 24" in again.stderr
    assert manifest(tmp_path)["resumed_at_step"] == done
    assert measured(tmp_path, "loss") == measured(whole, "loss")
    assert all(value.equal(weights(tmp_path)[name]) for name, value in weights(whole).items())


def test_an_interruption_before_the_first_step_ends_a_training_in_a_line(
    tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    training = started(tmp_path, tiny_model, mixture, processes=1)
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    time.sleep(1)
    training.send_signal(signal.SIGTERM)
    _, said = training.communicate(timeout=60)
    assert said == "s2h: interrupted before the training had begun; the same command goes on\n"
    assert training.returncode == 1


@pytest.mark.parametrize(
    ("changes", "processes"),
    [pytest.param({}, (2, 1, 2), id="zero2"), pytest.param(ZERO3, (1, 2), id="zero3", marks=pytest.mark.slow)],
)
def test_a_training_goes_on_in_another_number_of_processes(
    changes: dict[str, str], processes: Sequence[int], whole: Path, tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    *before, last = processes
    done = [0]
    for number in before:
        interrupted(tmp_path, tiny_model, mixture, processes=number, **changes)
        done.append(_checkpoint(tmp_path))
    trained_in(tmp_path, tiny_model, mixture, processes=last, **LONG | changes)
    assert done == sorted({*done})
    assert (manifest(tmp_path)["resumed_at_step"], manifest(tmp_path)["processes"]) == (done[-1], last)
    assert same_model(whole, tmp_path, tiny_model, tolerance=1e-4)
    output = (tmp_path / "log.output").read_text()
    assert all(f"1 x {number} processes" in output for number in before)  # of every attempt


@pytest.mark.slow
def test_adapters_go_on_in_another_number_of_processes(tmp_path: Path, mixture: Path, readout: Any) -> None:
    base, frozen = tmp_path / "base", {"frozen": ["vision"]}
    qwen.build(base, readout.vocabulary() | WORDS)
    changes = {"lora": {"rank": 4, "alpha": 8}, "random_positions": 0, "attention": "sdpa", "learning_rate": 1e-2}
    interrupted(tmp_path / "run", base, mixture, frozen, processes=2, **changes)
    done = _checkpoint(tmp_path / "run")
    for folder in ("run", "whole"):
        trained_in(tmp_path / folder, base, mixture, frozen, processes=1, **LONG | changes)
    assert manifest(tmp_path / "run")["resumed_at_step"] == done
    assert same_model(tmp_path / "whole", tmp_path / "run", base, tolerance=1e-4)


def test_checkpoints_of_other_settings_are_set_aside_and_come_back(
    whole: Path, tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    interrupted(tmp_path, tiny_model, mixture)
    done = _checkpoint(tmp_path)
    other = train(tmp_path, tiny_model, mixture, **LONG | {"learning_rate": 2e-3})
    [aside] = tmp_path.glob("checkpoints.*")
    assert f"they stay in {aside}, and are used again when those come back" in other.stderr
    assert manifest(tmp_path)["resumed_at_step"] == 0
    trained_in(tmp_path, tiny_model, mixture, **LONG)
    assert manifest(tmp_path)["resumed_at_step"] == done
    assert measured(tmp_path, "loss") == measured(whole, "loss")
    assert not list(tmp_path.glob("checkpoints*"))


@pytest.mark.slow
def test_what_cannot_be_read_by_another_number_of_processes_says_both_and_stays(
    tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    interrupted(tmp_path, tiny_model, mixture, processes=2)
    torn = next((tmp_path / "checkpoints").glob("step-*/*_optim_states.pt"))
    torn.write_bytes(torn.read_bytes()[:1000])
    run = train(tmp_path, tiny_model, mixture, processes=1, **LONG)
    assert run.returncode == 1
    assert "was written by 2 processes and cannot be read by 1 (" in run.stderr
    assert f"or delete {tmp_path / 'checkpoints'} to train from the start" in run.stderr
    assert torn.exists()
