"""Checkpoints from which an interrupted training run resumes, with the same weights in the end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch.distributed as dist

from s2h.errors import TrainingError, unreadable
from s2h.files import atomic_file
from s2h.logs import LOGGER

Steps = list[dict[str, float]]
"""The metrics of each step so far."""


class Checkpoints:
    """The checkpoints of one phase; the last whole one counts, older ones are removed.

    Args:
        folder: where they lie.
        engine: DeepSpeed's engine; all processes must make the same calls.
    """

    def __init__(self, folder: Path, engine: Any) -> None:
        self.folder, self.engine = folder, engine

    @property
    def _last(self) -> Path:
        """A file that names the last whole checkpoint."""
        return self.folder / "last"

    def claim(self, key: str) -> None:
        """Remove checkpoints that another training left here, one of other data or settings; all processes call it."""
        named = self.folder / "training"
        if dist.get_rank() == 0 and not (named.exists() and named.read_text() == key):
            if self._last.exists():
                LOGGER.warning("the checkpoints in %s are of another training run and are removed", self.folder)
            self.remove()
            with atomic_file(named) as temporary:
                temporary.write_text(key)
        dist.barrier()

    def save(self, steps: Steps) -> None:
        """Write a checkpoint; it counts from the moment at which all processes have written their part."""
        tag = f"step-{len(steps):07d}"
        self.engine.save_checkpoint(str(self.folder), tag=tag, client_state={"steps": steps}, save_latest=False)
        dist.barrier()
        if dist.get_rank() == 0:
            with atomic_file(self._last) as temporary:
                temporary.write_text(tag)
            for old in self.folder.glob("step-*"):
                if old.name != tag:
                    shutil.rmtree(old, ignore_errors=True)

    def resume(self) -> Steps:
        """Resume from the last whole checkpoint, if there is one; returns the metrics of the steps done."""
        if not self._last.exists():
            return []
        state = self._load(self.folder)
        LOGGER.info("resuming after %d steps", len(state["steps"]))
        return list(state["steps"])

    def adopt(self, other: Path) -> None:
        """Take weights and optimizer from the last checkpoint of the phase before; the schedule starts anew."""
        if not (other / "last").exists():
            raise TrainingError(
                f"optimizer: kept resumes from {other}, but the phase before left no checkpoint there: delete that "
                "phase's model folder and run again."
            )
        self._load(other, load_lr_scheduler_states=False)
        scheduler = self.engine.lr_scheduler
        for group, learning_rate in zip(self.engine.optimizer.param_groups, scheduler.get_last_lr(), strict=True):
            group["lr"] = learning_rate  # the optimizer came with the rate at which the phase before ended

    def _load(self, folder: Path, **options: bool) -> dict[str, Any]:
        tag = (folder / "last").read_text()
        try:
            path, state = self.engine.load_checkpoint(str(folder), tag=tag, **options)
        except Exception as error:  # a torn file may break anywhere in the readers below
            raise unreadable("checkpoint", folder / tag, error, remove=folder) from error
        if path is None:
            raise unreadable("checkpoint", folder / tag, "it is not whole", remove=folder)
        return dict(state)

    def remove(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def check_disk(self, parameters: int, *, snapshots: int = 0) -> None:
        """Raise TrainingError where the disk has no room for two checkpoints, the snapshots and the model.

        A checkpoint holds weights and fp32 weights and moments: up to 16 bytes per parameter; two lie side by side for
        a moment. A snapshot holds weights and fp32 second moments: up to 8.
        """
        needed = parameters * (2 * 16 + 8 * snapshots + 4)
        place = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        free = shutil.disk_usage(place).free
        LOGGER.info("checkpoints and model need up to %s of disk; %s are free", _size(needed), _size(free))
        if needed > free:
            raise TrainingError(
                f"checkpoints and model need up to {_size(needed)} below {place}, but {_size(free)} are free: make "
                "room, or put results on another disk (results in the config)."
            )


def _size(count: float) -> str:
    """A human-readable size."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
