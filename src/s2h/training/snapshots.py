"""Snapshots: the model along its training, with what its optimizer knows, to be measured afterwards.

``snapshot_writer`` writes them. It needs DeepSpeed, whose import uses CUDA, and who reads them has yet to claim a GPU.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from s2h.errors import DataError
from s2h.models.weights import check_weights

FOLDER = "snapshots"
"""The folder of the snapshots in a trained model's folder, in order of their names."""


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """A model on its way through a phase.

    Attributes:
        folder: model folder.
        step: optimizer steps that it has behind it.
        steps: of the phase.
        updates: updates that the second moments are of, for their bias correction; 0 where there are none.
        beta2: how slowly they change.
    """

    folder: Path
    step: int
    steps: int
    updates: int
    beta2: float

    def second_moments(self) -> dict[str, Tensor]:
        """AdamW's second moments, bias-corrected, by parameter name: ``float[...]`` of the parameter's shape."""
        correction = 1 - self.beta2**self.updates
        moments = load_file(self.folder / "second_moments.safetensors")
        return {name: moment / correction for name, moment in moments.items()}


def read_snapshots(model: str | Path) -> list[Snapshot]:
    """The snapshots of a trained model in order; where none was kept, the model itself, without moments.

    Raises:
        DataError: the folder does not hold what a training leaves.
        ModelError: its weights were removed.
    """
    folder = Path(model)
    check_weights(folder)
    try:
        folders = sorted((folder / FOLDER).glob("step-*"))
        if folders:
            return [Snapshot(place, **json.loads((place / "snapshot.json").read_text())) for place in folders]
        steps = json.loads((folder / "manifest.json").read_text())["steps"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{folder} is not what a training leaves ({type(error).__name__}: {error}): delete it and run again."
        ) from None
    return [Snapshot(folder, steps, steps, 0, 0.0)]
