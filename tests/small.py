"""A small task and the tiny model for it, which train and decode within seconds."""

from __future__ import annotations

from pathlib import Path

from s2h.puzzles.consecutive_table_readout import ConsecutiveTableReadout, ConsecutiveTableReadoutSettings


def small_readout() -> ConsecutiveTableReadout:
    """Consecutive Table Readout in the compact style, in 3 rows and 5 columns."""
    levels = {
        "SIMPLE": {"path_length": (1, 5), "train": 0, "eval": 0},
        "HARD": {"path_length": (6, 9), "train": 0, "eval": 0},
    }
    values = {"style": "compact", "rows": (3, 3), "columns": (5, 5), "levels": levels}
    return ConsecutiveTableReadout(ConsecutiveTableReadoutSettings.model_validate(values))


def build_tiny_model(folder: Path, task: ConsecutiveTableReadout) -> Path:
    """Write a very small model with the vocabulary of ``task``, from random weights; returns its folder."""
    from s2h.models.sources import TinySource
    from s2h.models.tiny import build
    from s2h.supervision.formats import WORDS

    settings = TinySource(vision_width=32, text_width=32, text_layers=1, intermediate_size=64)
    build(settings, vocabulary=task.vocabulary() | WORDS, image_size=task.image_size[0], seed=0, folder=folder)
    return folder
