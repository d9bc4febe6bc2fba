"""Real training runs, started as the workflow starts them: ``torchrun -m s2h.training`` in one process."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu.sections import ROOT

_CHECKPOINT = "checkpoints/last"  # is there when the first checkpoint is whole


@dataclasses.dataclass(frozen=True, slots=True)
class Training:
    """A training.

    Attributes:
        base: model folder to start from.
        mixture: its examples.
        settings: of ``TrainingSettings``.
        zero: 2 or 3.
    """

    base: Path
    mixture: Path
    settings: dict[str, Any]
    zero: int = 2

    def command(self, folder: Path, *, gpu: bool) -> list[str]:
        """Its command line; all that it writes goes into ``folder``."""
        file = f"config/deepspeed/zero{self.zero}{'' if gpu else '_cpu'}.json"
        job = {
            "title": folder.name,
            "base": self.base,
            "mixture": self.mixture,
            "output": folder / "model",
            "checkpoints": folder / "checkpoints",
            "seed": 0,
            "settings": self.settings | {"deepspeed": str(ROOT / file)},
            "metrics": folder / "metrics.jsonl",
            "tensorboard": folder / "tensorboard",
        }
        words = [json.dumps(job, default=str), "--job-log", str(folder / "log")]
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=1"]
        return [*launcher, "-m", "s2h.training", *words]


def train(training: Training, folder: Path, *, gpu: bool, limit: float = 240) -> list[dict[str, float]]:
    """Train, and return what was measured in each step.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    folder.mkdir(exist_ok=True)
    process = _start(training, folder, gpu=gpu)
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        _end(process)
        code = -1
    if code:
        raise RuntimeError(f"the training ended with code {code}: {_said(folder)}")
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def train_killed(training: Training, folder: Path, *, gpu: bool) -> list[dict[str, float]]:
    """The same, but it is killed when it has written a checkpoint, and started again."""
    folder.mkdir(exist_ok=True)
    process = _start(training, folder, gpu=gpu)
    while not (folder / _CHECKPOINT).exists() and process.poll() is None:
        time.sleep(0.01)
    if process.poll() is not None:
        raise RuntimeError(f"the training ended before it was killed: {_said(folder)}")
    _end(process)
    return train(training, folder, gpu=gpu)


def _said(folder: Path) -> str:
    """The end of what a training logged, and of what its launcher printed."""
    outputs = [folder / name for name in ("log", "output") if (folder / name).exists()]
    return "\n".join(path.read_text(errors="replace")[-1000:] for path in outputs)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished training."""
    found: dict[str, Any] = json.loads((folder / "model/manifest.json").read_text())
    return found


def _start(training: Training, folder: Path, *, gpu: bool) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", **({} if gpu else {"CUDA_VISIBLE_DEVICES": ""})}
    with (folder / "output").open("a") as written:
        return subprocess.Popen(
            training.command(folder, gpu=gpu), env=environment, stdout=written, stderr=subprocess.STDOUT
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a launcher; its processes die with it, which is what ``end_with_parent`` is for."""
    process.send_signal(signal.SIGKILL)
    process.wait()
