"""What is measured in each step: as JSON lines and for TensorBoard, while the training goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from s2h.training.checkpoints import Steps

_DRAWN = ("loss", "learning_rate", "gradient_norm", "tokens_per_second")


class MetricsWriter:
    """Writes the steps of one phase; what a resumed training does again is written again, in the same place.

    Args:
        path: JSON lines file.
        tensorboard: folder of TensorBoard's event files.
        done: the steps before an interruption.
    """

    def __init__(self, path: Path, tensorboard: Path, done: Steps) -> None:
        from torch.utils.tensorboard import SummaryWriter

        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._board: Any = SummaryWriter(str(tensorboard), purge_step=len(done) + 1 if done else None)
        self._file.writelines(as_lines(done))
        self._file.flush()

    def write(self, steps: Steps) -> None:
        """Add finished steps."""
        self._file.writelines(as_lines(steps))
        self._file.flush()
        for step in steps:
            for name in _DRAWN:
                if name in step:
                    self._board.add_scalar(name, step[name], int(step["step"]))
        self._board.flush()

    def close(self) -> None:
        """Write what is left."""
        self._file.close()
        self._board.close()


def as_lines(steps: Steps) -> list[str]:
    """A line of JSON for each step."""
    return [json.dumps(step) + "\n" for step in steps]
