"""The model of a phase inside DeepSpeed: loaded, prepared, with its optimizer and schedule; and one step of it."""

from __future__ import annotations

import os
from typing import Any

import deepspeed
import torch
import torch.distributed as dist
from torch import Tensor
from transformers.integrations import HfDeepSpeedConfig

from s2h.logs import LOGGER
from s2h.models.kernels import choose_kernels
from s2h.models.loading import load_model
from s2h.models.settings import TrainingSettings
from s2h.training.data import PhaseData
from s2h.training.deepspeed_config import offloads_optimizer, read_config, zero_stage
from s2h.training.job import Job
from s2h.training.losses import ForwardPass, dummy_image
from s2h.training.memory.fitting import Machine, recomputes
from s2h.training.model import attention_of, dtype_of, made_trainable
from s2h.training.processes import from_rank_0, local_world_size
from s2h.training.schedule import rate


class TrainingEngine:
    """A model that learns; all processes must make the same calls.

    Args:
        job: what is trained.
        data: what it is trained on.
        device: that this process computes on.

    Attributes:
        config: DeepSpeed's.
        zero_stage: how much is spread over the processes.
        recomputed: whether activations are computed again in the backward pass.
        kernels: what computes norms and feed-forward layers, ``liger`` or ``plain``.
        parameters: of the model.
        deepspeed: DeepSpeed's own engine.
    """

    def __init__(self, job: Job, data: PhaseData, device: torch.device) -> None:
        self.device = device
        self.config = read_config(job.settings, grad_accum_steps=data.plan.grad_accum_steps)
        self.zero_stage = zero_stage(self.config)
        self.recomputed = from_rank_0(lambda: self._recomputes(job, data))
        model = self._load(job)
        self.kernels = choose_kernels(model, job.settings, device=device.type)
        model, counts = made_trainable(model, job.settings, frozen=data.frozen, recompute=self.recomputed)
        _log_parts(counts)
        self._learner = ForwardPass(model, dummy_image(data.processor) if self._needs_blank(data) else None)
        optimizer = _optimizer(model, job.settings, device=device.type)
        schedule = _schedule(optimizer, job.settings, steps=data.plan.steps)
        self.deepspeed, *_ = deepspeed.initialize(
            model=model, optimizer=optimizer, lr_scheduler=schedule, config=self.config
        )
        self.parameters = sum(getattr(p, "ds_numel", p.numel()) for p in self.deepspeed.module.parameters())

    def _recomputes(self, job: Job, data: PhaseData) -> bool:
        batches = list(data.largest()) if self.device.type == "cuda" else []
        return recomputes(job, self.config, batches, frozen=data.frozen, machine=Machine.here(self.device))

    def _load(self, job: Job) -> Any:
        if offloads_optimizer(self.config):  # which steps on the CPU, where a process has one thread otherwise
            torch.set_num_threads(max(len(os.sched_getaffinity(0)) // local_world_size(), 1))
        # Weights are spread over the processes while they are loaded, as long as this object lives.
        keep = HfDeepSpeedConfig(self.config) if self.zero_stage == 3 else None
        attention = attention_of(job.settings, self.device.type)
        model = load_model(job.base, dtype=dtype_of(job.settings), attention=attention)
        del keep
        return model

    def _needs_blank(self, data: PhaseData) -> bool:
        """Whether a batch of text alone must go through the vision tower, as others do at the same time."""
        return data.has_images and (self.zero_stage == 3 or not {"vision", "projector"} <= data.frozen)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Cross entropy in nats, summed over the target tokens of a micro-batch of this process."""
        return self._learner.loss(self.deepspeed, batch, self.device)

    def dry_backward(self, loss: Tensor) -> None:
        """The backward pass of a loss with weight zero: all of its memory and no gradient."""
        self.deepspeed.set_gradient_accumulation_boundary(False)
        self.deepspeed.backward(loss * 0)

    def learn(self, loss: Tensor, *, last: bool) -> None:
        """The backward pass of a micro-batch, and behind the step's last one the optimizer's step.

        Args:
            loss: this process's part of the step's loss, which is the sum of all parts.
            last: whether it is the last micro-batch of the step.
        """
        self.deepspeed.set_gradient_accumulation_boundary(last)
        # DeepSpeed takes the mean over processes and accumulation steps; the loss is normalised already.
        self.deepspeed.backward(loss * dist.get_world_size() * self.config["gradient_accumulation_steps"])
        self.deepspeed.step()

    def gradient_norm(self) -> float:
        """The gradient norm of the last step, before clipping; waits for the GPU."""
        return float(self.deepspeed.get_global_grad_norm() or 0)

    def whole_model(self) -> tuple[Any, dict[str, Any] | None]:
        """The model for saving, and its weights where they have to be put together from all processes.

        Adapters are still apart from the weights (``s2h.models.adapters``).
        """
        state = self.deepspeed._zero3_consolidated_16bit_state_dict() if self.zero_stage == 3 else None
        return self.deepspeed.module, state


def _schedule(
    optimizer: torch.optim.Optimizer, settings: TrainingSettings, *, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps=steps, settings=settings))


def _optimizer(model: Any, settings: TrainingSettings, *, device: str) -> torch.optim.Optimizer:
    """AdamW of all that learns."""
    return torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=settings.learning_rate,
        betas=(0.9, settings.adam_beta2),
        weight_decay=settings.weight_decay,
        fused=device == "cuda",
    )


def _log_parts(counts: dict[Any, tuple[int, int]]) -> None:
    for part, (total, learning) in counts.items():
        LOGGER.info("%s: %s parameters, %s learn", part, f"{total:,}", f"{learning:,}" if learning else "none")
