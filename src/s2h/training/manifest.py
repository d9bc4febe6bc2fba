"""The manifest of a trained model: JSON beside its weights."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from s2h.models.weights import describe_base
from s2h.provenance.code import code_digest
from s2h.provenance.fingerprints import contents_digest, take_fingerprint
from s2h.provenance.job_facts import commit, versions
from s2h.training.checkpoints import Steps
from s2h.training.data import PhaseData
from s2h.training.deepspeed_engine import TrainingEngine
from s2h.training.job import Job
from s2h.training.metrics import mean_over_time

_PACKAGES = ("torch", "transformers", "deepspeed", "peft", "numpy", "polars", "pillow")


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a training run since its last start.

    Attributes:
        started: when that was.
        ended: when it ended.
        seconds: of computing in between.
        resumed_at: the step from which it resumed; 0 for a start from the beginning.
        steps: what was measured in each step, those before that start included.
    """

    started: datetime
    ended: datetime
    seconds: float
    resumed_at: int
    steps: Steps


def manifest(job: Job, data: PhaseData, engine: TrainingEngine, outcome: Outcome) -> dict[str, Any]:
    """The manifest: the provenance of a trained model.

    Args:
        job: what was trained.
        data: what it was trained on.
        engine: holds the trained model.
        outcome: what that came to.
    """
    losses = [step["loss"] for step in outcome.steps]
    tenth = max(len(losses) // 10, 1)
    return {
        "title": job.title,
        "base": str(job.base),
        "mixture": str(job.mixture),
        "mixture_sha256": hashlib.sha256(Path(job.mixture).read_bytes()).hexdigest(),
        "seed": job.seed,
        "settings": job.settings.model_dump(),
        "frozen": list(job.frozen),
        "adapters": describe_base(job.base, job.output) if job.settings.lora else None,
        "optimizer_from": str(job.optimizer_from) if job.optimizer_from else None,
        "commit": commit(),
        "code": code_digest("s2h.training.trainer"),
        "versions": versions(_PACKAGES) | {"python": platform.python_version()},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu",
        "processes": data.plan.world_size,
        "gpus": data.plan.world_size if engine.device.type == "cuda" else 0,
        "zero_stage": engine.zero_stage,
        "kernels": engine.kernels,
        "activations_recomputed": engine.recomputed,
        "parameters": engine.parameters,
        "examples": len(data.lengths.tokens),
        "examples_dropped": data.dropped,
        "steps": len(outcome.steps),
        "tokens": int(data.lengths.tokens.sum()),
        "target_tokens": int(data.lengths.targets.sum()),
        "padding": round(data.padding, 4),
        "started": outcome.started.isoformat(timespec="seconds"),
        "ended": outcome.ended.isoformat(timespec="seconds"),
        "seconds": round(outcome.seconds, 1),
        "resumed_at_step": outcome.resumed_at,
        "flops": None if data.flops is None else float(data.flops.sum()),
        **_speed(outcome.steps),
        "first_loss": float(np.mean(losses[:tenth])),
        "final_loss": float(np.mean(losses[-tenth:])),
    }


def _speed(steps: Steps) -> dict[str, float | None]:
    """How fast the steps were, over all of them; None for what was not measured."""
    peaks = [step["peak_memory_gb"] for step in steps if "peak_memory_gb" in step]
    means = {name: mean_over_time(steps, name) for name in ("tflops_per_second", "mfu", "data_wait")}
    rounded = {name: None if mean is None else float(f"{mean:.4g}") for name, mean in means.items()}
    return {**rounded, "peak_memory_gb": max(peaks, default=None)}


def training_key(job: Job) -> str:
    """Digest of all that decides a training's steps, but for rounding: checkpoints belong to it."""
    decides_nothing = {"save_steps", "save_minutes", "num_workers"}
    deciding = [
        contents_digest(take_fingerprint(job.mixture)),
        contents_digest(take_fingerprint(job.base)),
        str(job.base),
        job.seed,
        job.settings.model_dump(mode="json", exclude=decides_nothing),
        job.processor_options,
        list(job.frozen),
        job.optimizer_from is not None,
    ]
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
