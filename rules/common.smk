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
    kept = {level: settings["levels"][level] | dict.fromkeys(SPLITS, 0) for level in levels or settings["levels"]}
    return settings | {"levels": kept}


def all_levels(wildcards):
    """The task's settings with all its levels."""
    return task_settings(wildcards.task)
