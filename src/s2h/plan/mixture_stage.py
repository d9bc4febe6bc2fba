"""Mixtures: the examples of each phase of a recipe, from shards of puzzles."""

from __future__ import annotations

import dataclasses
from typing import Any

from s2h.phases import Phase
from s2h.plan.puzzle_stage import PuzzleStage
from s2h.plan.stage import Shards, Stage, Wildcards, listed
from s2h.supervision.recipes import puzzles_needed


@dataclasses.dataclass(frozen=True)
class MixtureStage(Stage):
    """Inputs, params and resources of the rules of mixtures.

    Attributes:
        puzzles: the stage that makes the shards.
    """

    puzzles: PuzzleStage

    def phase(self, wildcards: Wildcards) -> Phase:
        """The phase of the recipe; phases count from 1."""
        return self.config.recipes[wildcards.recipe].phases[int(wildcards.phase) - 1]

    def settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """The phase without what does not change its mixture."""
        return self.phase(wildcards).model_dump(mode="json", include={"parts", "epochs", "budget", "order"})

    def shards(self, wildcards: Wildcards) -> Shards:
        """Train shards with the puzzles that the phase draws on; a set that grows changes none."""
        tasks = self.members(wildcards)
        needed = puzzles_needed([self.phase(wildcards)], int(wildcards.budget), len(tasks))
        return {
            task: {
                level: self.puzzles.shards(task, level, "train", max(puzzles, 1))
                for level, puzzles in sorted(needed.items())
            }
            for task in tasks
        }

    def shard_files(self, wildcards: Wildcards) -> list[str]:
        """The files of ``shards`` as one list."""
        return listed(self.shards(wildcards))

    def reports(self, wildcards: Wildcards) -> list[str]:
        """Reports that a mixture waits for."""
        return self.puzzles.reports_of(self.shards(wildcards))
