"""Consecutive Table Readout: add up the highlighted cells of a run in reading order."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from s2h.puzzles.drawing.table_images import Cell
from s2h.puzzles.table_task import Table, TableSettings, TableTask
from s2h.puzzles.task import Level, LevelSettings, Span, Split


class ReadoutLevel(LevelSettings):
    """A level of Consecutive Table Readout.

    Attributes:
        path_length: range of the number of highlighted cells (the paper: SIMPLE 5-10, MEDIUM 15-20, HARD 25-30).
    """

    path_length: Span = Field(description="range of the number of highlighted cells")


class ConsecutiveTableReadoutSettings(TableSettings):
    """Settings of Consecutive Table Readout; the paper's table has 5 rows and 10 columns."""

    levels: dict[Level, ReadoutLevel]

    @model_validator(mode="after")
    def _path_fits(self) -> ConsecutiveTableReadoutSettings:
        cells = self.rows[0] * self.columns[0]
        for name, level in self.levels.items():
            if not 1 <= level.path_length[0] <= level.path_length[1] <= cells:
                raise ValueError(
                    f"levels.{name}.path_length is {list(level.path_length)}, but the smallest table has {cells} "
                    f"cells: choose lengths from 1 to {cells}, or more rows or columns"
                )
        return self


class ConsecutiveTableReadout(TableTask):
    """The path runs along the rows, from one row's end to the next row's first cell, forwards or backwards."""

    name = "consecutive_table_readout"
    title = "Consecutive Table Readout"
    settings_type = ConsecutiveTableReadoutSettings
    path_note = (
        "The path goes along the rows, either from left to right and on to the row below, or from right to left and "
        "on to the row above. "
    )

    def sample(self, rng: np.random.Generator, level: Level, split: Split) -> Table:
        """A run of the level's length, uniform among lengths and, for a length, among the starts that leave room."""
        shortest, longest = self.level(level).path_length
        rows, columns = self.draw_shape(rng)
        length = int(rng.integers(shortest, longest + 1))
        start = int(rng.integers(0, rows * columns - length + 1))
        path: list[Cell] = [divmod(start + step, columns) for step in range(length)]
        if rng.integers(2):
            path.reverse()
        return self.fill(rng, (rows, columns), tuple(path))
