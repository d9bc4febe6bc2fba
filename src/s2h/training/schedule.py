"""Learning-rate schedules as multiples of the peak rate."""

from __future__ import annotations

import math

from s2h.models.settings import TrainingSettings


def rate(step: int, *, steps: int, settings: TrainingSettings) -> float:
    """The learning rate of optimizer step ``step`` (from 0) of ``steps``, as a share of the peak, from 0 to 1."""
    warmup = settings.warmup * steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if settings.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))
    start = max(settings.decay_from * steps, warmup)
    return 1.0 if step < start else (steps - step) / (steps - start)
