"""Trackers that follow a training beside TensorBoard, by packages of their own that are imported only when asked for.

Each lives in a thread: no network and no server holds up a training, and none that fails ends one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, Protocol

from s2h.logs import LOGGER

if TYPE_CHECKING:
    from s2h.training.job import Job

TrackerName = Literal["wandb", "mlflow", "trackio"]
"""The packages; each is imported, and installed by pip, under this name."""

_PROJECT = "s2h"
_PATIENCE = 120.0  # seconds that the end of a training waits until a tracker has sent what is left


def missing_package(names: Iterable[TrackerName]) -> str:
    """Advice on trackers whose package is not installed; empty where all are."""
    absent = [name for name in names if not _is_installed(name)]
    if not absent:
        return ""
    return (
        f"trackers names {', '.join(absent)}, which {'is' if len(absent) == 1 else 'are'} not installed where the "
        f"training runs: pip install {' '.join(absent)}, or leave it out"
    )


def _is_installed(name: str) -> bool:
    spec = find_spec(name)
    return spec is not None and spec.origin is not None  # a folder of that name, where a tracker wrote, has none


@dataclasses.dataclass(frozen=True, slots=True)
class TrackedRun:
    """The metadata of a training run that a tracker shows.

    Attributes:
        name: for people: the model folder that the training writes.
        key: unique to this training run; it stays the same when an interrupted run resumes.
        settings: of the training, by name.
    """

    name: str
    key: str
    settings: dict[str, Any]

    @classmethod
    def of(cls, job: Job, training_key: str) -> TrackedRun:
        """The training of a job; ``training_key`` is that of its checkpoints."""
        facts = {"title": job.title, "base": str(job.base), "mixture": str(job.mixture), "seed": job.seed}
        settings = facts | {"frozen": list(job.frozen)} | job.settings.model_dump(mode="json")
        key = hashlib.sha256(f"{job.output}\n{training_key}".encode()).hexdigest()[:16]
        return cls(str(job.output), key, settings)


class Tracker(Protocol):
    """A run in a tracker."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add the metrics of a step."""

    def finish(self) -> None:
        """Send what is left; the run has come to its end."""


class Follower:
    """Sends the metrics of the steps to a tracker, in a thread of its own.

    Args:
        name: of the tracker.
        run: the training run that it tracks.
    """

    def __init__(self, name: TrackerName, run: TrackedRun) -> None:
        self.name, self._run = name, run
        self._steps: SimpleQueue[Mapping[str, float] | None] = SimpleQueue()
        self._thread = Thread(target=self._follow, name=name, daemon=True)
        self._thread.start()

    def tell(self, step: Mapping[str, float]) -> None:
        """Hand over the metrics of a step; does not wait."""
        self._steps.put(step)

    def close(self) -> None:
        """Wait until all is sent, but not for ever."""
        self._steps.put(None)
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            LOGGER.warning("%s has not sent everything after %d seconds and is abandoned", self.name, _PATIENCE)

    def _follow(self) -> None:
        try:
            tracker = _OPEN[self.name](self._run)
            for step in iter(self._steps.get, None):
                tracker.log(int(step["step"]), {name: value for name, value in step.items() if name != "step"})
            tracker.finish()
        except Exception as error:  # a key, a network, a server: none of it is worth a training
            LOGGER.warning("%s no longer tracks this run; training continues: %s", self.name, error)


def follow(names: Iterable[TrackerName], run: TrackedRun) -> list[Follower]:
    """Start the trackers of a training; only its first process should."""
    return [Follower(name, run) for name in dict.fromkeys(names)]


class _Wandb:
    """A run of Weights & Biases; steps that a resumed training does again are not taken twice."""

    def __init__(self, run: TrackedRun) -> None:
        import wandb

        project = os.environ.get("WANDB_PROJECT", _PROJECT)
        self._run: Any = wandb.init(project=project, name=run.name, id=run.key, config=run.settings, resume="allow")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def finish(self) -> None:
        self._run.finish()


class _Mlflow:
    """A run of MLflow, found again by a tag, as MLflow gives runs ids of its own."""

    def __init__(self, run: TrackedRun) -> None:
        import mlflow

        self._client: Any = mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        place = experiment.experiment_id if experiment else self._client.create_experiment(name)
        runs = self._client.search_runs([place], f"tags.s2h_key = '{run.key}'")
        if runs:
            self._id = runs[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._client.create_run(place, run_name=run.name, tags={"s2h_key": run.key}).info.run_id
            for name, value in run.settings.items():
                self._client.log_param(self._id, name, value)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._client.log_batch(self._id, metrics=[Metric(name, value, now, step) for name, value in values.items()])

    def finish(self) -> None:
        self._client.set_terminated(self._id)


class _Trackio:
    """A run of Trackio, which knows runs by their names."""

    def __init__(self, run: TrackedRun) -> None:
        import trackio

        name = f"{run.name} {run.key}"
        self._run: Any = trackio.init(project=_PROJECT, name=name, config=run.settings, resume="allow", embed=False)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def finish(self) -> None:
        self._run.finish()


_OPEN: dict[TrackerName, Callable[[TrackedRun], Tracker]] = {"wandb": _Wandb, "mlflow": _Mlflow, "trackio": _Trackio}
