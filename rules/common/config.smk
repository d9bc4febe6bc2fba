# The config, checked before anything is planned, and the wildcards that it allows.
import hashlib
import json
import re
import sys
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

from s2h.analysis.published import PUBLISHED
from s2h.analysis.registry import TABLES
from s2h.config import Run, load_config
from s2h.diagnosis.registry import DIAGNOSERS
from s2h.errors import S2HError
from s2h.figures.registry import FIGURES
from s2h.provenance.code import code_digest
from s2h.provenance.fingerprints import contents_digest, take_fingerprint
from s2h.publishing.failures import TEMPLATE as FAILURES_TEMPLATE
from s2h.publishing.gallery import TEMPLATE
from s2h.publishing.story import TEMPLATE as STORY_TEMPLATE
from s2h.puzzles.record import MODALITIES, SPLITS
from s2h.puzzles.registry import TASKS
from s2h.puzzles.shards import shard_count, shard_range
from s2h.supervision.recipes import examples_seen, puzzles_needed
from s2h.validation.registry import CHECKERS
from s2h.validation.report import is_validated

try:
    CONFIG = load_config(config)
except S2HError as error:
    sys.exit(str(error))

RESULTS = CONFIG.results
SCRIPTS = Path(workflow.basedir) / "workflow" / "scripts"
RUNS = CONFIG.all_runs()
TRAINED_RUNS = [run for run in RUNS if CONFIG.recipes[run.recipe].phases]
RUN = "{task}/{recipe}/{budget}/{model}/{seed}"
"""Where a run's files lie below models/ and scores/."""
STAGED = "{origin}/{model}/{seed}"
"""Where the stages of a model that is made here lie below base_models/ and mixtures/."""
ANY = "any"
"""The origin of a made model whose base is the same for every task; the tiny model is another one for each."""


def stage_code(script, *modules):
    """Digest of a stage's script and of the modules that decide what it makes."""
    return code_digest(*modules, script=SCRIPTS / f"{script}.py")


def one_of(names):
    """A pattern that matches just these names; nothing where there are none."""
    return "|".join(re.escape(str(name)) for name in sorted(set(names))) or "(?!)"


wildcard_constraints:
    task=one_of([*TASKS, *CONFIG.joint_tasks]),
    level=one_of(["SIMPLE", "MEDIUM", "HARD"]),
    split=one_of(SPLITS),
    shard=r"\d{5}",
    recipe=one_of(CONFIG.recipes),
    budget=r"\d+",
    model=one_of([*CONFIG.models, *CONFIG.parts]),
    corpus=one_of(CONFIG.corpora),
    origin=one_of([*TASKS, *CONFIG.joint_tasks, ANY]),
    stage=r"\d+",
    seed=r"\d+",
    phase=r"\d+",
    modality=one_of(MODALITIES),
    table=one_of(TABLES),
    figure=one_of(FIGURES),
    outside_set=one_of(name for name, each in CONFIG.outside_sets.items() if each.url),


def digest(values):
    """A short name for values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
