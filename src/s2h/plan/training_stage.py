"""Training: the phases of recipes and of base models, each from the weights of the one before."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from s2h.config import Run
from s2h.models.resources import ResourceRequest, training_request
from s2h.models.settings import TrainingSettings
from s2h.models.sources import PretrainedSource
from s2h.phases import Phase
from s2h.plan.corpus_stage import CorpusStage
from s2h.plan.mixture_stage import MixtureStage
from s2h.plan.resources import Requested
from s2h.plan.stage import Stage, Wildcards, filled, run_of
from s2h.puzzles.task_registry import TASKS
from s2h.supervision.recipes import examples_seen
from s2h.training.job import PhaseSpec


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedPhase:
    """A phase of a run or of a base model, with all that its job is given.

    Attributes:
        rule: the rule that trains it.
        name: names its files.
        title: what is trained, for a person to read.
        model: name of the model in the config.
        phase: what it trains on and how.
        settings: how it is trained, the phase's changes included.
        base: the model folder from which it starts.
        processor_options: keyword arguments for loading the processor of ``base``.
        previous: names the files of the phase before; None for the first.
        following: the phase after it; None for the last.
        examples: that it sees.
        conversations: that each of its processes holds in memory.
    """

    rule: str
    name: str
    title: str
    model: str
    phase: Phase
    settings: TrainingSettings
    base: str
    processor_options: dict[str, int]
    previous: str | None
    following: Phase | None
    examples: int
    conversations: int = 0

    @property
    def leaves_optimizer(self) -> bool:
        """Whether the phase that follows keeps the optimizer state of this one."""
        return self.following is not None and self.following.optimizer == "kept"


@dataclasses.dataclass(frozen=True)
class TrainingStage(Stage):
    """Inputs, params and resources of the training rules; base models have the wildcard ``origin``, runs ``recipe``.

    Attributes:
        mixtures: the stage that makes the mixtures of recipes.
        corpora: the stage that makes the shards of corpora.
    """

    mixtures: MixtureStage
    corpora: CorpusStage

    # what a job trains

    def planned(self, wildcards: Wildcards) -> PlannedPhase:
        """The phase that a job trains."""
        number = int(wildcards.phase)
        if hasattr(wildcards, "origin"):
            return self.base_model_phase(wildcards.origin, wildcards.model, number)
        return self.run_phase(run_of(wildcards), number)

    def run_phase(self, run: Run, number: int) -> PlannedPhase:
        """A phase of a run's recipe, from 1."""
        if (run, number) not in self._run_phases:
            self._run_phases[run, number] = self._plan_run_phase(run, number)
        return self._run_phases[run, number]

    @cached_property
    def _run_phases(self) -> dict[tuple[Run, int], PlannedPhase]:
        """``run_phase`` by its arguments: each input, param and resource of a job asks for it."""
        return {}

    def _plan_run_phase(self, run: Run, number: int) -> PlannedPhase:
        phases = self.config.recipes[run.recipe].phases
        phase, first = phases[number - 1], number == 1
        return PlannedPhase(
            rule="train_phase",
            name=f"{run.name}/phase-{number}",
            title=f"train {run.recipe}, phase {number} of {len(phases)}",
            model=run.model,
            phase=phase,
            settings=self.config.training(run, number),
            base=self.folder(run) if first else self.models_of(run)[number - 2],
            processor_options=self.config.catalog[run.model].processor_options if first else {},
            previous=None if first else f"{run.name}/phase-{number - 1}",
            following=_next(phases, number),
            examples=examples_seen(phase, run.budget, len(self.config.members(run.task))),
        )

    def base_model_phase(self, origin: str, model: str, number: int) -> PlannedPhase:
        """A phase of a base model that is pretrained here, from 1."""
        source, catalog = self._pretrained(model), self.config.catalog
        phase = source.phases[number - 1]
        name = f"{origin}/{model}/{source.seed}/phase-"
        conversations = self.config.corpora[phase.corpus].entries * int(phase.epochs) if phase.corpus else 0
        return PlannedPhase(
            rule="pretrain_base_model",
            name=f"{name}{number}",
            title=f"pretrain {model}, phase {number} of {len(source.phases)}",
            model=model,
            phase=phase,
            settings=self.config.base_model_training(model, number),
            base=source.phase_folder(model, number - 1, catalog, origin=origin),
            processor_options=source.root(catalog).processor_options if number == 1 else {},
            previous=None if number == 1 else f"{name}{number - 1}",
            following=_next(source.phases, number),
            examples=conversations or examples_seen(phase.on_parts(), 1, len(self.config.members(origin))),
            conversations=conversations,
        )

    def _pretrained(self, model: str) -> PretrainedSource:
        source = self.config.catalog[model]
        assert isinstance(source, PretrainedSource)
        return source

    # inputs and params

    def base(self, wildcards: Wildcards) -> str:
        """The model folder from which a phase starts."""
        return self.planned(wildcards).base

    def base_input(self, wildcards: Wildcards) -> list[str]:
        """``base`` where the workflow makes it."""
        return self.made_here(self.base(wildcards))

    def base_mixture(self, wildcards: Wildcards) -> str:
        """The mixture of a base model's phase."""
        on_scenes = self.planned(wildcards).phase.scenes
        pattern = self.paths.scene_mixture if on_scenes else self.paths.corpus_mixture
        names = {name: getattr(wildcards, name) for name in ("origin", "model", "seed", "phase")}
        return pattern.format(**names)

    def base_shards(self, wildcards: Wildcards) -> list[str]:
        """The shards in which the images of that mixture lie."""
        on_scenes = self.planned(wildcards).phase.scenes
        return self.mixtures.shard_files(wildcards) if on_scenes else self.corpus_shards(wildcards)

    def corpus(self, wildcards: Wildcards) -> str:
        """The corpus that a phase of a base model trains on."""
        return str(self.planned(wildcards).phase.corpus)

    def corpus_shards(self, wildcards: Wildcards) -> list[str]:
        """The shards of that corpus."""
        return self.corpora.shards(self.corpus(wildcards))

    def corpus_report(self, wildcards: Wildcards) -> str:
        """The report on that corpus."""
        return self.corpora.report(self.corpus(wildcards))

    def epochs(self, wildcards: Wildcards) -> int:
        """How often that corpus is seen."""
        return int(self.planned(wildcards).phase.epochs)

    def spec(self, wildcards: Wildcards) -> dict[str, Any]:
        """The ``PhaseSpec``: the phase's weights depend on it, the base, the mixture and the seed."""
        planned = self.planned(wildcards)
        kept = planned.phase.optimizer == "kept"
        return PhaseSpec(
            settings=planned.settings,
            processor_options=planned.processor_options,
            frozen=planned.phase.frozen,
            optimizer_from=self._checkpoints(planned.previous) if kept and planned.previous else None,
            leave_optimizer=planned.leaves_optimizer,
        ).model_dump(mode="json")

    def _checkpoints(self, name: str) -> str:
        return self.paths.below("checkpoints", name)

    def checkpoints(self, wildcards: Wildcards) -> str:
        """Folder of the checkpoints from which an interrupted phase resumes."""
        return self._checkpoints(self.planned(wildcards).name)

    def metrics(self, wildcards: Wildcards) -> str:
        """JSON lines file of the phase's metrics, one line per step."""
        planned = self.planned(wildcards)
        return self.paths.below(f"logs/{planned.rule}", planned.name, ".metrics.jsonl")

    def tensorboard(self, wildcards: Wildcards) -> str:
        """TensorBoard folder of the phase's metrics."""
        return self.paths.below("tensorboard", self.planned(wildcards).name)

    def title(self, wildcards: Wildcards) -> str:
        """The human-readable name of the training run."""
        return self.planned(wildcards).title

    def is_cached(self, wildcards: Wildcards) -> bool:
        """Whether the weights may come from the cache: it holds no optimizers."""
        return not self.planned(wildcards).leaves_optimizer

    @property
    def requested(self) -> Requested:
        """``request``, as cores and resources of the rule."""
        return Requested(self.request)

    def request(self, wildcards: Wildcards, attempt: int) -> ResourceRequest:
        """Resources of a training job."""
        planned = self.planned(wildcards)
        return training_request(
            self.config.models[planned.model],
            planned.settings,
            examples=planned.examples,
            conversations=planned.conversations,
            attempt=attempt,
        )

    # the tiny model

    def tiny_settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """Sizes of the tiny model."""
        return self.config.catalog[wildcards.model].model_dump(mode="json")

    def tiny_tasks(self, wildcards: Wildcards) -> dict[str, dict[str, Any]]:
        """Settings of the tasks whose words it knows."""
        return {task: self.task_settings(task) for task in self.members(wildcards)}

    def tiny_code(self, wildcards: Wildcards) -> str:
        """Digest of the code that makes the tiny model, and of the tasks whose words it knows."""
        tasks = [TASKS.module(task) for task in self.members(wildcards)]
        return self.code("build_base_model", "s2h.models.tiny", "s2h.supervision.formats", *tasks)

    # where models lie

    def folder(self, run: Run) -> str:
        """The model folder from which a run starts."""
        return self.config.catalog.folder(run.model, task=run.task, seed=run.seed)

    def models_of(self, run: Run) -> list[str]:
        """The model folders that the phases of a run leave, in order."""
        phases = len(self.config.recipes[run.recipe].phases)
        return [filled(self.paths.model, run, phase=number) for number in range(1, phases + 1)]

    def final(self, run: Run) -> str:
        """The model folder that is scored: that of the last phase, or the untrained model."""
        return [self.folder(run), *self.models_of(run)][-1]

    def trained_runs(self) -> list[Run]:
        """The runs whose recipes train anything."""
        return [run for run in self.config.all_runs() if self.config.recipes[run.recipe].phases]

    def run_phases(self, run: Run) -> list[PlannedPhase]:
        """All phases of a run."""
        return [self.run_phase(run, number) for number in range(1, len(self.models_of(run)) + 1)]

    def base_model_phases(self) -> list[PlannedPhase]:
        """All phases of base models that the runs need."""
        catalog = self.config.catalog
        origins = {
            (run.model, self._pretrained(run.model).origin(run.task, catalog))
            for run in self.config.all_runs()
            if self.config.pretraining(run.model)
        }
        return [
            self.base_model_phase(origin, model, number)
            for model, origin in sorted(origins)
            for number in range(1, len(self.config.pretraining(model)) + 1)
        ]

    def base_models(self) -> list[str]:
        """Every base model of the runs that is pretrained here."""
        return sorted({self.folder(run) for run in self.config.all_runs() if self.config.pretraining(run.model)})

    def processor_folder(self, task: str, model: str, seed: int) -> str:
        """A folder with the processor of a model: that of any seed, and before any pretraining, is the same."""
        source, catalog = self.config.catalog[model], self.config.catalog
        if isinstance(source, PretrainedSource):
            return source.phase_folder(model, 0, catalog, origin=source.origin(task, catalog))
        return source.folder(model, catalog, task=task, seed=seed)


def _next(phases: Sequence[Phase], number: int) -> Phase | None:
    return phases[number] if number < len(phases) else None
