# The config, checked before anything is planned, and the wildcards that it allows.
import json
import re
import sys

from s2h.config import load_config
from s2h.errors import S2HError
from s2h.provenance import code_digest
from s2h.publishing.gallery import TEMPLATE
from s2h.puzzles.record import MODALITIES, SPLITS
from s2h.puzzles.registry import TASKS
from s2h.puzzles.shards import shard_count, shard_range
from s2h.supervision.recipes import count
from s2h.validation.registry import CHECKERS

try:
    CONFIG = load_config(config)
except S2HError as error:
    sys.exit(str(error))

RESULTS = CONFIG.results
RUNS = CONFIG.all_runs()
RUN = "{task}/{recipe}/{budget}/{model}/{seed}"
"""Where a run's files lie below models/ and scores/."""


def one_of(names):
    """A pattern that matches just these names."""
    return "|".join(re.escape(str(name)) for name in sorted(set(names)))


wildcard_constraints:
    task=one_of(TASKS),
    level=one_of(["SIMPLE", "MEDIUM", "HARD"]),
    split=one_of(SPLITS),
    shard=r"\d{5}",
    recipe=one_of(CONFIG.recipes),
    budget=r"\d+",
    model=one_of(CONFIG.models),
    seed=r"\d+",
    phase=r"\d+",
    modality=one_of(MODALITIES),


def shard_names(task, level, split, puzzles=None):
    """Names of the files that hold a set's first puzzles (all that the config asks for by default), in order."""
    puzzles = puzzles or getattr(CONFIG.task(task).levels[level], split)
    shards = shard_count(puzzles, getattr(CONFIG.shard_size, split))
    return [
        f"{task}/{level}/{split}/shard-{shard:05d}.parquet" for shard in range(shards)
    ]


def shard_paths(task, level, split, puzzles=None):
    """Those files."""
    return [
        f"{RESULTS}/puzzles/{name}" for name in shard_names(task, level, split, puzzles)
    ]


def check_paths(wildcards):
    """What was found in each shard of a task, by level and split."""
    return {
        level: {
            split: [
                f"{RESULTS}/checks/{name}"
                for name in shard_names(wildcards.task, level, split)
            ]
            for split in SPLITS
        }
        for level in CONFIG.task(wildcards.task).levels
    }


def all_checks(wildcards):
    """The same as one list."""
    return [
        path
        for sets in check_paths(wildcards).values()
        for paths in sets.values()
        for path in paths
    ]


def set_sizes(wildcards):
    """How many puzzles the config asks for, by level and split."""
    levels = CONFIG.task(wildcards.task).levels.items()
    return {
        level: {split: getattr(settings, split) for split in SPLITS}
        for level, settings in levels
    }


def task_settings(task, levels=None):
    """A task's settings with the given levels (all by default), and no sizes: they do not change what a puzzle is."""
    settings = CONFIG.task(task).model_dump(mode="json")
    kept = {
        level: settings["levels"][level] | dict.fromkeys(SPLITS, 0)
        for level in levels or settings["levels"]
    }
    return settings | {"levels": kept}


def all_levels(wildcards):
    """The task's settings with all its levels."""
    return task_settings(wildcards.task)


def puzzle_settings(wildcards):
    """What decides a puzzle: the task's settings with its level alone."""
    return task_settings(wildcards.task, [wildcards.level])


def puzzle_span(wildcards):
    """First index and the index after the last of a shard."""
    size = getattr(CONFIG.shard_size, wildcards.split)
    return list(shard_range(int(wildcards.shard), size))


def puzzle_code(wildcards):
    """Digest of the code that makes this task's puzzles, and no other's."""
    return code_digest("s2h.puzzles.shards", TASKS.module(wildcards.task))


def checking_code(wildcards):
    """Digest of the code that checks this task's puzzles, and of what it asks of the task itself."""
    task = wildcards.task
    checker = [CHECKERS.module(task)] if task in CHECKERS else []
    return code_digest("s2h.validation.shards", TASKS.module(task), *checker)


def mixture_phase(wildcards):
    """The phase of the recipe; phases count from 1."""
    return CONFIG.recipes[wildcards.recipe].phases[int(wildcards.phase) - 1]


def mixture_shards(wildcards):
    """Train shards with the puzzles that the phase draws on, by level; a set that grows changes none of them."""
    needed = {}
    for counted in count(mixture_phase(wildcards), int(wildcards.budget)):
        level = counted.part.level
        needed[level] = max(needed.get(level, 1), counted.unique)
    return {
        level: shard_paths(wildcards.task, level, "train", puzzles)
        for level, puzzles in sorted(needed.items())
    }


def source(model):
    """Where a model comes from."""
    return CONFIG.models[model].source


def base_model_code(wildcards):
    """Digest of the code that makes the tiny model, and of the task whose words it knows."""
    return code_digest(
        "s2h.models.tiny", "s2h.supervision.formats", TASKS.module(wildcards.task)
    )


def base_folder(wildcards):
    """The model folder, or hub name, from which a phase starts."""
    if int(wildcards.phase) > 1:
        return f"{RESULTS}/models/{RUN}/phase-{int(wildcards.phase) - 1}".format(
            **wildcards
        )
    if source(wildcards.model).kind == "tiny":
        return f"{RESULTS}/base_models/{{task}}/{{model}}/{{seed}}".format(**wildcards)
    return source(wildcards.model).name


def base_input(wildcards):
    """The same where it is made by the workflow; a model from outside is no input of a rule."""
    made = int(wildcards.phase) > 1 or source(wildcards.model).kind == "tiny"
    return base_folder(wildcards) if made else []


def processor_options(wildcards):
    """What the processor of a model from outside is told in the first phase; later phases find it saved."""
    outside = source(wildcards.model).kind == "pretrained" and int(wildcards.phase) == 1
    return json.dumps(source(wildcards.model).processor_options if outside else {})


def phases(wildcards):
    """How many phases the recipe has."""
    return len(CONFIG.recipes[wildcards.recipe].phases)


def processes(wildcards, threads, resources):
    """One process a GPU; without GPUs one a thread."""
    return resources.get("gpus", 0) or threads


def scored_levels(wildcards):
    """Levels of the task that have evaluation puzzles."""
    return [
        level
        for level, settings in CONFIG.task(wildcards.task).levels.items()
        if settings.eval > 0
    ]


def eval_sizes(wildcards):
    """Number of evaluation puzzles of each level."""
    levels = CONFIG.task(wildcards.task).levels
    return {level: levels[level].eval for level in scored_levels(wildcards)}


def eval_shards(wildcards):
    """Evaluation shards of all levels."""
    return [
        path
        for level in scored_levels(wildcards)
        for path in shard_paths(wildcards.task, level, "eval")
    ]


def gallery_shards():
    """The first evaluation shard of each task and level that has one."""
    return {
        task: {
            level: shard_paths(task, level, "eval", 1)[0]
            for level, settings in CONFIG.task(task).levels.items()
            if settings.eval
        }
        for task in CONFIG.task_names()
    }


def evaluation_tables():
    """Each evaluation set as a TSV file, given as text and as images."""
    return [
        f"{RESULTS}/tsv/{task}-{level}-{modality}.tsv"
        for task, levels in gallery_shards().items()
        for level in levels
        for modality in MODALITIES
    ]


def final_model(wildcards):
    """What the last phase of the recipe left."""
    last = len(CONFIG.recipes[wildcards.recipe].phases)
    return f"{RESULTS}/models/{RUN}/phase-{last}".format(**wildcards)


def scoring_code(wildcards):
    """Digest of the code that decodes and judges this task's replies."""
    return code_digest("s2h.scoring.engine", TASKS.module(wildcards.task))
