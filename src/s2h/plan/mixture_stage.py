"""Mixtures: the examples of each phase of a recipe, or of a base model's phase on scenes, from shards of puzzles."""

from __future__ import annotations

import dataclasses
from typing import Any

from s2h.phases import Phase
from s2h.plan.puzzle_stage import PuzzleStage
from s2h.plan.stage import Shards, Stage, Wildcards, listed
from s2h.supervision.recipes import puzzles_needed


@dataclasses.dataclass(frozen=True)
class MixtureStage(Stage):
    """Inputs, params and resources of the rules of mixtures; base models have the wildcard ``origin``, runs ``recipe``.

    Attributes:
        puzzles: the stage that makes the shards.
    """

    puzzles: PuzzleStage

    def phase(self, wildcards: Wildcards) -> Phase:
        """The phase that a job mixes; phases count from 1."""
        number = int(wildcards.phase) - 1
        if hasattr(wildcards, "origin"):
            return self.config.pretraining(wildcards.model)[number].on_parts()
        return self.config.recipes[wildcards.recipe].phases[number]

    def name(self, wildcards: Wildcards) -> str:
        """The task, or the name of tasks that are trained together."""
        return str(wildcards.origin if hasattr(wildcards, "origin") else wildcards.task)

    def budget(self, wildcards: Wildcards) -> int:
        """Examples of the run; 1 for a base model, whose phases have budgets of their own."""
        return 1 if hasattr(wildcards, "origin") else int(wildcards.budget)

    def settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """The phase without what does not change its mixture."""
        return self.phase(wildcards).model_dump(mode="json", include={"parts", "epochs", "budget", "order"})

    def shards(self, wildcards: Wildcards) -> Shards:
        """Train shards with the puzzles that the phase draws on; a set that grows changes none."""
        tasks = self.config.members(self.name(wildcards))
        needed = puzzles_needed([self.phase(wildcards)], self.budget(wildcards), len(tasks))
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
