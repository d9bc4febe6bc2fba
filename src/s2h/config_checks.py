"""Checks of a config as a whole, before anything is planned: what cannot be, and what is possible but odd."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from s2h.errors import ConfigError, ModelError
from s2h.mistakes import explain
from s2h.models.settings import TrainingSettings
from s2h.models.sources import EndpointSource, PretrainedSource, TinySource
from s2h.paths import find_file
from s2h.phases import Phase
from s2h.registry import unknown
from s2h.scoring.readers import find_reader
from s2h.scoring.vllm import find_vllm
from s2h.settings import KeyPath, Mistake, Settings
from s2h.supervision.formats import FULL, INTERNALISED, NONE, has_image
from s2h.supervision.recipes import examples_seen, puzzles_needed

if TYPE_CHECKING:  # which calls these checks
    from s2h.config import Config, Run

_SET_COLUMNS = ("index", "question", "answer")
_LARGE_SET = 100_000  # evaluation puzzles of a level: every run answers all of them, as text and as images
_LARGE_RATE = 0.1
_SHORT_RESPONSE = 8  # tokens, fewer than which hold no answer block
_MANY_SNAPSHOTS = 20  # of a phase; a few more than a short phase has steps are no matter
_SHORT_EXAMPLE = 64  # tokens, fewer than which hold no puzzle


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """A run, and the places of its recipe, budget and model in ``runs``."""

    run: Run
    grid: KeyPath
    recipe: KeyPath
    budget: KeyPath
    model: KeyPath


def _asked(config: Config) -> Iterator[_Asked]:
    """Every run with one of its seeds, which no check asks for."""
    for number, grid in enumerate(config.runs):
        for run in grid.combinations(grid.seeds[:1]):
            places = [
                ("runs", number, key, getattr(grid, key).index(getattr(run, key[:-1])))
                for key in ("recipes", "budgets", "models")
            ]
            yield _Asked(run, ("runs", number), *places)


# What cannot be.


def find_mistakes(config: Config) -> Iterator[Mistake]:
    """What is wrong between parts of a config that are right by themselves."""
    if wrong := [*_bases(config)]:
        yield from wrong
        return
    yield from _trainings(config)
    for name, found in config.external_evals.items():
        if found.path is not None:
            yield from _columns(("external_evals", name, "path"), found.path, found.task)
    told: set[str] = set()
    for asked in _asked(config):
        for mistake in _run(config, asked):
            if mistake.message not in told:  # by another run
                yield mistake
            told.add(mistake.message)
    yield from _alignment(config)


def _bases(config: Config) -> Iterator[Mistake]:
    """What the other checks take for granted: a name is that of one thing, and models have the bases that they name."""
    for name in config.parts.keys() & config.models.keys():
        yield Mistake(("parts", name), "a model has this name too: give one of them another")
    members = {name for grid in config.runs for task in grid.tasks for name in config.members(task)}
    for name in sorted(members - {*config.task_names()}):
        yield Mistake(
            ("tasks", name), "nothing is given here, but runs name the task: give its settings, or omit the key"
        )
    for name, model in config.models.items():
        try:
            model.source.check(config.catalog)
        except ValueError as error:
            yield Mistake(("models", name, "source", "base"), str(error))


def _trainings(config: Config) -> Iterator[Mistake]:
    for name, model in config.models.items():
        if model.training:
            yield from _deepspeed(("models", name, "training"), model.training)
        for number in range(1, len(config.pretraining(name)) + 1):
            place = ("models", name, "source", "phases", number - 1, "training")
            phase = config.pretraining(name)[number - 1]
            yield from _changed_training(place, partial(config.base_model_training, name, number), phase)


def _deepspeed(place: KeyPath, training: TrainingSettings) -> Iterator[Mistake]:
    path, key = find_file(training.deepspeed), (*place, "deepspeed")
    try:
        stage = json.loads(path.read_text()).get("zero_optimization", {}).get("stage", 0)
    except FileNotFoundError:
        shipped = ", ".join(f"config/deepspeed/{each.name}" for each in sorted(find_file("config/deepspeed").glob("*")))
        yield Mistake(key, f"there is no file {training.deepspeed}: name a DeepSpeed config, such as {shipped}")
        return
    except (OSError, ValueError, AttributeError) as error:
        yield Mistake(key, f"{training.deepspeed} is no DeepSpeed config in JSON: {error}")
        return
    if training.lora and stage == 3:
        yield Mistake(
            (*place, "lora"),
            f"adapters are merged into whole weights, which ZeRO-3 does not hold, and {training.deepspeed} asks for "
            "it: name config/deepspeed/zero2.json, or omit lora",
        )


def _changed_training(place: KeyPath, change: Callable[[], TrainingSettings], phase: Phase) -> Iterator[Mistake]:
    """What is wrong with a training once a phase has changed it."""
    try:
        training = change()
    except ValidationError as error:
        for mistake in explain(error, {}, TrainingSettings):
            yield Mistake((*place, *mistake.path), mistake.message)
    else:
        if {"lora", "deepspeed"} & phase.training.keys():
            yield from _deepspeed(place, training)


def _columns(place: KeyPath, path: str, task: str) -> Iterator[Mistake]:
    """Whether a set has the columns that the reader of its task needs; the rest is checked when it is read."""
    from s2h.scoring.row_files import columns_of  # which reads pictures too

    needed = (*_SET_COLUMNS, *find_reader(task).columns)
    found = columns_of(Path(path).expanduser())
    if lacking := [name for name in needed if name not in found]:
        yield Mistake(
            place,
            f"{path} lacks the columns {', '.join(lacking)}: give a tab-separated file, or JSON lines, with "
            f"{', '.join(needed)}",
        )


def _run(config: Config, asked: _Asked) -> Iterator[Mistake]:
    run, recipe = asked.run, config.recipes[asked.run.recipe]
    yield from _budget(config, asked)
    if recipe.phases and config.models[run.model].training is None:
        untrained = ", ".join(name for name, other in config.recipes.items() if not other.phases)
        yield Mistake(
            asked.recipe,
            f"the recipe {run.recipe} trains, but models.{run.model} has no training: give it one (not possible for "
            f"endpoints and models of VLMEvalKit), or a recipe that trains nothing ({untrained})",
        )
        return
    for number in range(1, len(recipe.phases) + 1):
        place = ("recipes", run.recipe, "phases", number - 1, "training")
        yield from _changed_training(place, partial(config.training, run, number), recipe.phases[number - 1])
    yield from _corpora(config, run.model)
    yield from _vllm(config, run.model)
    yield from _conversions(config, asked)
    for name in config.members(run.task):
        yield from _task(config, asked, name)
    yield from _model_reads_tasks(config, asked)


def _budget(config: Config, asked: _Asked) -> Iterator[Mistake]:
    """Whether the budget buys an example of each part, and is 0 where nothing is trained."""
    run, phases = asked.run, config.recipes[asked.run.recipe].phases
    if not phases and run.budget:
        yield Mistake(
            asked.budget,
            f"the recipe {run.recipe} has no phases, so that it trains nothing: give it the budget 0, in an entry of "
            "its own",
        )
    if phases and not run.budget:
        yield Mistake(
            asked.budget,
            f"the recipe {run.recipe} trains, but its budget is 0: give it the number of training examples, or take "
            "the recipe untrained",
        )
        return
    tasks = len(config.members(run.task))
    least = max((_least_budget(phase, tasks) for phase in phases), default=0)
    if run.budget < least:
        yield Mistake(
            asked.budget,
            f"a budget of {run.budget} leaves parts of the recipe {run.recipe} without an example: give {least} or "
            "more",
        )


def _least_budget(phase: Phase, tasks: int) -> int:
    """Examples that a run must have so that each part of a phase has one puzzle of each task."""
    return max(math.ceil(phase.epochs * part.repeats * tasks / (phase.budget * part.share)) for part in phase.parts)


def _corpora(config: Config, model: str) -> Iterator[Mistake]:
    """The files of the corpora of a base model are looked for only where a run needs them."""
    for corpus in [phase.corpus for phase in config.pretraining(model) if phase.corpus]:
        for problem in config.corpora[corpus].problems():
            yield Mistake(("corpora", corpus), f"{problem} (the model {model} is pretrained on it)")


def _vllm(config: Config, model: str) -> Iterator[Mistake]:
    """A model that vLLM shall serve is one that it knows, and vLLM is there."""
    if not config.models[model].served_by_vllm:
        return
    place = ("models", model, "scoring", "backend")
    if not config.catalog[model].root(config.catalog).vllm_knows_it:
        yield Mistake(place, "vllm has no Eagle-X2: set it to transformers")
        return
    try:
        find_vllm()
    except ModelError as error:
        yield Mistake(place, str(error))


def _conversions(config: Config, asked: _Asked) -> Iterator[Mistake]:
    """Conversions are asked for only where the model takes them and the recipe does not replace them."""
    run, place = asked.run, (*asked.grid, "conversions")
    if not config.conversions(run):
        return
    if "image" not in config.modalities(run):
        yield Mistake(
            place,
            "conversions are of images, but a run that asks for them has modalities: [text]: add image, or leave "
            "conversions out",
        )
    if not config.catalog[run.model].takes_conversions:
        yield Mistake(
            place,
            f"models.{run.model} is a model of VLMEvalKit, in which no conversion can be forced or forbidden: leave "
            "conversions out of its runs",
        )
    if any(part.convert_tokens for phase in config.recipes[run.recipe].phases for part in phase.parts):
        yield Mistake(
            place,
            f"the recipe {run.recipe} has convert_tokens in place of the conversion, so that none can be forced or "
            "forbidden: leave conversions out of its runs",
        )


def _task(config: Config, asked: _Asked, name: str) -> Iterator[Mistake]:
    """Whether a task has the chains of thought and the puzzles that a run needs."""
    run, task = asked.run, config.task(name)
    phases, levels = config.recipes[run.recipe].phases, ("tasks", name, "levels")
    known = (FULL, NONE, INTERNALISED, *config.task_object(name).alternative_chains)
    for number, phase in enumerate(phases):
        for place, part in enumerate(phase.parts):
            if part.chain not in known:
                yield Mistake(
                    ("recipes", run.recipe, "phases", number, "parts", place, "chain"),
                    f"{unknown('chain', part.chain, known)} These are the chains of thought of {name} in the "
                    f"{task.style} style",
                )
    for level, puzzles in puzzles_needed(phases, run.budget, len(config.members(run.task))).items():
        if level not in task.levels:
            yield Mistake(
                asked.recipe, f"the recipe {run.recipe} needs {level} puzzles, but tasks.{name}.levels has none"
            )
        elif puzzles > task.levels[level].train:
            yield Mistake(
                asked.budget,
                f"the recipe {run.recipe} at budget {run.budget} needs {puzzles} {level} puzzles of {name}, but "
                f"{task.levels[level].train} are made: raise tasks.{name}.levels.{level}.train to {puzzles}, or lower "
                "the budget",
            )
    scored = any(level.eval for level in task.levels.values())
    if not scored and name not in {found.task for found in config.external_evals.values()}:
        yield Mistake(levels, f"eval is 0 at every level of {name}, so that its runs are scored on nothing: raise one")


def _model_reads_tasks(config: Config, asked: _Asked) -> Iterator[Mistake]:
    """Whether a model can read the images and words of the tasks of a run, and hold them."""
    run, catalog = asked.run, config.catalog
    tasks = {name: config.task_object(name) for name in config.members(run.task)}
    for name in tasks if any(phase.scenes for phase in config.pretraining(run.model)) else ():
        if not tasks[name].has_scenes:
            yield Mistake(
                asked.model,
                f"the model {run.model} is pretrained on scenes, but {name} has none: add sample_scene to its class "
                "(docs/add-a-task.md), or run the task with another model",
            )
    source = catalog[run.model]
    root, name = source.root(catalog), source.base if isinstance(source, PretrainedSource) else run.model
    sides = []
    for task, settled in tasks.items():
        try:
            sides.append(settled.image_size[0])
        except ConfigError as error:
            yield Mistake(("tasks", task, "image_side"), str(error))
    if len(sides) < len(tasks):
        return
    misfits = [*root.check_tasks(name, tasks)]
    yield from misfits
    if isinstance(root, TinySource) and not misfits:
        patches = (max(sides) // root.patch_size) ** 2
        for number, phase in enumerate(config.recipes[run.recipe].phases, 1):
            longest = config.training(run, number).max_length
            if patches > longest and any(has_image(part.format) for part in phase.parts):
                yield Mistake(
                    ("models", run.model, "training", "max_length"),
                    f"{longest} tokens do not hold an image, which has {patches} of them: raise it",
                )


# What is possible, but odd.


def find_oddities(config: Config) -> Iterator[Mistake]:
    """What works, but is seldom meant."""
    yield from _repeated(config, ())
    for name in config.task_names():
        yield from _levels(config, name)
    for name in config.models:
        yield from _odd_model(config, name)
    for name, recipe in config.recipes.items():
        for number, (phase, following) in enumerate(itertools.pairwise(recipe.phases), 1):
            if following.optimizer == "kept" and {*phase.frozen} != {*following.frozen}:
                yield Mistake(
                    ("recipes", name, "phases", number, "optimizer"),
                    "the optimizer is kept, but the phase before trained other parts of the model, so that it may not "
                    "fit: freeze the same parts, or take a fresh one",
                )
    for asked in _asked(config):
        yield from _snapshots(config, asked.run)


def _repeated(settings: Settings, above: KeyPath) -> Iterator[Mistake]:
    """Lists that name the same twice."""
    for key in type(settings).model_fields:
        value = getattr(settings, key)
        yield from _repeated_in(value, (*above, key))


def _repeated_in(value: Any, place: KeyPath) -> Iterator[Mistake]:
    if isinstance(value, Settings):
        yield from _repeated(value, place)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _repeated_in(each, (*place, key))
    elif isinstance(value, tuple):
        for number, each in enumerate(value):
            yield from _repeated_in(each, (*place, number))
        if place[-1] in _SETS_OF_NAMES:
            for each in dict.fromkeys(each for each in value if value.count(each) > 1):
                what = "an entry" if isinstance(each, Settings) else repr(each)
                yield Mistake(place, f"{what} is listed twice, which counts once: remove one")


_SETS_OF_NAMES = {"runs", "tasks", "recipes", "budgets", "models", "seeds", "frozen", "conversions", "modalities"}
"""Lists in which an entry counts once."""


def _levels(config: Config, name: str) -> Iterator[Mistake]:
    """HARD should be harder than SIMPLE by one measure at least; and evaluation takes time."""
    task, place = config.task(name), ("tasks", name)
    for level, settings in task.levels.items():
        if settings.eval > _LARGE_SET:
            yield Mistake(
                (*place, "levels", level, "eval"),
                f"every run answers {settings.eval:,} puzzles twice, as text and as images: 300 tell a difference of "
                "8 points",
            )
    if task.style == "paper" and task.image_side is not None:
        yield Mistake((*place, "image_side"), "it has no effect in the paper style, whose images have one size")
    simple, hard = (task.levels.get(level) for level in ("SIMPLE", "HARD"))
    if simple is None or hard is None:
        return
    spans = {
        key: (getattr(simple, key), getattr(hard, key))
        for key, field in type(simple).model_fields.items()
        if get_args(field.annotation) == (int, int)
    }
    if spans and all(high[0] <= low[1] for low, high in spans.values()):
        easier = all(high[1] <= low[0] for low, high in spans.values())
        ranges = ", ".join(f"{key} {list(low)} and {list(high)}" for key, (low, high) in spans.items())
        yield Mistake(
            (*place, "levels", "HARD"),
            f"HARD is {'easier than' if easier else 'not apart from'} SIMPLE ({ranges}): no range of HARD begins above "
            "that of SIMPLE",
        )


def _odd_model(config: Config, name: str) -> Iterator[Mistake]:
    model, place = config.models[name], ("models", name)
    resources, scoring = model.job_resources, model.scoring
    if scoring.max_new_tokens < _SHORT_RESPONSE:
        yield Mistake(
            (*place, "scoring", "max_new_tokens"), f"{scoring.max_new_tokens} tokens hold no answer, which cuts off all"
        )
    if not resources.gpus and resources.nodes > 1:
        yield Mistake((*place, "resources", "nodes"), "several nodes without GPUs: set gpus, or nodes to 1")
    source = model.source
    variable = source.api_key_env if isinstance(source, EndpointSource) else ""
    if variable and variable not in os.environ and any(name in grid.models for grid in config.runs):
        yield Mistake(
            (*place, "source", "api_key_env"), "this environment variable is not set here: jobs need it (export)"
        )
    if model.training:
        yield from _odd_training(model.training, (*place, "training"), on_gpus=bool(resources.gpus))
        root = source.root(config.catalog)
        if model.training.random_positions and not isinstance(root, TinySource):
            yield Mistake(
                (*place, "training", "random_positions"),
                "made for the tiny model: they replace the positions of models that number rows and columns of images",
            )


def _odd_training(training: TrainingSettings, place: KeyPath, *, on_gpus: bool) -> Iterator[Mistake]:
    default = TrainingSettings.model_fields["decay_from"].default
    if training.learning_rate > _LARGE_RATE:
        yield Mistake((*place, "learning_rate"), f"{training.learning_rate} is large: usual are 1e-6 to 1e-2")
    if training.max_length < _SHORT_EXAMPLE:
        yield Mistake((*place, "max_length"), f"{training.max_length} tokens hold no puzzle")
    if training.lr_scheduler_type == "cosine" and training.decay_from != default:
        yield Mistake((*place, "decay_from"), "it has no effect with lr_scheduler_type: cosine")
    if not on_gpus and training.deepspeed in (f"config/deepspeed/zero{kind}.json" for kind in ("2", "3")):
        cpu = training.deepspeed.replace(".json", "_cpu.json")
        yield Mistake((*place, "deepspeed"), f"{training.deepspeed} is for GPUs, but resources.gpus is 0: take {cpu}")


def _alignment(config: Config) -> Iterator[Mistake]:
    """Whether there are as many puzzles as alignment is to be measured on, where the config says how many."""
    asked = config.alignment.puzzles
    if asked == type(config.alignment).model_fields["puzzles"].default:
        return
    for task in sorted({name for grid in config.runs for trained in grid.tasks for name in config.members(trained)}):
        least = min((level.eval for level in config.task(task).levels.values() if level.eval), default=0)
        if asked > least:
            yield Mistake(
                ("alignment", "puzzles"),
                f"{asked} are asked for, but {task} has {least} evaluation puzzles of a level: ask for {least} or "
                "fewer, or raise eval",
            )


def _snapshots(config: Config, run: Run) -> Iterator[Mistake]:
    for number, phase in enumerate(config.recipes[run.recipe].phases, 1):
        training = config.training(run, number)
        examples = examples_seen(phase, run.budget, len(config.members(run.task)))
        steps = math.ceil(examples / training.batch_size)
        if training.snapshots > max(steps, _MANY_SNAPSHOTS):
            yield Mistake(
                ("models", run.model, "training", "snapshots"),
                f"{training.snapshots} snapshots of a phase of {steps} steps ({run.recipe} at budget {run.budget}): "
                f"{steps} at most are kept",
            )
