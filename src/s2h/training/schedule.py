"""Learning-rate schedules as multiples of the peak rate."""

from __future__ import annotations

import math

from s2h.models.settings import TrainingSettings


def rate(step: int, *, steps: int, settings: TrainingSettings) -> float:
    """The learning rate of optimizer step ``step`` (from 0) of ``steps``, as a share of the peak, from 0 to 1."""
    warmup_steps = settings.warmup_ratio * steps
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if settings.lr_scheduler_type == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(steps - warmup_steps, 1)))
    start = max(settings.decay_from * steps, warmup_steps)
    return 1.0 if step < start else (steps - step) / (steps - start)
