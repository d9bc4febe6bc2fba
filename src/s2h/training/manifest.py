"""The story of a trained model, as JSON beside its weights."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

from s2h.models.weights import describe_base
from s2h.provenance.code import code_digest
from s2h.provenance.fingerprints import contents_digest, take_fingerprint
from s2h.provenance.job_facts import commit, versions
from s2h.training.checkpoints import Steps
from s2h.training.inspection import Lengths
from s2h.training.job import Job
from s2h.training.metrics import mean_over_time

_PACKAGES = ("torch", "transformers", "deepspeed", "peft", "numpy", "polars", "pillow")


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a training came to.

    Attributes:
        started: when its last start was, as ISO 8601.
        ended: when it ended.
        seconds: of computing since its last start.
        resumed_at_step: from which it went on then; 0 for a start from the beginning.
        steps: what was measured in each step.
        lengths: of the examples.
        dropped: examples that were too long.
        padding: share of the tokens computed that was padding or filler.
        parameters: of the model.
        processes: that trained it.
        gpus: that they trained it on.
        zero_stage: of DeepSpeed.
        kernels: what computed norms and feed-forward layers, ``liger`` or ``plain``.
        recomputed: whether activations were computed again in the backward pass.
        flops: of the forward and backward passes of all examples; None where they cannot be counted.
    """

    started: str
    ended: str
    seconds: float
    resumed_at_step: int
    steps: Steps
    lengths: Lengths
    dropped: int
    padding: float
    parameters: int
    processes: int
    gpus: int
    zero_stage: int
    kernels: str
    recomputed: bool
    flops: float | None = None


def manifest(job: Job, outcome: Outcome) -> dict[str, Any]:
    """All that is needed to know where a model comes from."""
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
        "processes": outcome.processes,
        "gpus": outcome.gpus,
        "zero_stage": outcome.zero_stage,
        "kernels": outcome.kernels,
        "activations_recomputed": outcome.recomputed,
        "parameters": outcome.parameters,
        "examples": len(outcome.lengths.tokens),
        "examples_dropped": outcome.dropped,
        "steps": len(outcome.steps),
        "tokens": int(outcome.lengths.tokens.sum()),
        "target_tokens": int(outcome.lengths.targets.sum()),
        "padding": round(outcome.padding, 4),
        "started": outcome.started,
        "ended": outcome.ended,
        "seconds": round(outcome.seconds, 1),
        "resumed_at_step": outcome.resumed_at_step,
        **_speed(outcome),
        "first_loss": float(np.mean(losses[:tenth])),
        "final_loss": float(np.mean(losses[-tenth:])),
    }


def _speed(outcome: Outcome) -> dict[str, float | None]:
    """What was computed and how fast, over all steps; None for what was not measured."""
    peaks = [step["peak_memory_gb"] for step in outcome.steps if "peak_memory_gb" in step]
    means = {name: mean_over_time(outcome.steps, name) for name in ("tflops_per_second", "mfu", "data_wait")}
    rounded = {name: None if mean is None else float(f"{mean:.4g}") for name, mean in means.items()}
    return {"flops": outcome.flops, **rounded, "peak_memory_gb": max(peaks, default=None)}


def training_key(job: Job, processes: int) -> str:
    """Digest of all that decides a training's steps: checkpoints belong to it.

    DeepSpeed reads a checkpoint only in as many processes as wrote it.
    """
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
        processes,
    ]
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
