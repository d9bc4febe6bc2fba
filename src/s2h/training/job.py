"""One phase of training, from the plan to the trainer."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from s2h.models.settings import TrainingSettings
from s2h.phases import ModelPart
from s2h.settings import Settings
from s2h.training.trackers import TrackerName


class PhaseSpec(Settings):
    """The settings that determine the weights of a phase, beside its base, mixture and seed.

    Attributes:
        settings: how to train.
        processor_options: keyword arguments for loading the processor of the base.
        frozen: parts of the model that are not trained.
        optimizer_from: checkpoints of the phase before, whose optimizer state is kept; None for a fresh one.
        leave_optimizer: keep the last checkpoint, so that the phase that follows can continue with its optimizer.
    """

    settings: TrainingSettings
    processor_options: dict[str, int] = Field(default_factory=dict)
    frozen: tuple[ModelPart, ...] = ()
    optimizer_from: Path | None = None
    leave_optimizer: bool = False


class Job(PhaseSpec):
    """One phase of training, as ``python -m s2h.training`` is given it.

    Attributes:
        title: what is trained, for a person to read.
        base: model folder that the phase starts from.
        mixture: Parquet file of its examples, in order.
        output: model folder to write.
        checkpoints: folder of the checkpoints from which an interrupted run resumes; removed at the end.
        metrics: JSON lines file, one line per step, written during training.
        tensorboard: folder of the metrics for TensorBoard.
        seed: seed of the run.
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
    trackers: tuple[TrackerName, ...] = ()
