"""A tiny model and a few puzzles of a small task, shared by the tests of scoring."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2h.models.sources import TinySource
from s2h.models.tiny import build
from s2h.puzzles.consecutive_table_readout import ConsecutiveTableReadout, ConsecutiveTableReadoutSettings
from s2h.puzzles.shards import PuzzleSet, write_shard
from s2h.puzzles.task import Level
from s2h.supervision.formats import WORDS

PUZZLES = 6


@pytest.fixture(scope="session")
def task() -> ConsecutiveTableReadout:
    levels = {
        "SIMPLE": {"train": 0, "eval": PUZZLES, "path_length": [1, 3]},
        "HARD": {"train": 0, "eval": PUZZLES, "path_length": [6, 9]},
    }
    settings = {"style": "compact", "rows": [3, 3], "columns": [5, 5], "levels": levels}
    return ConsecutiveTableReadout(ConsecutiveTableReadoutSettings.model_validate(settings))


@pytest.fixture(scope="session")
def shards(task: ConsecutiveTableReadout, tmp_path_factory: pytest.TempPathFactory) -> dict[Level, list[str]]:
    """The eval puzzles of each level, in two shards."""
    folder = tmp_path_factory.mktemp("puzzles")
    made: dict[Level, list[str]] = {"SIMPLE": [], "HARD": []}
    for level, paths in made.items():
        for number, span in enumerate([(0, 4), (4, PUZZLES)]):
            paths.append(str(folder / f"{level}-{number}.parquet"))
            write_shard(paths[-1], task, PuzzleSet(0, level, "eval"), span, progress=lambda done: None)
    return made


@pytest.fixture(scope="session")
def model_folder(task: ConsecutiveTableReadout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    settings = TinySource(
        vision_width=16, text_width=32, text_layers=2, heads=2, intermediate_size=64, initializer_range=0.3
    )
    build(settings, vocabulary=task.vocabulary() | WORDS, image_size=task.image_size[0], seed=1, folder=folder)
    return folder
