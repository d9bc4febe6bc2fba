"""Writes snapshots: the model along its training, with what its optimizer knows."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import torch.distributed as dist
from deepspeed.utils import safe_get_full_optimizer_state
from safetensors.torch import save_file
from torch import Tensor

from s2h.files import atomic_folder
from s2h.training.deepspeed_engine import TrainingEngine
from s2h.training.snapshots import FOLDER


class SnapshotWriter:
    """Writes the snapshots of one phase.

    Args:
        folder: where they are written during the phase.
        engine: holds the model; all processes must make the same calls.
        processor: of the model.
        steps: optimizer steps of the phase.
        number: how many snapshots, at even distances; the last is at the end.
    """

    def __init__(self, folder: Path, engine: TrainingEngine, processor: Any, *, steps: int, number: int) -> None:
        self.folder, self.engine, self.processor, self.steps = folder, engine, processor, steps
        self.due = {math.ceil(steps * place / number) for place in range(1, number + 1)} if number else set()

    def save(self, done: int) -> None:
        """Write the model as it is after ``done`` steps, if a snapshot is due then."""
        if done not in self.due:
            return
        model, state = self.engine.whole_model()
        moments, updates = _second_moments(self.engine.deepspeed)
        if dist.get_rank() == 0:
            with atomic_folder(self.folder / f"step-{done:07d}") as folder:
                model.save_pretrained(folder, state_dict=state)
                self.processor.save_pretrained(folder)
                beta2 = self.engine.deepspeed.optimizer.param_groups[0]["betas"][1]
                progress = {"step": done, "steps": self.steps, "updates": updates, "beta2": beta2}
                save_file(moments, folder / "second_moments.safetensors")
                (folder / "snapshot.json").write_text(json.dumps(progress) + "\n")
        dist.barrier()

    def add_to(self, model: Path) -> None:
        """Copy the snapshots into the folder of the trained model."""
        if self.folder.exists():
            shutil.copytree(self.folder, model / FOLDER, copy_function=_link)


def _link(file: str, place: str) -> None:
    """Give a file a second name, so that it takes no more room; copy it where the disk cannot."""
    try:
        os.link(file, place)
    except OSError:
        shutil.copy2(file, place)


def _second_moments(engine: Any) -> tuple[dict[str, Tensor], int]:
    """AdamW's second moments by parameter, on the CPU, and how many updates they are of; all processes must call it."""
    moments = {}
    for name, parameter in engine.module.named_parameters():
        if parameter.requires_grad:
            whole = safe_get_full_optimizer_state(parameter, "exp_avg_sq")
            if dist.get_rank() == 0:
                moments[name] = whole.detach().cpu().reshape(getattr(parameter, "ds_shape", parameter.shape)).clone()
    states = engine.optimizer.optimizer.state.values()
    return moments, int(next(state["step"] for state in states if "step" in state))
