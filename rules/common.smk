# The config, checked before anything is planned, and the wildcards that it allows.
import json
import re
import sys

from s2h.config import load_config
from s2h.errors import S2HError
from s2h.provenance import code_digest
from s2h.puzzles.record import SPLITS
from s2h.puzzles.registry import TASKS
from s2h.puzzles.shards import shard_count, shard_range

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


def shard_paths(task, level, split):
    """The shards of a puzzle set, in order."""
    puzzles = getattr(CONFIG.task(task).levels[level], split)
    return [
        f"{RESULTS}/puzzles/{task}/{level}/{split}/shard-{shard:05d}.parquet"
        for shard in range(shard_count(puzzles, CONFIG.shard_size))
    ]


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
    puzzles = getattr(
        CONFIG.task(wildcards.task).levels[wildcards.level], wildcards.split
    )
    return list(
        shard_range(int(wildcards.shard), puzzles=puzzles, shard_size=CONFIG.shard_size)
    )


def puzzle_code(wildcards):
    """Digest of the code that makes this task's puzzles, and no other's."""
    return code_digest("s2h.puzzles.shards", TASKS.module(wildcards.task))


def mixture_phase(wildcards):
    """The phase of the recipe; phases count from 1."""
    return CONFIG.recipes[wildcards.recipe].phases[int(wildcards.phase) - 1]


def mixture_shards(wildcards):
    """Train shards of every level that the phase draws on."""
    levels = sorted({part.level for part in mixture_phase(wildcards).parts})
    return {level: shard_paths(wildcards.task, level, "train") for level in levels}


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


def eval_shards(wildcards):
    """Evaluation shards of all levels."""
    return [
        path
        for level in scored_levels(wildcards)
        for path in shard_paths(wildcards.task, level, "eval")
    ]


def final_model(wildcards):
    """What the last phase of the recipe left."""
    last = len(CONFIG.recipes[wildcards.recipe].phases)
    return f"{RESULTS}/models/{RUN}/phase-{last}".format(**wildcards)


def scoring_code(wildcards):
    """Digest of the code that decodes and judges this task's replies."""
    return code_digest("s2h.scoring.engine", TASKS.module(wildcards.task))
