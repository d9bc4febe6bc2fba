"""Checkpoints from which an interrupted training run resumes, with the same weights in the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch.distributed as dist

from s2h.children import end_with_parent
from s2h.errors import TrainingError, unreadable
from s2h.files import atomic_file, atomic_folder
from s2h.logs import LOGGER, announce
from s2h.training.processes import from_rank_0

Steps = list[dict[str, float]]
"""The metrics of each step so far."""
_WRITERS = "processes"  # file of a checkpoint: how many wrote it


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
        """Set aside what another training left here, one of other data or settings; all processes call it.

        Checkpoints that this training left before it was set aside are brought back.

        Args:
            key: digest of all that decides the training's steps; read in the first process.
        """
        if dist.get_rank() == 0:
            self._claim(key)
        dist.barrier()

    def _claim(self, key: str) -> None:
        named = self.folder / "training"
        found = named.read_text() if named.exists() else "unknown"
        if found == key:
            return
        if self._last.exists():
            os.replace(self.folder, self._aside(found))
            announce(
                f"{self.folder} holds checkpoints of other data or settings: they stay in {self._aside(found)}, and "
                "are used again when those come back"
            )
        else:
            self.remove()
        if self._aside(key).exists():
            os.replace(self._aside(key), self.folder)
            return
        with atomic_file(named) as temporary:
            temporary.write_text(key)

    def _aside(self, key: str) -> Path:
        """Where the checkpoints of a training lie while another one uses the folder."""
        return self.folder.with_name(f"{self.folder.name}.{key[:12]}")

    def save(self, steps: Steps) -> None:
        """Write a checkpoint; it counts from the moment at which all processes have written their part."""
        tag = f"step-{len(steps):07d}"
        self.engine.save_checkpoint(str(self.folder), tag=tag, client_state={"steps": steps}, save_latest=False)
        dist.barrier()
        if dist.get_rank() == 0:
            (self.folder / tag / _WRITERS).write_text(str(dist.get_world_size()))
            with atomic_file(self._last) as temporary:
                temporary.write_text(tag)
            for old in self.folder.glob("step-*"):
                if old.name != tag:
                    shutil.rmtree(old, ignore_errors=True)
        dist.barrier()

    def resume(self) -> Steps:
        """Resume from the last whole checkpoint, if there is one; returns the metrics of the steps done."""
        if not from_rank_0(self._last.exists):
            return []
        return list(self._load(self.folder)["steps"])

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
        checkpoint = folder / from_rank_0((folder / "last").read_text)
        writers = from_rank_0(lambda: _writers(checkpoint))
        try:
            if writers in (None, dist.get_world_size()):
                return self._read(checkpoint, **options)
            return self._reshard(checkpoint, **options)
        except Exception as error:  # a torn file may break anywhere in the readers below
            if writers in (None, dist.get_world_size()):
                raise unreadable("checkpoint", checkpoint, error, remove=folder) from error
            raise TrainingError(
                f"the checkpoint {checkpoint} was written by {writers} processes and cannot be read by "
                f"{dist.get_world_size()} ({error}): train with {writers} processes as before (models.*.resources, or "
                f"--cores where there is no GPU), or delete {folder} to train from the start."
            ) from error

    def _read(self, checkpoint: Path, **options: bool) -> dict[str, Any]:
        path, state = self.engine.load_checkpoint(str(checkpoint.parent), tag=checkpoint.name, **options)
        if path is None:
            raise FileNotFoundError("it is not whole")
        return dict(state)

    def _reshard(self, checkpoint: Path, **options: bool) -> dict[str, Any]:
        """Read a checkpoint that another number of processes wrote, by way of one that is not spread over any."""
        folder = self.folder / "universal"
        if dist.get_rank() == 0:
            with atomic_folder(folder) as temporary:
                _make_universal(checkpoint, temporary / checkpoint.name)
        dist.barrier()
        self.engine._config.load_universal_checkpoint = True  # checkpoint.load_universal, for this one only
        state = self._read(folder / checkpoint.name, **options)
        self.engine._config.load_universal_checkpoint = False
        dist.barrier()
        if dist.get_rank() == 0:
            shutil.rmtree(folder, ignore_errors=True)
        return state

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


def _writers(checkpoint: Path) -> int | None:
    """How many processes share what a checkpoint holds; None where any number of them may read it."""
    written = checkpoint / _WRITERS
    spread = any(checkpoint.glob("*_optim_states.pt"))
    return int(written.read_text()) if spread and written.exists() else None


def _make_universal(checkpoint: Path, place: Path) -> None:
    """Have DeepSpeed write a checkpoint with its parameters and moments whole, beside the one that it is made of."""
    module = "deepspeed.checkpoint.ds_to_universal"
    folders = ["--input_folder", str(checkpoint), "--output_folder", str(place)]
    done = subprocess.run(
        [sys.executable, "-m", module, *folders, "--inject_missing_state"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=end_with_parent,
    )
    if done.returncode:
        LOGGER.error("%s ended with code %d:\n%s", module, done.returncode, done.stderr)
        raise ValueError(done.stderr.strip().rpartition("\n")[2])


def _size(count: float) -> str:
    """A human-readable size."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
