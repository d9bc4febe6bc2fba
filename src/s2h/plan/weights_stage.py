"""The weights of trained models: their disk space, and which of them are kept."""

from __future__ import annotations

import dataclasses

from s2h.models.disk import Stored, disk_report, stored
from s2h.plan.stage import Stage, Wildcards, filled, run_of
from s2h.plan.training_stage import PlannedPhase, TrainingStage


@dataclasses.dataclass(frozen=True)
class WeightsStage(Stage):
    """Inputs, params and resources of the rules of weights.

    Attributes:
        training: the stage that makes the models.
    """

    training: TrainingStage

    def run_models(self, wildcards: Wildcards) -> list[str]:
        """The model folders that the phases of a run leave, in order."""
        return self.training.models_of(run_of(wildcards))

    def removals(self) -> list[str]:
        """For each run a file that says what was removed of its models; none where everything is kept."""
        if self.config.keep_weights == "all":
            return []
        return [filled(self.paths.removed, run) for run in self.training.trained_runs()]

    def disk_report(self) -> list[str]:
        """The disk space of the study, as lines of text; none where it is small."""
        bases = [self._stored(phase, self.paths.below("base_models", phase.name)) for phase in self._base_phases()]
        return disk_report([*bases, *self._run_models()], self.config.results)

    def _base_phases(self) -> list[PlannedPhase]:
        return self.training.base_model_phases()

    def _run_models(self) -> list[Stored]:
        return [
            self._stored(phase, self.paths.below("models", phase.name), ends=phase.following is None)
            for run in self.training.trained_runs()
            for phase in self.training.run_phases(run)
        ]

    def _stored(self, phase: PlannedPhase, folder: str, *, ends: bool | None = None) -> Stored:
        """The disk space of a phase; base models (``ends`` None) stay whole."""
        needs = self.config.models[phase.model].job_resources
        if ends is None:
            return stored(folder, phase.model, needs, phase.settings)
        return stored(folder, phase.model, needs, phase.settings, last=ends, keep=self.config.keep_weights)
