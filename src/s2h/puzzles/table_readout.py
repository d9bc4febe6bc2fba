"""Table Readout: add up the highlighted cells of a path that turns."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from s2h.errors import ConfigError, DataError
from s2h.puzzles.paths import AnyFamily, is_clear, turns
from s2h.puzzles.tables import Table, TableSettings, TableTask
from s2h.puzzles.task import Level, LevelSettings, Span

_TRIES = 10_000  # draws for one puzzle; the shipped settings accept a tenth or more of the draws of every family


class PathLevel(LevelSettings):
    """A level of Table Readout.

    The paper states a family's number of pieces and lets borders and trimming decide what becomes of them, so that
    two in five of some HARD spirals turn no more often than SIMPLE ones. Here a level holds what is measured: a path
    whose turns or cells are outside the level's ranges is drawn again.

    The paper trains HARD on three families in equal parts and evaluates HARD on compositional paths alone; here a
    level has the same families in training and evaluation.

    Attributes:
        families: kinds of paths with their shares; rejection keeps the shares, as the family is drawn once a puzzle.
        turns: range of the number of turns of a path.
        path_length: range of the number of highlighted cells.
    """

    families: tuple[AnyFamily, ...] = Field(min_length=1, description="kinds of paths with their shares")
    turns: Span = Field(description="range of the number of turns of a path")
    path_length: Span = Field(description="range of the number of highlighted cells")


class TableReadoutSettings(TableSettings):
    """Settings of Table Readout; the paper's tables have 7-12 rows and 7-10 columns."""

    levels: dict[Level, PathLevel]

    @model_validator(mode="after")
    def _families_fit(self) -> TableReadoutSettings:
        side = min(self.rows[0], self.columns[0])
        for name, level in self.levels.items():
            for family in level.families:
                if family.least_side() > side:
                    raise ValueError(
                        f"levels.{name}: {family.family} paths with these settings need at least "
                        f"{family.least_side()} rows and columns, but the smallest table has {self.rows[0]} rows and "
                        f"{self.columns[0]} columns: choose a smaller gap or reach, or larger tables"
                    )
        return self

    @model_validator(mode="after")
    def _paths_fit(self) -> TableReadoutSettings:
        cells = self.rows[1] * self.columns[1]
        for name, level in self.levels.items():
            if not 2 <= level.path_length[0] <= level.path_length[1] <= cells:
                raise ValueError(
                    f"levels.{name}.path_length is {list(level.path_length)}, but a path has from 2 cells to the "
                    f"{cells} of the largest table: choose a range within these"
                )
            if level.turns[0] < 0 or level.turns[0] + 2 > level.path_length[1]:
                raise ValueError(
                    f"levels.{name}.turns is {list(level.turns)}, but a path of up to {level.path_length[1]} cells "
                    f"has from 0 to {level.path_length[1] - 2} turns: choose fewer turns or longer paths"
                )
        return self


class TableReadout(TableTask):
    """The path goes from cell to neighbouring cell, turns, and never touches itself."""

    name = "table_readout"
    title = "Table Readout"
    settings_type = TableReadoutSettings

    def sample(self, rng: np.random.Generator, level: Level) -> Table:
        """A path of one of the level's families, by share; table size and path are drawn together until both fit.

        Sizes are uniform before rejection. Where long paths are wanted, small tables therefore become rarer.
        """
        if level not in self.settings.levels:
            raise ConfigError(f"{self.title} has no level {level}: its levels are {', '.join(self.settings.levels)}.")
        chosen: PathLevel = self.settings.levels[level]
        shares = np.array([family.share for family in chosen.families])
        family = chosen.families[int(rng.choice(len(shares), p=shares / shares.sum()))]
        for _ in range(_TRIES):
            rows, columns = (
                int(rng.integers(low, high + 1)) for low, high in (self.settings.rows, self.settings.columns)
            )
            path = family.draw(rng, (rows, columns))
            if _within(len(path), chosen.path_length) and _within(turns(path), chosen.turns) and is_clear(path):
                return self.fill(rng, (rows, columns), path)
        raise DataError(
            f"{self.title} {level}: none of {_TRIES} {family.family} paths had {list(chosen.turns)} turns and "
            f"{list(chosen.path_length)} cells. Widen these ranges, or change the family's pieces or the table's size."
        )


def _within(number: int, span: Span) -> bool:
    return span[0] <= number <= span[1]
