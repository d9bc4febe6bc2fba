"""The config: one frozen, typed tree, checked as a whole before anything is planned."""

from __future__ import annotations

import dataclasses
import itertools
import re
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, ValidationError, create_model, field_validator, model_validator

from s2h.corpora.corpus_settings import CorpusSettings
from s2h.diagnosis.answers import Answers
from s2h.errors import ConfigError, ModelError
from s2h.models.settings import ModelSettings, TrainingSettings
from s2h.models.sources import Catalog, HuggingFaceSource, PretrainedSource
from s2h.models.weights import Keep
from s2h.paths import RUN, Paths
from s2h.phases import Phase
from s2h.plugins import load_plugins
from s2h.puzzles.record import MODALITIES
from s2h.puzzles.task import SCENES, Level, Modality, Task, TaskSettings
from s2h.puzzles.task_registry import TASKS
from s2h.registry import unknown
from s2h.scoring.readers import refuse_unreadable
from s2h.scoring.vllm import find_vllm
from s2h.settings import Settings
from s2h.supervision.conversion import CONVERSIONS, Conversion
from s2h.supervision.formats import FULL, INTERNALISED, NONE
from s2h.supervision.recipes import Recipe, puzzles_needed
from s2h.training.trackers import TrackerName, missing_package
from s2h.validation.task_report import ValidationSettings


class TasksSettings(Settings):
    """Settings of the tasks by name, a field for each that is registered (``config_type``)."""


class RunGrid(Settings):
    """Runs of the study: every combination of what is listed here is trained and scored.

    Attributes:
        tasks: tasks, each trained on its own.
        recipes: how training is supervised.
        budgets: training examples that a phase sees (the paper: 30,000 to 240,000).
        models: what is trained.
        seeds: seeds of the training; each draws its own weights (tiny model) and order of examples.
        conversions: how images are scored once more, with nothing trained again: with responses that begin with the
            conversion to text (``forced``), or never do (``forbidden``); docs/scoring.md.
        modalities: how the evaluation puzzles are given: ``[text]`` for a language model that sees no images.
    """

    tasks: tuple[str, ...] = Field(min_length=1)
    recipes: tuple[str, ...] = Field(min_length=1)
    budgets: tuple[NonNegativeInt, ...] = Field(min_length=1)
    models: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[NonNegativeInt, ...] = Field((0,), min_length=1)
    conversions: tuple[Literal["forced", "forbidden"], ...] = ()
    modalities: tuple[Modality, ...] = Field(MODALITIES, min_length=1)

    def __contains__(self, run: Run) -> bool:
        lists = (self.tasks, self.recipes, self.budgets, self.models, self.seeds)
        return all(value in listed for value, listed in zip(dataclasses.astuple(run), lists, strict=True))


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Run:
    """One model trained on one task with one recipe."""

    task: str
    recipe: str
    budget: int
    model: str
    seed: int

    @property
    def name(self) -> str:
        """Names its files, below models/ and scores/ among others."""
        return RUN.format(**dataclasses.asdict(self))


class ShardSize(Settings):
    """Puzzles in a file. It decides how sets are cut, never what they hold; files are always full.

    Attributes:
        train: of training sets.
        eval: of evaluation sets.
    """

    train: int = Field(5000, ge=1)
    eval: int = Field(500, ge=1)


class AlignmentSettings(Settings):
    """How the alignment of gradients is measured (docs/metrics.md).

    Attributes:
        puzzles: examples of each kind whose gradients are averaged, the first ones of each evaluation set.
    """

    puzzles: int = Field(100, ge=1)


class ExternalEval(Settings):
    """An external evaluation set: a file in the columns of the paper's code, tab-separated or JSON lines.

    All have index, question, answer and, for images, image (base64) or image_path; sets of Grid Navigation also text,
    start_row, start_col, end_row, end_col and collect_objects_coordinates.

    Attributes:
        path: the file, where it is here; JSON lines where its name ends in .jsonl or .json.
        url: address from which it is fetched, where it is not.
        sha256: checksum of the file that is fetched, in hexadecimal digits.
        task: whose puzzles these are; every run of that task is scored on them.
        level: what tables call their level.
        modality: how the puzzles are given.
    """

    path: str | None = Field(None, min_length=1)
    url: str | None = Field(None, pattern=r"^https?://\S+$")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    task: str
    level: Level
    modality: Modality

    @field_validator("path")
    @classmethod
    def _is_a_file(cls, path: str | None) -> str | None:
        if path is not None and not Path(path).expanduser().is_file():
            raise ValueError(f"there is no file {path}: give the path of a TSV file")
        return path

    @model_validator(mode="after")
    def _lies_somewhere(self) -> ExternalEval:
        if (self.path is None) != (self.sha256 is not None) or (self.path is None) != (self.url is not None):
            raise ValueError("give either path, or url and sha256 of a file to fetch")
        return self

    @field_validator("task")
    @classmethod
    def _task_exists(cls, task: str) -> str:
        if task not in TASKS:
            raise ValueError(str(unknown("task", task, TASKS)))
        try:
            refuse_unreadable(task)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return task


class Config(Settings):
    """The whole config.

    Attributes:
        results: folder of everything that the workflow makes.
        plugins: modules from outside the package that bring tasks (docs/add-a-task.md).
        trackers: experiment trackers used beside TensorBoard (docs/training.md); changing them makes nothing again.
        cache: folder from which results that were made before, here or by others, are taken; null for none.
        keep_weights: what stays of a run's models once it is scored (docs/training.md): ``all`` weights; those of its
            ``last_phase``, so that no earlier phase can be gone on from; or ``adapters``, from which those of phases
            with ``lora`` are made again when they are asked for. Changing it trains and scores nothing again.
        seed: seed of the puzzles.
        shard_size: puzzles in a file, by split.
        validation: when a set of puzzles may be used.
        alignment: how the alignment of gradients is measured.
        tasks: settings of the tasks.
        task_mixtures: names for tasks that are trained together, in one mixture; runs take them like tasks.
        corpora: conversations about images, by name, from which base models are made.
        parts: what models of kind composed are put together from, by name: models of the hub, or folders.
        models: models by name.
        recipes: recipes by name.
        runs: what is trained and scored.
        external_evals: external evaluation sets, by name; runs of their task are scored on them too.
        answers: how the answers of replies are read: ``tolerant`` of any dress, such as bold or a sentence around, or
            ``strict``, only where they stand as the question asks (docs/scoring.md). It decodes nothing again.
    """

    results: str = "results"
    plugins: tuple[str, ...] = ()
    trackers: tuple[TrackerName, ...] = ()
    cache: str | None = None
    keep_weights: Keep = "all"
    seed: int = Field(0, ge=0)
    shard_size: ShardSize = ShardSize()
    validation: ValidationSettings = ValidationSettings()
    alignment: AlignmentSettings = AlignmentSettings()
    tasks: TasksSettings
    task_mixtures: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    corpora: dict[str, CorpusSettings] = Field(default_factory=dict)
    parts: dict[str, HuggingFaceSource] = Field(default_factory=dict)
    models: dict[str, ModelSettings]
    recipes: dict[str, Recipe]
    runs: tuple[RunGrid, ...] = Field(min_length=1)
    external_evals: dict[str, ExternalEval] = Field(default_factory=dict)
    answers: Answers = "tolerant"

    @field_validator("results")
    @classmethod
    def _is_a_folder(cls, results: str) -> str:
        folder = Path(results).expanduser()
        if folder.is_file():
            raise ValueError(f"{results} is a file: name a folder, which need not be there yet")
        return str(folder)

    @field_validator("trackers")
    @classmethod
    def _trackers_are_installed(cls, names: tuple[TrackerName, ...]) -> tuple[TrackerName, ...]:
        """Check only where torch is installed, i.e. where models are trained; otherwise train_phase checks."""
        if find_spec("torch") and (missing := missing_package(names)):
            raise ValueError(missing)
        return names

    @field_validator("models", "recipes", "task_mixtures", "external_evals", "corpora", "parts")
    @classmethod
    def _plain_names(cls, named: dict[str, Any]) -> dict[str, Any]:
        for name in named:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
                raise ValueError(f"the name {name!r} becomes a folder: use letters, digits, '_', '-' and '.'")
        return named

    @field_validator("task_mixtures")
    @classmethod
    def _task_mixtures_exist(cls, joint: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, members in joint.items():
            if name in TASKS:
                raise ValueError(f"{name} is a task: give tasks that are trained together a name of their own")
            for member in members:
                TASKS.place(member)  # raises for an unknown name
            if len(set(members)) < max(len(members), 2):
                raise ValueError(f"task_mixtures.{name} is {list(members)}: name two different tasks or more")
        return joint

    @model_validator(mode="after")
    def _sources_are_complete(self) -> Config:
        for name in self.parts:
            if name in self.models:
                raise ValueError(f"{name} is the name of a model and of a part: give one of them another")
        for name, model in self.models.items():
            model.source.check(name, self.catalog)
            for number, phase in enumerate(self.pretraining(name), 1):
                if phase.corpus and phase.corpus not in self.corpora:
                    raise ValueError(str(unknown("corpus", phase.corpus, self.corpora)))
                self.base_model_training(name, number)
        return self

    @model_validator(mode="after")
    def _runs_exist(self) -> Config:
        for grid in self.runs:
            for kind, names, known in (
                ("task", grid.tasks, {*self.task_names(), *self.task_mixtures}),
                ("recipe", grid.recipes, self.recipes),
                ("model", grid.models, self.models),
            ):
                for name in names:
                    if name not in known:
                        raise ValueError(str(unknown(kind, name, known)))
        for run in self.all_runs():
            self._check(run)
        return self

    def _check(self, run: Run) -> None:
        recipe, members = self.recipes[run.recipe], self.members(run.task)
        if recipe.phases and self.models[run.model].training is None:
            untrained = [name for name, other in self.recipes.items() if not other.phases]
            raise ValueError(
                f"the recipe {run.recipe} trains, but models.{run.model} has no training: give it one (not possible "
                f"for endpoints and models of VLMEvalKit), or a recipe that trains nothing ({', '.join(untrained)})"
            )
        if recipe.phases and not run.budget:
            raise ValueError(
                f"the recipe {run.recipe} trains, but its budget is 0: give it the number of training examples, or "
                "take the recipe untrained"
            )
        for number in range(1, len(recipe.phases) + 1):
            self.training(run, number)
        self._check_corpora(run.model)
        self._check_scenes(run.model, members)
        self._check_vllm(run.model)
        self._check_conversions(run)
        needed = puzzles_needed(recipe.phases, run.budget, len(members))
        for name in members:
            self._check_task(run, name, needed)
        source = self.catalog[run.model].root(self.catalog)
        source.check_tasks(run.model, {name: self.task_object(name) for name in members})

    def _check_corpora(self, model: str) -> None:
        """The files of the corpora of a base model are looked for only where a run needs them."""
        for corpus in [phase.corpus for phase in self.pretraining(model) if phase.corpus]:
            for problem in self.corpora[corpus].problems():
                raise ValueError(f"corpora.{corpus}, on which the model {model} is pretrained: {problem}")

    def _check_scenes(self, model: str, tasks: tuple[str, ...]) -> None:
        """A base model that is pretrained on scenes needs those of all tasks of its run."""
        for task in tasks if any(phase.scenes for phase in self.pretraining(model)) else ():
            if not self.task_object(task).has_scenes:
                raise ValueError(
                    f"the model {model} is pretrained on scenes, but {task} has none: add sample_scene to its class "
                    "(docs/add-a-task.md), or run the task with another model"
                )

    def _check_vllm(self, model: str) -> None:
        """A model that vLLM shall serve is one that it knows, and vLLM is there."""
        if not self.models[model].served_by_vllm:
            return
        if not self.catalog[model].root(self.catalog).vllm_knows_it:
            raise ValueError(f"models.{model}.scoring.backend is vllm, which has no Eagle-X2: set it to transformers")
        try:
            find_vllm()
        except ModelError as error:
            raise ValueError(f"models.{model}.{error}") from None

    def _check_conversions(self, run: Run) -> None:
        """Conversions are asked for only where the model takes them and the recipe does not replace them."""
        if not self.conversions(run):
            return
        if "image" not in self.modalities(run):
            raise ValueError(
                "conversions are of images, but a run that asks for them has modalities: [text]: add image, or leave "
                "conversions out"
            )
        if not self.catalog[run.model].takes_conversions:
            raise ValueError(
                f"models.{run.model} is a model of VLMEvalKit, in which no conversion can be forced or forbidden: "
                "leave conversions out of its runs"
            )
        if any(part.convert_tokens for phase in self.recipes[run.recipe].phases for part in phase.parts):
            raise ValueError(
                f"the recipe {run.recipe} has convert_tokens in place of the conversion, so that none can be forced or "
                "forbidden: leave conversions out of its runs"
            )

    def _check_task(self, run: Run, name: str, needed: dict[Any, int]) -> None:
        task, recipe = self.task(name), self.recipes[run.recipe]
        known = (FULL, NONE, INTERNALISED, *self.task_object(name).alternative_chains)
        for part in itertools.chain(*(phase.parts for phase in recipe.phases)):
            if part.chain not in known:
                raise ValueError(
                    f"the recipe {run.recipe}: {unknown('chain', part.chain, known)} These are the chains of thought "
                    f"of {name} in the {task.style} style"
                )
        for level, puzzles in needed.items():
            available = task.levels[level].train if level in task.levels else None
            if available is None:
                raise ValueError(
                    f"the recipe {run.recipe} needs {level} puzzles, but tasks.{name}.levels has no {level}"
                )
            if puzzles > available:
                raise ValueError(
                    f"the recipe {run.recipe} at budget {run.budget} needs {puzzles} {level} puzzles of {name}, but "
                    f"{available} are made: raise tasks.{name}.levels.{level}.train to {puzzles}, or lower the budget"
                )

    def fitting_recipes(self, name: str) -> dict[str, Recipe]:
        """The recipes whose levels and chains of thought a task, or each of several trained together, has."""
        tasks = [self.task_object(member) for member in self.members(name)]
        chains = set.intersection(*({FULL, NONE, INTERNALISED, *task.alternative_chains} for task in tasks))
        levels = set.intersection(*({*task.settings.levels} for task in tasks))
        return {
            key: recipe
            for key, recipe in self.recipes.items()
            if recipe.phases
            and all(p.level in levels and p.chain in chains for phase in recipe.phases for p in phase.parts)
        }

    def members(self, name: str) -> tuple[str, ...]:
        """The tasks that a run trains: one, or those that are trained together under a name."""
        return self.task_mixtures.get(name, (name,))

    @property
    def catalog(self) -> Catalog:
        """The sources of all models and parts, with the folders of their weights."""
        models = {name: model.source for name, model in self.models.items()}
        return Catalog(models, self.parts, Paths(self.results))

    def pretraining(self, model: str) -> tuple[Phase, ...]:
        """The phases in which a base model is pretrained here; none for a model that comes from elsewhere."""
        source = self.models[model].source
        return source.phases if isinstance(source, PretrainedSource) else ()

    def scenes(self, task: str) -> int:
        """How many scenes of a task the base models of the runs are pretrained on; the largest number counts."""
        if task not in self._scenes:
            self._scenes[task] = self._count_scenes(task)
        return self._scenes[task]

    @cached_property
    def _scenes(self) -> dict[str, int]:
        """``scenes`` by task, which a plan asks for several times a job."""
        return {}

    def _count_scenes(self, task: str) -> int:
        origins = {(run.model, self.members(run.task)) for run in self.all_runs() if task in self.members(run.task)}
        needs = [
            puzzles_needed([phase.on_parts()], 1, len(members))[SCENES]
            for model, members in origins
            for phase in self.pretraining(model)
            if phase.scenes
        ]
        return max(needs, default=0)

    def training(self, run: Run, phase: int) -> TrainingSettings:
        """How a run's model is trained in a phase (from 1): the model's settings, changed by the phase's."""
        changes = self.recipes[run.recipe].phases[phase - 1].training
        return self._changed_training(run.model, changes, f"recipes.{run.recipe}: phase {phase}")

    def base_model_training(self, model: str, phase: int) -> TrainingSettings:
        """How a base model is trained in a phase (from 1): the model's settings, changed by the phase's.

        Conversations that are too long are cut unless the phase says otherwise; there are no snapshots, and no random
        positions.
        """
        own = self.pretraining(model)[phase - 1]
        changes: dict[str, Any] = {"snapshots": 0, "random_positions": 0}
        if own.corpus:
            changes["on_overlength"] = "truncate"
        return self._changed_training(model, changes | own.training, f"models.{model}.source: phase {phase}")

    def _changed_training(self, model: str, changes: dict[str, Any], place: str) -> TrainingSettings:
        base = self.models[model].training
        try:
            return TrainingSettings.model_validate((base.model_dump() if base else {}) | changes)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))} {e['msg']}".strip() for e in error.errors())
            raise ValueError(f"{place} changes the training: {problems}") from None

    def task_object(self, name: str) -> Task[Any]:
        """A task with its settings."""
        return TASKS[name](self.task(name))

    def task(self, name: str) -> TaskSettings:
        """Settings of a task."""
        settings: TaskSettings = getattr(self.tasks, name)
        return settings

    def task_names(self) -> list[str]:
        """The tasks that have settings, in order of their names."""
        return [name for name in type(self.tasks).model_fields if getattr(self.tasks, name) is not None]

    def all_runs(self) -> list[Run]:
        """Every run of the study once, in order."""
        return list(self._runs)

    @cached_property
    def _runs(self) -> tuple[Run, ...]:
        """``all_runs``, which a plan asks for once a job."""
        grids = (itertools.product(g.tasks, g.recipes, g.budgets, g.models, g.seeds) for g in self.runs)
        return tuple(sorted({Run(*combination) for combination in itertools.chain(*grids)}))

    def conversions(self, run: Run) -> list[Conversion]:
        """With which conversions, beside the free one, the images of a run are scored."""
        listed = {conversion for grid in self.runs if run in grid for conversion in grid.conversions}
        return [conversion for conversion in CONVERSIONS if conversion in listed]

    def modalities(self, run: Run) -> list[Modality]:
        """How the evaluation puzzles of a run are given."""
        listed = {modality for grid in self.runs if run in grid for modality in grid.modalities}
        return [modality for modality in MODALITIES if modality in listed]


def load_config(values: dict[str, Any]) -> Config:
    """Check the values of the config files and build the tree.

    Raises:
        ConfigError: one line for each mistake: where it is, what is wrong, what was found.
    """
    try:
        load_plugins(values.get("plugins", ()))
    except ConfigError as error:
        raise ConfigError(f"config: {error}") from error
    try:
        return config_type().model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(e) for e in error.errors())) from None


def config_type() -> type[Config]:
    """The config with the settings of every task that is registered by now."""
    return _config_of(tuple((name, TASKS[name].settings_type) for name in TASKS))


@lru_cache
def _config_of(tasks: tuple[tuple[str, type[TaskSettings]], ...]) -> type[Config]:
    fields: dict[str, Any] = {name: (settings | None, None) for name, settings in tasks}
    settings = create_model("TasksSettings", __base__=TasksSettings, **fields)
    return create_model("Config", __base__=Config, __doc__=Config.__doc__, tasks=(settings, ...))


def _explain(error: Any) -> str:
    loc = [str(part) for part in error["loc"]]
    # Below "source" pydantic names the kind that it chose, which is not a key of the file.
    place = ".".join(part for at, part in enumerate(loc) if at == 0 or loc[at - 1] != "source")
    message = error["msg"].removeprefix("Value error, ")
    given = "" if error["type"] in ("value_error", "missing") else f" (found: {error['input']!r})"
    return f"config: {place + ': ' if place else ''}{message}{given}"
