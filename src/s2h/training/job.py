"""One phase of training, as the workflow orders it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from s2h.models.settings import ModelPart, TrainingSettings
from s2h.training.trackers import TrackerName


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One phase of training.

    Attributes:
        title: what is trained, for a person to read.
        base: model folder that the phase starts from.
        mixture: Parquet file of its examples, in order.
        output: model folder to write.
        checkpoints: folder of the checkpoints from which an interrupted run goes on; removed at the end.
        metrics: JSON lines file, a line a step, written as the training goes on.
        tensorboard: folder of the same for TensorBoard.
        seed: seed of the run.
        settings: how to train.
        processor: options for the processor of ``base``.
        frozen: parts of the model that do not learn.
        optimizer_from: checkpoints of the phase before, whose optimizer goes on; None for a fresh one.
        leave_optimizer: leave the last checkpoint, so that the phase that follows can go on with its optimizer.
        trackers: packages that follow the training beside TensorBoard; they decide nothing of it.
    """

    title: str
    base: Path
    mixture: Path
    output: Path
    checkpoints: Path
    metrics: Path
    tensorboard: Path
    seed: int
    settings: TrainingSettings
    processor: dict[str, Any]
    frozen: tuple[ModelPart, ...] = ()
    optimizer_from: Path | None = None
    leave_optimizer: bool = False
    trackers: tuple[TrackerName, ...] = ()
