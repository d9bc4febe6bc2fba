"""The config: one frozen, typed tree, checked as a whole before anything is planned."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from s2h.config_checks import find_mistakes, find_oddities
from s2h.corpora.corpus_settings import CorpusSettings
from s2h.diagnosis.answers import Answers
from s2h.errors import ConfigError
from s2h.mistakes import explain, told, truth_values
from s2h.models.settings import ModelSettings, TrainingSettings
from s2h.models.sources import Catalog, HuggingFaceSource, PretrainedSource
from s2h.models.weights import Keep
from s2h.paths import RUN, Paths, results_folder
from s2h.phases import Phase
from s2h.plugins import load_plugins
from s2h.puzzles.record import MODALITIES
from s2h.puzzles.task import SCENES, Level, Modality, Task, TaskSettings
from s2h.puzzles.task_registry import TASKS
from s2h.registry import unknown
from s2h.scoring.readers import refuse_unreadable
from s2h.settings import Mistake, Seed, Settings, named
from s2h.supervision.conversion import CONVERSIONS, Conversion
from s2h.supervision.formats import FULL, INTERNALISED, NONE
from s2h.supervision.recipes import Recipe, puzzles_needed
from s2h.training.trackers import TrackerName, missing_package
from s2h.validation.task_report import ValidationSettings

if TYPE_CHECKING:
    from s2h.config_files import Place
    from s2h.overlays import Overlays


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

    tasks: tuple[Annotated[str, named("task")], ...] = Field(min_length=1)
    recipes: tuple[Annotated[str, named("recipe")], ...] = Field(min_length=1)
    budgets: tuple[NonNegativeInt, ...] = Field(min_length=1)
    models: tuple[Annotated[str, named("model")], ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field((0,), min_length=1)
    conversions: tuple[Literal["forced", "forbidden"], ...] = ()
    modalities: tuple[Modality, ...] = Field(MODALITIES, min_length=1)

    def __contains__(self, run: Run) -> bool:
        lists = (self.tasks, self.recipes, self.budgets, self.models, self.seeds)
        return all(value in listed for value, listed in zip(dataclasses.astuple(run), lists, strict=True))

    def combinations(self, seeds: Sequence[int]) -> Iterator[Run]:
        """Every combination with some of the seeds, in order."""
        lists = (self.tasks, self.recipes, self.budgets, self.models, seeds)
        return itertools.starmap(Run, itertools.product(*lists))


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


def _is_plain(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(f"the name {name!r} becomes a folder: use letters, digits, '_', '-' and '.'")
    return name


def _is_no_task(name: str) -> str:
    if name in TASKS:
        raise ValueError(f"{name} is a task: give tasks that are trained together a name of their own")
    return name


def _are_different_tasks(members: tuple[str, ...]) -> tuple[str, ...]:
    for member in members:
        if member not in TASKS:
            raise ValueError(str(unknown("task", member, {name: TASKS[name].title for name in TASKS})))
    if len(set(members)) < max(len(members), 2):
        raise ValueError(f"name two different tasks or more (found: {', '.join(members)})")
    return members


Name = Annotated[str, AfterValidator(_is_plain)]
"""A name that becomes a folder."""
MixtureName = Annotated[Name, AfterValidator(_is_no_task)]
TaskMixture = Annotated[tuple[str, ...], AfterValidator(_are_different_tasks)]


class Config(Settings):
    """The whole config.

    Attributes:
        results: folder of everything that the workflow makes.
        replace: whether puzzles on which models of another study were trained may be replaced in that folder.
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

    results: str = Field("results", min_length=1)
    replace: bool = False
    plugins: tuple[str, ...] = ()
    trackers: tuple[TrackerName, ...] = ()
    cache: str | None = None
    keep_weights: Keep = "all"
    seed: Seed = 0
    shard_size: ShardSize = ShardSize()
    validation: ValidationSettings = ValidationSettings()
    alignment: AlignmentSettings = AlignmentSettings()
    tasks: TasksSettings
    task_mixtures: dict[MixtureName, TaskMixture] = Field(default_factory=dict)
    corpora: dict[Name, CorpusSettings] = Field(default_factory=dict)
    parts: dict[Name, HuggingFaceSource] = Field(default_factory=dict)
    models: dict[Name, ModelSettings]
    recipes: dict[Name, Recipe]
    runs: tuple[RunGrid, ...] = Field(min_length=1)
    external_evals: dict[Name, ExternalEval] = Field(default_factory=dict)
    answers: Answers = "tolerant"

    @field_validator("results")
    @classmethod
    def _is_a_folder(cls, results: str) -> str:
        folder = Path(results_folder(results))
        if folder.is_file():
            raise ValueError(f"{results} is a file: name a folder, which need not be there yet")
        nearest = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK) or nearest == Path("/proc"):
            raise ValueError(f"no folder can be made in {nearest}: name another one")
        return str(folder)

    @field_validator("recipes")
    @classmethod
    def _simplest_first(cls, recipes: dict[str, Recipe]) -> dict[str, Recipe]:
        """The order of tables, however the files name them: fewer phases first, then fewer parts, then by name."""
        return dict(sorted(recipes.items(), key=lambda item: (*item[1].size, item[0])))

    @field_validator("trackers")
    @classmethod
    def _trackers_are_installed(cls, names: tuple[TrackerName, ...]) -> tuple[TrackerName, ...]:
        """Check only where torch is installed, i.e. where models are trained; otherwise train_phase checks."""
        if find_spec("torch") and (missing := missing_package(names)):
            raise ValueError(missing)
        return names

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
        return self._changed_training(run.model, changes)

    def base_model_training(self, model: str, phase: int) -> TrainingSettings:
        """How a base model is trained in a phase (from 1): the model's settings, changed by the phase's.

        Conversations that are too long are cut unless the phase says otherwise; there are no snapshots, and no random
        positions.
        """
        own = self.pretraining(model)[phase - 1]
        changes: dict[str, Any] = {"snapshots": 0, "random_positions": 0}
        if own.corpus:
            changes["on_overlength"] = "truncate"
        return self._changed_training(model, changes | own.training)

    def _changed_training(self, model: str, changes: dict[str, Any]) -> TrainingSettings:
        base = self.models[model].training
        return TrainingSettings.model_validate((base.model_dump() if base else {}) | changes)

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
        return tuple(sorted({run for grid in self.runs for run in grid.combinations(grid.seeds)}))

    def conversions(self, run: Run) -> list[Conversion]:
        """With which conversions, beside the free one, the images of a run are scored."""
        listed = {conversion for grid in self.runs if run in grid for conversion in grid.conversions}
        return [conversion for conversion in CONVERSIONS if conversion in listed]

    def modalities(self, run: Run) -> list[Modality]:
        """How the evaluation puzzles of a run are given."""
        listed = {modality for grid in self.runs if run in grid for modality in grid.modalities}
        return [modality for modality in MODALITIES if modality in listed]


def load_config(values: Mapping[str, Any], overlays: Overlays | None = None) -> Config:
    """Check the values of the config files and build the tree, which does not depend on the order of keys.

    Args:
        values: of all files.
        overlays: the files, so that mistakes are told with file, line and column.

    Raises:
        ConfigError: one line for each mistake: where it is, what is wrong, what was expected, what was found.
    """
    try:
        load_plugins(values.get("plugins") or ())
    except ConfigError as error:
        raise ConfigError(f"config: {error}") from error
    kind, ordered = config_type(), _in_order(values)
    mistakes = [*truth_values(ordered, kind)]
    try:
        config = kind.model_validate(ordered, context=_context(ordered, overlays))
        mistakes += [] if mistakes else find_mistakes(config)
    except ValidationError as error:
        mistakes += explain(error, ordered, kind)
    if mistakes:
        raise ConfigError("\n".join(_located(mistakes, overlays)))
    return config


def config_warnings(config: Config, overlays: Overlays) -> list[str]:
    """What is possible in a config but seldom meant, a line each."""
    return [*_located(find_oddities(config), overlays), *overlays.reversals()]


def _located(mistakes: Iterable[Mistake], overlays: Overlays | None) -> list[str]:
    """Mistakes behind their places, in order; once, where aliases bring a place into several parts of the config."""
    if overlays is None:
        return [f"config: {mistake}" for mistake in mistakes]
    told: dict[tuple[Place, str], Mistake] = {}
    for mistake in mistakes:
        told.setdefault((overlays.source.find(mistake.path), mistake.message), mistake)
    return [f"{place}: {told[place, message]}" for place, message in sorted(told)]


def _in_order(values: Any) -> Any:
    """Mappings by the names of their keys: params of jobs are compared in their order."""
    if isinstance(values, Mapping):
        return {key: _in_order(values[key]) for key in sorted(values, key=str)}
    return list(map(_in_order, values)) if isinstance(values, (list, tuple)) else values


def _context(values: Mapping[str, Any], overlays: Overlays | None) -> dict[str, Any]:
    """What checks of single keys need to know of the rest of the config: the names that exist, with their titles.

    Names of a kind are left out where the config has no mapping of them, which is a mistake of its own.
    """
    tasks = {name: TASKS[name].title for name in _section(values, "tasks") if name in TASKS}
    names: dict[str, Mapping[str, str]] = {
        "task": tasks | {name: name for name in _section(values, "task_mixtures")},
        "recipe": {name: _title(name, recipe) for name, recipe in _section(values, "recipes").items()},
        "model": {name: name for name in _section(values, "models")},
        "corpus": {name: name for name in _section(values, "corpora")},
        "part": {name: name for name in _section(values, "parts")},
    }
    given = {kind: found for kind, found in names.items() if found or kind in ("corpus", "part")}
    return {"training changes": _training_changes, "elsewhere": overlays and overlays.elsewhere} | given


def _section(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key)
    return {str(name): entry for name, entry in found.items()} if isinstance(found, Mapping) else {}


def _title(name: str, recipe: Any) -> str:
    return str(recipe.get("title", name)) if isinstance(recipe, Mapping) else name


_TrainingChanges = create_model(  # type: ignore[call-overload]
    "TrainingChanges",
    __base__=Settings,
    **{name: (field.rebuild_annotation(), None) for name, field in TrainingSettings.model_fields.items()},
)


def _training_changes(changes: dict[str, Any]) -> dict[str, Any]:
    """Some of the settings of a training, each checked by itself, in the order of ``TrainingSettings``.

    Raises:
        ValidationError: there is no such setting, or it cannot have that value.
    """
    mistakes = [*truth_values(changes, _TrainingChanges)]
    try:
        checked: dict[str, Any] = _TrainingChanges.model_validate(changes).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        mistakes += explain(error, changes, _TrainingChanges)
    if mistakes:
        raise told(mistakes)
    return checked


def config_type() -> type[Config]:
    """The config with the settings of every task that is registered by now."""
    return _config_of(tuple((name, TASKS[name].settings_type) for name in TASKS))


@lru_cache
def _config_of(tasks: tuple[tuple[str, type[TaskSettings]], ...]) -> type[Config]:
    fields: dict[str, Any] = {name: (settings | None, None) for name, settings in tasks}
    settings = create_model("TasksSettings", __base__=TasksSettings, **fields)
    return create_model("Config", __base__=Config, __doc__=Config.__doc__, tasks=(settings, ...))
