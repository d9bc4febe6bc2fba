"""Gradient alignment: on which puzzles and models it is measured."""

from __future__ import annotations

import dataclasses

from s2h.config import Run
from s2h.models.resources import ResourceRequest, alignment_request
from s2h.plan.puzzle_stage import PuzzleStage
from s2h.plan.resources import Requested
from s2h.plan.stage import Shards, Stage, Wildcards, filled, listed, run_of
from s2h.plan.training_stage import TrainingStage

_LEVELS = ("SIMPLE", "HARD")
_KINDS = 5  # of examples whose gradients are measured at each snapshot: four that are trained on, and the target


@dataclasses.dataclass(frozen=True)
class AlignmentStage(Stage):
    """Inputs, params and resources of the rule of gradient alignment.

    Attributes:
        puzzles: the stage that makes the evaluation sets.
        training: the stage that makes the models and their snapshots.
    """

    puzzles: PuzzleStage
    training: TrainingStage

    def files_of(self, run: Run) -> list[str]:
        """Gradient alignment of each phase of a run that keeps snapshots."""
        if not self._has_both_levels(run.task):
            return []
        return [
            filled(self.paths.alignment, run, phase=number)
            for number, phase in enumerate(self.training.run_phases(run), 1)
            if phase.settings.snapshots
        ]

    def run_files(self, wildcards: Wildcards) -> list[str]:
        """``files_of`` the run of a job."""
        return self.files_of(run_of(wildcards))

    def files(self) -> list[str]:
        """The alignment files of all runs."""
        return [path for run in self.config.all_runs() for path in self.files_of(run)]

    def _has_both_levels(self, task: str) -> bool:
        """Whether there are SIMPLE and HARD puzzles for evaluation, of every task that is trained together."""
        sizes = [self.puzzles.eval_sizes(member) for member in self.config.members(task)]
        return all(level in levels for levels in sizes for level in _LEVELS)

    def probe_size(self, wildcards: Wildcards) -> int:
        """How many puzzles of a level alignment is measured on; no more than are evaluated of any."""
        tasks = self.members(wildcards)
        smallest = min(self.puzzles.eval_sizes(task)[level] for task in tasks for level in _LEVELS)
        return min(self.config.alignment.puzzles, smallest * len(tasks))

    def probe_shards(self, wildcards: Wildcards) -> Shards:
        """Evaluation shards on which alignment is measured."""
        tasks = self.members(wildcards)
        puzzles = self.probe_size(wildcards) // len(tasks) or 1
        return {task: {level: self.puzzles.shards(task, level, "eval", puzzles) for level in _LEVELS} for task in tasks}

    def probe_files(self, wildcards: Wildcards) -> list[str]:
        """The files of ``probe_shards`` as one list."""
        return listed(self.probe_shards(wildcards))

    def settings(self, wildcards: Wildcards) -> str:
        """How the phase is trained, as JSON."""
        return self.training.planned(wildcards).settings.model_dump_json()

    def frozen(self, wildcards: Wildcards) -> list[str]:
        """Parts of the model that the phase does not train."""
        return list(self.training.planned(wildcards).phase.frozen)

    @property
    def requested(self) -> Requested:
        """``request``, as cores and resources of the rule."""
        return Requested(self.request)

    def request(self, wildcards: Wildcards, attempt: int) -> ResourceRequest:
        """Resources of a measurement."""
        model = self.config.models[wildcards.model]
        return alignment_request(model, examples=self.examples(wildcards), attempt=attempt)

    def examples(self, wildcards: Wildcards) -> int:
        """Of how many examples gradients are computed, at all snapshots together."""
        training = self.config.models[wildcards.model].training
        return _KINDS * self.config.alignment.puzzles * max(training.snapshots if training else 0, 1)
