"""Trackers, by stand-ins for their packages with the signatures of wandb 0.31, mlflow 3.17 and trackio 0.43."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from s2h.logs import LOGGER
from s2h.models.settings import TrainingSettings
from s2h.training import trackers
from s2h.training.job import Job
from s2h.training.trackers import TrackedRun, follow, missing_package
from tests.shipped import ROOT
from tests.training.test_trainer import SETTINGS, job

SOURCES = str(ROOT / "src")
STAND_INS = {
    "wandb": """
import json, pathlib
FILE = pathlib.Path(__file__).parents[1] / "told.jsonl"  # wherever a thread that was left behind runs by then
def told(*words):
    with FILE.open("a") as file:
        file.write(json.dumps(words) + "\\n")
class Run:
    def log(self, data, step=None, commit=None):
        told("log", step, data)
    def finish(self, exit_code=None, quiet=None):
        told("finish")
def init(entity=None, project=None, dir=None, id=None, name=None, notes=None, tags=None, config=None, resume=None):
    told("init", project, id, name, resume, config["learning_rate"])
    return Run()
""",
    "trackio": """
from wandb import Run, told
def init(project, name=None, group=None, config=None, resume="never", embed=True):
    told("init", project, name, resume, config["learning_rate"])
    return Run()
""",
    "mlflow": """
import types
from wandb import told
RUNS, KEYS = [], {}
class MlflowClient:
    def get_experiment_by_name(self, name):
        return None
    def create_experiment(self, name, artifact_location=None, tags=None):
        told("experiment", name)
        return "7"
    def search_runs(self, experiment_ids, filter_string="", run_view_type=1, max_results=1000):
        return [run for run in RUNS if f"tags.s2h_key = '{run.key}'" == filter_string]
    def create_run(self, experiment_id, start_time=None, tags=None, run_name=None):
        told("init", experiment_id, run_name)
        RUNS.append(types.SimpleNamespace(info=types.SimpleNamespace(run_id="r1"), key=tags["s2h_key"]))
        return RUNS[-1]
    def update_run(self, run_id, status=None, name=None):
        told("update", run_id, status)
    def log_param(self, run_id, key, value, synchronous=None):
        told("param", key) if key == "learning_rate" else None
    def log_batch(self, run_id, metrics=(), params=(), tags=(), synchronous=None):
        told("log", run_id, [(metric.key, metric.value, metric.step) for metric in metrics])
    def set_terminated(self, run_id, status=None, end_time=None):
        told("finish", run_id)
""",
}
ENTITIES = """
class Metric:
    def __init__(self, key, value, timestamp, step):
        self.key, self.value, self.timestamp, self.step = key, value, timestamp, step
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which all three packages are installed, and write what they are told."""
    for name, code in STAND_INS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "mlflow/entities.py").write_text(ENTITIES)
    monkeypatch.delitem(sys.modules, "mlflow.entities", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path  # type: ignore[misc]
    for name in ("mlflow.entities", *STAND_INS):
        sys.modules.pop(name, None)


def tracked(output: str = "results/models/a/phase-1", key: str = "training key") -> TrackedRun:
    paths: dict[str, Any] = dict.fromkeys(("base", "mixture", "checkpoints", "metrics", "tensorboard"), Path("x"))
    settings = TrainingSettings.model_validate(SETTINGS)
    job = Job(title="train", output=Path(output), seed=0, settings=settings, **paths)
    return TrackedRun.of(job, key)


def told(folder: Path, name: Any, *steps: dict[str, float]) -> list[Any]:
    """What a tracker was told in a training of these steps."""
    (follower,) = follow([name, name], tracked())
    for step in steps:
        follower.tell(step)
    follower.close()
    lines = (folder / "told.jsonl").read_text().splitlines()
    (folder / "told.jsonl").unlink()
    return [json.loads(line) for line in lines]


STEP = {"step": 3, "loss": 0.5, "mfu": 0.4}


def test_wandb_and_trackio_go_on_in_the_run_of_a_training(installed: Path) -> None:
    key, name = tracked().key, "results/models/a/phase-1"
    rest = [["log", 3, {"loss": 0.5, "mfu": 0.4}], ["finish"]]
    assert told(installed, "wandb", STEP) == [["init", "s2h", key, name, "allow", 0.001], *rest]
    assert told(installed, "trackio", STEP) == [["init", "s2h", f"{name} {key}", "allow", 0.001], *rest]


def test_mlflow_finds_its_run_again(installed: Path) -> None:
    logged = [["log", "r1", [["loss", 0.5, 3], ["mfu", 0.4, 3]]], ["finish", "r1"]]
    begun = [["experiment", "s2h"], ["init", "7", "results/models/a/phase-1"], ["param", "learning_rate"]]
    assert told(installed, "mlflow", STEP) == [*begun, *logged]
    assert told(installed, "mlflow", STEP) == [["experiment", "s2h"], ["update", "r1", "RUNNING"], *logged]


def test_another_training_is_another_run() -> None:
    keys = [tracked(), tracked(key="of other settings"), tracked(output="results/models/b/phase-1")]
    assert len({run.key for run in keys}) == 3
    assert tracked().key == tracked().key


def test_a_tracker_that_fails_is_told_of_once_and_ends_nothing(
    installed: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(self: Any, step: int, values: Any) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(trackers._Wandb, "log", fails)
    LOGGER.propagate = True
    assert len(told(installed, "wandb", STEP, STEP, STEP)) == 1
    assert [record.message for record in caplog.records] == [
        "wandb no longer tracks this run; training continues: no route to host"
    ]


def test_a_tracker_that_hangs_does_not_keep_a_training(
    installed: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from threading import Event

    released = Event()
    monkeypatch.setattr(trackers, "_PATIENCE", 0.1)
    monkeypatch.setattr(trackers._Wandb, "log", lambda self, step, values: released.wait())
    assert len(told(installed, "wandb", STEP)) == 1
    assert "wandb has not sent everything" in caplog.text
    released.set()


def test_a_package_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "wandb").mkdir()  # where Weights & Biases writes in offline mode
    assert "wandb, trackio, which are not installed" in missing_package(["wandb", "trackio"])
    assert missing_package([]) == ""


def test_a_training_without_its_tracker_ends_before_it_begins(tmp_path: Path) -> None:
    words = job(tmp_path, tmp_path, tmp_path, {"trackers": ["trackio"]})
    alone = [sys.executable, "-m", "s2h.training", *words]
    run = subprocess.run(alone, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": SOURCES})
    assert run.returncode != 0
    assert run.stderr == (
        "s2h: trackers names trackio, which is not installed where the training runs: pip install trackio, or leave "
        "it out.\n"
    )
