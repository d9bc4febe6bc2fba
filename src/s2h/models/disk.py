"""Disk space of the models of a study, estimated from their parameters, and whether there is room.

An estimate to plan with; each training looks again before it starts (``s2h.training.checkpoints``).
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

from s2h.models.settings import TrainingSettings
from s2h.models.sources import ModelResources
from s2h.models.weights import Keep

_CHECKPOINT = 16  # bytes per parameter: weights, and fp32 weights and moments
_ADAPTERS = 0.001  # adapters of rank 1 against the weights, about: 0.0006 of Qwen2.5-VL-3B, less of larger models
_SMALL = 1e9  # bytes below which nothing is said


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """A model that a training leaves.

    Attributes:
        folder: where it lies.
        model: name of the model that is trained, in the config.
        kept: bytes that stay of it once its run is scored; 0 for one that is removed.
        left: bytes that the training leaves, kept or not.
        beside: bytes that the training needs for its checkpoints while it is at work.
    """

    folder: str
    model: str
    kept: float
    left: float
    beside: float


def stored(
    folder: str,
    model: str,
    resources: ModelResources,
    training: TrainingSettings,
    *,
    last: bool = True,
    keep: Keep = "all",
) -> Stored:
    """The disk space that a training run leaves and needs.

    Args:
        folder: where its model lies.
        model: its name in the config.
        resources: of the model, with its params_b of parameters.
        training: how it is trained.
        last: whether no phase of the run follows.
        keep: what the study keeps.
    """
    parameters = resources.params_b * 1e9
    weights = parameters * (2 if training.precision == "bf16" else 4)
    snapshots = training.snapshots * (weights + parameters * 4)  # weights and fp32 second moments
    adapters = weights * _ADAPTERS * training.lora.rank if training.lora else 0.0
    left = weights + snapshots + adapters
    kept = 0.0 if keep == "last_phase" and not last else left
    if keep == "adapters" and training.lora:
        kept = adapters
    return Stored(folder, model, kept, left, parameters * 2 * _CHECKPOINT)  # two lie side by side for a moment


def disk_report(models: Sequence[Stored], results: str) -> list[str]:
    """The disk space of a study, as lines of text; none where it is small.

    Args:
        models: that it trains.
        results: folder of everything that the workflow makes.
    """
    kept = [model for model in models if model.kept]
    if sum(model.left for model in models) < _SMALL:
        return []
    coming = [model for model in kept if not Path(model.folder).exists()]
    training = [model for model in models if not Path(model.folder).exists()]
    taken, missing = (sum(model.kept for model in each) for each in (kept, coming))
    rest = f"{len(coming)} of them, {_gigabytes(missing)}, are still to come" if coming else "all of them are there"
    lines = [f"s2h: this study keeps {len(kept)} trained models, about {_gigabytes(taken)} below {results}; {rest}"]
    if training:
        largest = max(training, key=lambda model: model.beside + model.left - model.kept)
        beside, free = largest.beside + largest.left - largest.kept, _free(results)
        lines.append(
            f"s2h: each training at work takes up to {_gigabytes(beside)} beside that ({largest.model}); "
            f"{_gigabytes(free)} are free"
        )
        if missing + beside > free:
            lines.append(
                f"s2h: warning: {_gigabytes(missing + beside)} are needed, {_gigabytes(free)} are free: make room, put "
                "results on another disk (results in the config), or keep less (keep_weights in the config)"
            )
    return lines


def _free(results: str) -> int:
    """Bytes that are free where a folder is, or will be."""
    place = Path(results).expanduser().absolute()
    return shutil.disk_usage(next(path for path in (place, *place.parents) if path.exists())).free


def _gigabytes(count: float) -> str:
    if count >= 1e12:
        return f"{count / 1e12:.2f} TB"
    return f"{count / 1e9:.0f} GB" if count >= 1e10 else f"{count / 1e9:.1f} GB"
