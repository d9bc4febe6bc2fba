"""Scoring: the evaluation sets of a run, the model that is scored, and the external evaluation sets."""

from __future__ import annotations

import dataclasses
from typing import Any

from s2h.baselines.baseline_registry import BASELINES
from s2h.diagnosis.diagnoser_registry import DIAGNOSERS
from s2h.models.resources import ResourceRequest, decoding_request
from s2h.plan.puzzle_stage import PuzzleStage
from s2h.plan.resources import Requested
from s2h.plan.stage import Stage, Wildcards, listed, run_of
from s2h.plan.training_stage import TrainingStage
from s2h.puzzles.task_registry import TASKS
from s2h.scoring.readers import READERS
from s2h.supervision.conversion import Conversion


@dataclasses.dataclass(frozen=True)
class ScoringStage(Stage):
    """Inputs, params and resources of the rules of scoring.

    Attributes:
        puzzles: the stage that makes the evaluation sets.
        training: the stage that makes the models.
    """

    puzzles: PuzzleStage
    training: TrainingStage

    def evaluation(self, wildcards: Wildcards) -> dict[str, dict[str, Any]]:
        """The puzzles to score, by task: the arguments of ``Evaluation.of``."""
        tasks = self.members(wildcards)
        shards = self.puzzles.eval_shards(tasks)
        return {
            task: {
                "settings": self.task_settings(task),
                "shards": shards[task],
                "puzzles": self.puzzles.eval_sizes(task),
            }
            for task in tasks
        }

    def asked(self, wildcards: Wildcards) -> dict[str, dict[str, Any]]:
        """What a run is asked: ``evaluation``, with the modalities in which it is given."""
        modalities = {"modalities": self.config.modalities(run_of(wildcards))}
        return {task: values | modalities for task, values in self.evaluation(wildcards).items()}

    def shards(self, wildcards: Wildcards) -> list[str]:
        """The shards of all evaluation sets, as one list."""
        return listed(self.puzzles.eval_shards(self.members(wildcards)))

    def reports(self, wildcards: Wildcards) -> list[str]:
        """Reports that decoding waits for."""
        return self.puzzles.reports_of(self.puzzles.eval_shards(self.members(wildcards)))

    def model(self, wildcards: Wildcards) -> str:
        """The model folder that is scored; the name of a model that is asked elsewhere."""
        return self.training.final(run_of(wildcards))

    def model_input(self, wildcards: Wildcards) -> list[str]:
        """``model`` where the workflow makes it."""
        return self.made_here(self.model(wildcards))

    def model_settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """The source of the model and its scoring settings."""
        return self.config.models[wildcards.model].model_dump(mode="json", exclude={"training", "resources"})

    def is_trained(self, wildcards: Wildcards) -> bool:
        """Whether the recipe trains anything."""
        return bool(self.config.recipes[wildcards.recipe].phases)

    def is_cached(self, wildcards: Wildcards) -> bool:
        """Whether predictions may come from the cache: a model elsewhere may answer differently tomorrow."""
        return self.config.catalog[wildcards.model].has_weights

    def conversions(self, wildcards: Wildcards) -> list[Conversion]:
        """With which conversions, beside the free one, a run's images are scored."""
        return self.config.conversions(run_of(wildcards))

    @property
    def requested(self) -> Requested:
        """``request``, as cores and resources of the rule."""
        return Requested(self.request)

    def request(self, wildcards: Wildcards, attempt: int) -> ResourceRequest:
        """Resources of decoding."""
        model = self.config.models[wildcards.model]
        return decoding_request(model, examples=self.prompts(wildcards), attempt=attempt)

    def prompts(self, wildcards: Wildcards) -> int:
        """How many prompts a run is given: each puzzle as text and as an image, and once more for each conversion."""
        puzzles = sum(sum(self.puzzles.eval_sizes(task).values()) for task in self.members(wildcards))
        return puzzles * (len(self.config.modalities(run_of(wildcards))) + len(self.conversions(wildcards)))

    def code_of(self, wildcards: Wildcards) -> str:
        """Digest of the code that judges the predictions of a run's tasks."""
        tasks = self.members(wildcards)
        diagnosers = [DIAGNOSERS.module(task) for task in tasks if task in DIAGNOSERS]
        readers = [READERS.module(found["task"]) for found in self.external_evals(wildcards).values()]
        outside = ["s2h.scoring.tsv", *readers] if readers else []
        modules = [*outside, *(TASKS.module(task) for task in tasks), *diagnosers]
        return self.code("score_model", "s2h.scoring.vlmevalkit", *modules)

    # blind baselines

    def baseline_code(self, wildcards: Wildcards) -> str:
        """Digest of the code that measures the blind baselines of a task."""
        tasks = self.members(wildcards)
        own = [BASELINES.module(task) for task in tasks if task in BASELINES]
        return self.code("measure_baselines", "s2h.baselines.measuring", *(TASKS.module(task) for task in tasks), *own)

    # external evaluation sets

    def external_evals(self, wildcards: Wildcards) -> dict[str, dict[str, Any]]:
        """External evaluation sets on which a run is scored, by name."""
        members = self.members(wildcards)
        return {
            name: {
                "path": outside.path or self._fetched(name),
                **outside.model_dump(mode="json", include={"task", "level", "modality"}),
            }
            for name, outside in self.config.external_evals.items()
            if outside.task in members
        }

    def external_files(self, wildcards: Wildcards) -> list[str]:
        """The files of these sets."""
        return [outside["path"] for outside in self.external_evals(wildcards).values()]

    def _fetched(self, name: str) -> str:
        return self.paths.fetched_eval.format(external_eval=name)

    def fetched_files(self) -> list[str]:
        """The files of all sets that are fetched and on which some run is scored."""
        tasks = {task for run in self.config.all_runs() for task in self.config.members(run.task)}
        sets = self.config.external_evals.items()
        return [self._fetched(name) for name, outside in sets if outside.url and outside.task in tasks]

    def address(self, wildcards: Wildcards) -> str | None:
        """The URL of a set."""
        return self.config.external_evals[wildcards.external_eval].url

    def checksum(self, wildcards: Wildcards) -> str | None:
        """SHA-256 of the file of that set, in hexadecimal digits."""
        return self.config.external_evals[wildcards.external_eval].sha256
