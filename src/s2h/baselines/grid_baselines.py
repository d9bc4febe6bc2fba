"""The blind baselines of Grid Navigation: walks that go straight from stop to stop and ignore the obstacles."""

from __future__ import annotations

from functools import partial

from s2h.baselines.baseline import Baseline, Guess
from s2h.puzzles.grid_navigation import NO_PATH, STRAIGHT_WALKS, Grid, GridNavigation, straight_walks


def grid_baselines(task: GridNavigation) -> dict[str, Baseline[Grid]]:
    """A baseline for each way to go from stop to stop."""
    return {f"straight walk, {way}": _always(partial(_walk, way)) for way in STRAIGHT_WALKS}


def _walk(way: str, puzzle: Grid) -> str:
    return " ".join(straight_walks(puzzle)[way]) or NO_PATH


def _always(guess: Guess[Grid]) -> Baseline[Grid]:
    """A baseline that learns nothing."""
    return lambda puzzles: guess
