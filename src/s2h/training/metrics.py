"""Metrics of each training step: as JSON lines, for TensorBoard and for other trackers, written during training."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from s2h.training.checkpoints import Steps
from s2h.training.trackers import Follower

_DRAWN = (
    *("loss", "learning_rate", "gradient_norm", "tokens_per_second"),
    *("tflops_per_second", "mfu", "data_wait", "peak_memory_gb"),
)
_GB = 1e9


class Meter:
    """Measures how fast the steps of this process are; nothing of it waits for the GPU.

    Args:
        device: that computes.
        world_size: number of processes, each with a device.
        peak: FLOP/s that a device can do at most; None where nobody knows.
    """

    def __init__(self, *, device: torch.device, world_size: int, peak: float | None) -> None:
        self._device, self._world_size, self._peak = device, world_size, peak
        self.begin()

    def begin(self) -> None:
        """A step begins, before its data is waited for."""
        self._began, self._waited = time.monotonic(), 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time spent in this context as waiting for data."""
        since = time.monotonic()
        try:
            yield
        finally:
            self._waited += time.monotonic() - since

    def end(self, *, tokens: int, flops: float | None) -> dict[str, float]:
        """The metrics of the step since it began; unknown ones are omitted.

        Args:
            tokens: of the step, of all processes.
            flops: of its examples; None where they cannot be counted.

        Returns:
            ``seconds`` of the step, waiting included; ``data_wait``, the share of it that was waiting;
            ``tokens_per_second`` of all processes; ``tflops_per_second`` of each device, in 1e12 FLOP/s, and ``mfu``,
            what share of its peak that is; ``peak_memory_gb``, see ``peak_memory``.
        """
        seconds = max(time.monotonic() - self._began, 1e-9)
        measured = {
            "seconds": round(seconds, 4),
            "tokens_per_second": round(tokens / seconds, 1),
            "data_wait": round(self._waited / seconds, 4),
            "peak_memory_gb": round(peak_memory(self._device) / _GB, 3),
        }
        if flops is not None:
            speed = flops / seconds / self._world_size
            measured["tflops_per_second"] = float(f"{speed / 1e12:.4g}")
            measured |= {"mfu": round(speed / self._peak, 4)} if self._peak else {}
        return measured


def peak_memory(device: torch.device) -> int:
    """Most bytes that this process has held so far: tensors on a GPU, all of its memory where a CPU computes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # Linux counts in KiB


class MetricsWriter:
    """Writes the steps of one phase; what a resumed training does again is written again, in the same place.

    Args:
        path: JSON lines file.
        tensorboard: folder of TensorBoard's event files.
        done: the steps before an interruption.
        followers: other trackers, which receive new steps only.
    """

    def __init__(self, path: Path, tensorboard: Path, done: Steps, followers: Sequence[Follower] = ()) -> None:
        from torch.utils.tensorboard import SummaryWriter

        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._board: Any = SummaryWriter(str(tensorboard), purge_step=len(done) + 1 if done else None)
        self._followers = followers
        self._file.writelines(as_lines(done))
        self._file.flush()

    def write(self, steps: Steps) -> None:
        """Add finished steps."""
        self._file.writelines(as_lines(steps))
        self._file.flush()
        for step in steps:
            for name in _DRAWN:
                if name in step:
                    self._board.add_scalar(name, step[name], int(step["step"]))
            for follower in self._followers:
                follower.tell(step)
        self._board.flush()

    def close(self) -> None:
        """Write what is left."""
        self._file.close()
        self._board.close()
        for follower in self._followers:
            follower.close()


def as_lines(steps: Steps) -> list[str]:
    """One JSON line per step."""
    return [json.dumps(step) + "\n" for step in steps]


def mean_over_time(steps: Steps, name: str) -> float | None:
    """The mean of a measure, each step weighted by its seconds; None where no step has it, as in old training runs."""
    known = [step for step in steps if name in step]
    seconds = sum(step["seconds"] for step in known)
    return sum(step[name] * step["seconds"] for step in known) / seconds if seconds else None
