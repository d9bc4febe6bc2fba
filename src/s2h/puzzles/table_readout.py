"""Table Readout: add up the highlighted cells of a path that turns."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from s2h.errors import DataError
from s2h.puzzles.paths import AnyFamily, is_clear
from s2h.puzzles.table_task import Table, TableSettings, TableTask, turns
from s2h.puzzles.task import Level, LevelSettings, Span, Split

_TRIES = 10_000  # draws for one puzzle; the shipped settings accept a tenth or more of the draws of every family


class PathLevel(LevelSettings):
    """A level of Table Readout.

    The paper states a family's number of pieces and lets borders and trimming decide what becomes of them, so that
    two in five of some HARD spirals turn no more often than SIMPLE ones. Here a level holds what is measured: a path
    whose turns or cells are outside the level's ranges is drawn again.

    As in the paper, a family may have another share among evaluation puzzles than in training: the paper trains HARD
    on three families in equal parts and evaluates HARD on compositional paths alone.

    Attributes:
        families: kinds of paths with their shares; rejection keeps the shares, as the family is drawn once a puzzle.
        turns: range of the number of turns of a path.
        path_length: range of the number of highlighted cells.
    """

    families: tuple[AnyFamily, ...] = Field(min_length=1, description="kinds of paths with their shares")
    turns: Span = Field(description="range of the number of turns of a path")
    path_length: Span = Field(description="range of the number of highlighted cells")

    @model_validator(mode="after")
    def _every_split_has_a_family(self) -> PathLevel:
        if not any(family.share_of("eval") for family in self.families):
            raise ValueError("every family has eval_share 0: evaluation puzzles need at least one family")
        return self

    def family(self, place: float, split: Split) -> AnyFamily:
        """The family that lies at ``place``, from 0 to 1, when all of them are laid side by side by their shares."""
        shares = np.cumsum([family.share_of(split) for family in self.families])
        return self.families[int(np.searchsorted(shares, place * shares[-1], side="right"))]


class TableReadoutSettings(TableSettings):
    """Settings of Table Readout; the paper's tables have 7-12 rows and 7-10 columns."""

    levels: dict[Level, PathLevel]

    @model_validator(mode="after")
    def _families_fit(self) -> TableReadoutSettings:
        side = min(self.rows[0], self.columns[0])
        for name, level in self.levels.items():
            for family in level.families:
                if family.min_side() > side:
                    raise ValueError(
                        f"levels.{name}: {family.family} paths with these settings need at least "
                        f"{family.min_side()} rows and columns, but the smallest table has {self.rows[0]} rows and "
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

    def sample(self, rng: np.random.Generator, level: Level, split: Split) -> Table:
        """A path of one of the level's families, by share; table size and path are drawn together until both fit.

        Sizes are uniform before rejection. Where long paths are wanted, small tables therefore become rarer.
        """
        chosen: PathLevel = self.level(level)
        family = chosen.family(rng.random(), split)
        for _ in range(_TRIES):
            shape = self.draw_shape(rng)
            path = family.draw(rng, shape)
            if _within(len(path), chosen.path_length) and _within(turns(path), chosen.turns) and is_clear(path):
                return self.fill(rng, shape, path)
        raise DataError(
            f"{self.title} {level}: none of {_TRIES} {family.family} paths had {list(chosen.turns)} turns and "
            f"{list(chosen.path_length)} cells. Widen these ranges, or change the family's pieces or the table's size."
        )

    def difficulty(self, puzzle: Table) -> dict[str, int]:
        """Cells and turns of the path."""
        return {"path length": len(puzzle.path), "turns": turns(puzzle.path)}


def _within(number: int, span: Span) -> bool:
    return span[0] <= number <= span[1]
