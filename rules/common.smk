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


def stage_code(script, *modules):
    """Digest of a stage's script and of the modules that decide what it makes."""
    return code_digest(*modules, script=SCRIPTS / f"{script}.py")


def one_of(names):
    """A pattern that matches just these names."""
    return "|".join(re.escape(str(name)) for name in sorted(set(names)))


wildcard_constraints:
    task=one_of([*TASKS, *CONFIG.joint_tasks]),
    level=one_of(["SIMPLE", "MEDIUM", "HARD"]),
    split=one_of(SPLITS),
    shard=r"\d{5}",
    recipe=one_of(CONFIG.recipes),
    budget=r"\d+",
    model=one_of(CONFIG.models),
    seed=r"\d+",
    phase=r"\d+",
    modality=one_of(MODALITIES),
    table=one_of(TABLES),
    figure=one_of(FIGURES),


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


def members(wildcards):
    """The tasks that are trained: one, or those that are trained together under a name."""
    return CONFIG.members(wildcards.task)


def member_settings(wildcards):
    """Settings of those tasks, with all their levels."""
    return {task: task_settings(task) for task in members(wildcards)}


def made_by(wildcards):
    """For each level and split a digest of what decides its puzzles: code, settings, seed, how the set is cut."""
    task, code = wildcards.task, puzzle_code(wildcards)
    return {
        level: {
            split: digest([code, task_settings(task, [level]), CONFIG.seed, size])
            for split, size in CONFIG.shard_size.model_dump().items()
        }
        for level in CONFIG.task(task).levels
    }


def digest(values):
    """A short name for values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def missing_reports(shards):
    """Reports that must be made before a job may use shards (a list for each task): nothing runs on a set that failed.

    A report that is there and good of them is no input of the job. As a plain input it would repeat the job whenever it
    is made again; as an ancient one it would hide from Snakemake other reasons to run the job (its issue 4166). The
    checks are asked for too: where one is gone, Snakemake would take an old report as it is.
    """
    missing = []
    for task, paths in shards.items():
        file = f"{RESULTS}/validation/{task}.json"
        if not is_validated(file, made_by(SimpleNamespace(task=task)), paths):
            made = f"{RESULTS}/puzzles/"
            missing.append(file)
            missing += [f"{RESULTS}/checks/{path.removeprefix(made)}" for path in paths]
    return missing


def mixture_reports(wildcards):
    """Reports that a mixture has to wait for."""
    shards = mixture_shards(wildcards)
    return missing_reports(
        {task: list(chain(*levels.values())) for task, levels in shards.items()}
    )


def eval_reports(wildcards):
    """Reports that decoding has to wait for."""
    return missing_reports(
        {
            task: list(chain(*each["shards"].values()))
            for task, each in evaluation(wildcards).items()
        }
    )


def exported_report(wildcards):
    """The report that an evaluation set has to wait for."""
    shards = shard_paths(wildcards.task, wildcards.level, "eval")
    return missing_reports({wildcards.task: shards})


def study_reports():
    """The reports of all tasks that the study trains or scores."""
    return [f"{RESULTS}/validation/{task}.json" for task in study_tasks()]


def puzzle_settings(wildcards):
    """What decides a puzzle: the task's settings with its level alone."""
    return task_settings(wildcards.task, [wildcards.level])


def puzzle_span(wildcards):
    """First index and the index after the last of a shard."""
    size = getattr(CONFIG.shard_size, wildcards.split)
    return list(shard_range(int(wildcards.shard), size))


def puzzle_code(wildcards):
    """Digest of the code that makes this task's puzzles, and no other's."""
    return stage_code(
        "make_puzzles", "s2h.puzzles.shards", TASKS.module(wildcards.task)
    )


def checking_code(wildcards):
    """Digest of the code that checks this task's puzzles, and of what it asks of the task itself."""
    task = wildcards.task
    checker = [CHECKERS.module(task)] if task in CHECKERS else []
    return stage_code(
        "check_puzzles", "s2h.validation.shards", TASKS.module(task), *checker
    )


def mixture_phase(wildcards):
    """The phase of the recipe; phases count from 1."""
    return CONFIG.recipes[wildcards.recipe].phases[int(wildcards.phase) - 1]


def mixture_settings(wildcards):
    """The phase without what does not change its mixture."""
    phase = mixture_phase(wildcards)
    return phase.model_dump(mode="json", exclude={"frozen", "optimizer", "training"})


def mixture_shards(wildcards):
    """Train shards with the puzzles that the phase draws on, by task and level; a set that grows changes none."""
    tasks = members(wildcards)
    phase, budget = mixture_phase(wildcards), int(wildcards.budget)
    needed = puzzles_needed([phase], budget, len(tasks))
    return {
        task: {
            level: shard_paths(task, level, "train", max(puzzles, 1))
            for level, puzzles in sorted(needed.items())
        }
        for task in tasks
    }


def all_mixture_shards(wildcards):
    """The same as one list."""
    return [
        path
        for levels in mixture_shards(wildcards).values()
        for paths in levels.values()
        for path in paths
    ]


def source(model):
    """Where a model comes from."""
    return CONFIG.models[model].source


def is_here(model):
    """Whether a model answers the same whenever it is asked: those behind an address may change."""
    return source(model).kind in ("tiny", "pretrained")


def base_model_code(wildcards):
    """Digest of the code that makes the tiny model, and of the tasks whose words it knows."""
    tasks = [TASKS.module(task) for task in members(wildcards)]
    return stage_code(
        "build_base_model", "s2h.models.tiny", "s2h.supervision.formats", *tasks
    )


def base_folder(wildcards):
    """The model folder, or hub name, from which a phase starts."""
    if int(wildcards.phase) > 1:
        return f"{RESULTS}/models/{RUN}/phase-{int(wildcards.phase) - 1}".format(
            **wildcards
        )
    if source(wildcards.model).kind == "tiny":
        return made_base(wildcards)
    return outside_model(wildcards.model)


def outside_model(model):
    """The folder of a model from outside: its own, or the one into which it is fetched from the hub."""
    found = source(model)
    if found.is_local:
        return str(Path(found.name).expanduser())
    return f"{RESULTS}/hub/{model}"


def comes_from_hub(model):
    """Whether a model has to be fetched first."""
    return source(model).kind == "pretrained" and not source(model).is_local


def made_base(wildcards):
    """The folder of a base model that the workflow makes."""
    return f"{RESULTS}/base_models/{{task}}/{{model}}/{{seed}}".format(**wildcards)


def base_input(wildcards):
    """The same where it is made or fetched by the workflow; a folder of the user's is no input of a rule."""
    model = wildcards.model
    made = (
        int(wildcards.phase) > 1
        or source(model).kind == "tiny"
        or comes_from_hub(model)
    )
    return base_folder(wildcards) if made else []


def processor_options(wildcards):
    """What the processor of a model from outside is told in the first phase; later phases find it saved."""
    outside = source(wildcards.model).kind == "pretrained" and int(wildcards.phase) == 1
    return json.dumps(source(wildcards.model).processor_options if outside else {})


def training_settings(wildcards):
    """How the phase is trained, as JSON."""
    run = Run(
        wildcards.task,
        wildcards.recipe,
        int(wildcards.budget),
        wildcards.model,
        int(wildcards.seed),
    )
    return CONFIG.training(run, int(wildcards.phase) - 1).model_dump_json()


def phase_options(wildcards):
    """What stops learning in the phase, and what becomes of its optimizer, as words of the command line."""
    recipe, number = CONFIG.recipes[wildcards.recipe], int(wildcards.phase)
    phase = recipe.phases[number - 1]
    options = []
    if phase.frozen:
        options += ["--frozen", *phase.frozen]
    if phase.optimizer == "kept":
        before = f"{RESULTS}/checkpoints/{RUN}/phase-{number - 1}"
        options += ["--optimizer-from", before.format(**wildcards)]
    return options + (["--leave-optimizer"] if leaves_optimizer(wildcards) else [])


def leaves_optimizer(wildcards):
    """Whether the phase that follows goes on with the optimizer of this one."""
    following = CONFIG.recipes[wildcards.recipe].phases[int(wildcards.phase) :]
    return bool(following) and following[0].optimizer == "kept"


def phases(wildcards):
    """How many phases the recipe has."""
    return len(CONFIG.recipes[wildcards.recipe].phases)


def evaluation(wildcards):
    """What is scored, by task: its settings, and shards and number of puzzles of each level that has any."""
    levels = {
        task: {
            level: settings.eval
            for level, settings in CONFIG.task(task).levels.items()
            if settings.eval
        }
        for task in members(wildcards)
    }
    return {
        task: {
            "settings": task_settings(task),
            "shards": {level: shard_paths(task, level, "eval") for level in sizes},
            "puzzles": sizes,
        }
        for task, sizes in levels.items()
    }


def eval_shards(wildcards):
    """The shards as one list."""
    return [
        path
        for task in evaluation(wildcards).values()
        for paths in task["shards"].values()
        for path in paths
    ]


def recipe_studies():
    """For each task and model of the runs: a train shard of every level, the processor, and the recipes that fit."""
    pairs = sorted({(run.task, run.model) for run in TRAINED_RUNS})
    return [
        {
            "name": task,
            "model": model,
            "processor": counting_processor(task, model),
            "processor_options": getattr(source(model), "processor_options", {}),
            "shards": {
                member: {
                    level: shard_paths(member, level, "train", 1)
                    for level in CONFIG.task(member).levels
                }
                for member in CONFIG.members(task)
            },
            "recipes": {
                name: recipe.model_dump(mode="json")
                for name, recipe in CONFIG.fitting_recipes(task).items()
            },
        }
        for task, model in pairs
    ]


def counting_processor(task, model):
    """Where the processor is that counts a model's tokens: any seed's base model has the same."""
    seed = min(run.seed for run in TRAINED_RUNS)
    made = f"{RESULTS}/base_models/{task}/{model}/{seed}"
    return made if source(model).kind == "tiny" else outside_model(model)


def recipe_inputs():
    """The files that the recipes' table is made from."""
    studies = recipe_studies()
    shards = [
        path
        for study in studies
        for levels in study["shards"].values()
        for paths in levels.values()
        for path in paths
    ]
    made = [s["processor"] for s in studies if source(s["model"]).kind == "tiny"]
    return sorted({*shards, *made})


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


def is_trained(wildcards):
    """Whether the recipe trains anything."""
    return phases(wildcards) > 0


def final_model(wildcards):
    """What the last phase of the recipe left; the model as it came where there is none."""
    if is_trained(wildcards):
        return f"{RESULTS}/models/{RUN}/phase-{phases(wildcards)}".format(**wildcards)
    found = source(wildcards.model)
    if found.kind == "tiny":
        return made_base(wildcards)
    if found.kind == "pretrained":
        return outside_model(wildcards.model)
    return found.name


def final_input(wildcards):
    """The same where it is made or fetched by the workflow; a folder of the user's is no input of a rule."""
    model = wildcards.model
    made = (
        is_trained(wildcards) or source(model).kind == "tiny" or comes_from_hub(model)
    )
    return final_model(wildcards) if made else []


def outside_sets(wildcards):
    """Sets from outside on which a run is scored, by name."""
    return {
        name: outside.model_dump(mode="json")
        for name, outside in CONFIG.outside_sets.items()
        if outside.task in members(wildcards)
    }


def outside_files(wildcards):
    """Their files."""
    return [outside["path"] for outside in outside_sets(wildcards).values()]


def scoring_code(wildcards):
    """Digest of the code that judges the tasks' replies."""
    tasks = [TASKS.module(task) for task in members(wildcards)]
    explained = [
        DIAGNOSERS.module(task) for task in members(wildcards) if task in DIAGNOSERS
    ]
    outside = ["s2h.scoring.tsv"] if outside_sets(wildcards) else []
    return stage_code("score_model", "s2h.scoring.engine", *outside, *tasks, *explained)


def run_name(run):
    """Where a run's files lie below models/ and scores/."""
    return f"{run.task}/{run.recipe}/{run.budget}/{run.model}/{run.seed}"


def phase_numbers(run):
    """The phases of a run's recipe, counted from 1."""
    return range(1, len(CONFIG.recipes[run.recipe].phases) + 1)


def alignment_paths():
    """Gradient alignment of each phase whose training keeps snapshots of its model."""
    return [
        f"{RESULTS}/alignment/{run_name(run)}/phase-{number}.parquet"
        for run in TRAINED_RUNS
        for number in phase_numbers(run)
        if CONFIG.training(run, number - 1).snapshots and has_both_levels(run.task)
    ]


def has_both_levels(task):
    """Whether there are SIMPLE and HARD puzzles for evaluation, of every task that is trained together."""
    return all(
        level in CONFIG.task(member).levels and CONFIG.task(member).levels[level].eval
        for member in CONFIG.members(task)
        for level in ("SIMPLE", "HARD")
    )


def probe_puzzles(wildcards):
    """How many puzzles of a level alignment is measured on; no more than are evaluated of any."""
    sizes = [
        CONFIG.task(task).levels[level].eval
        for task in members(wildcards)
        for level in ("SIMPLE", "HARD")
    ]
    return min(CONFIG.alignment.puzzles, min(sizes) * len(members(wildcards)))


def probe_shards(wildcards):
    """Evaluation shards on which alignment is measured, by task and level."""
    puzzles = probe_puzzles(wildcards) // len(members(wildcards)) or 1
    return {
        task: {
            level: shard_paths(task, level, "eval", puzzles)
            for level in ("SIMPLE", "HARD")
        }
        for task in members(wildcards)
    }


def all_probe_shards(wildcards):
    """The same as one list."""
    return [
        path
        for levels in probe_shards(wildcards).values()
        for paths in levels.values()
        for path in paths
    ]


def table_reads(wildcards, what):
    """Whether a table reads something beside the scores."""
    return what in TABLES[wildcards.table].reads


def models_by_run(wildcards):
    """For a table that reads them, the models that the phases of each run left."""
    if not table_reads(wildcards, "models"):
        return {}
    return {
        run_name(run): [
            f"{RESULTS}/models/{run_name(run)}/phase-{number}"
            for number in phase_numbers(run)
        ]
        for run in RUNS
    }


def table_models(wildcards):
    """The same as one list."""
    return list(chain(*models_by_run(wildcards).values()))


def study_tasks():
    """The tasks that the study trains or scores."""
    return sorted({task for run in RUNS for task in CONFIG.members(run.task)})


def study_shards():
    """The evaluation shards of each task and level that the study scores."""
    return {
        task: {
            level: shard_paths(task, level, "eval")
            for level, settings in CONFIG.task(task).levels.items()
            if settings.eval
        }
        for task in study_tasks()
    }


def all_study_shards():
    """The same as one list."""
    levels = study_shards().values()
    return [path for each in levels for paths in each.values() for path in paths]


def shards_by_level(wildcards):
    """For a table that reads them, the same."""
    return study_shards() if table_reads(wildcards, "shards") else {}


def table_shards(wildcards):
    """The same as one list."""
    return all_study_shards() if table_reads(wildcards, "shards") else []


def table_settings(wildcards):
    """For a table that reads puzzles, the settings of their tasks."""
    return {task: task_settings(task) for task in shards_by_level(wildcards)}


def table_alignments(wildcards):
    """For a table that reads it, the gradient alignment that is measured."""
    return alignment_paths() if table_reads(wildcards, "alignments") else []


def table_published(wildcards):
    """For a table that reads them, the paper's figures."""
    return str(PUBLISHED) if table_reads(wildcards, "published") else []


def table_code(wildcards):
    """Digest of the code that makes a table, and of the tasks whose puzzles it reads."""
    tasks = [TASKS.module(task) for task in shards_by_level(wildcards)]
    return stage_code(
        "make_table", "s2h.analysis.writing", TABLES.module(wildcards.table), *tasks
    )


def figure_tables(wildcards):
    """The tables that a figure reads, by name."""
    return {
        table: f"{RESULTS}/tables/{table}.parquet"
        for table in FIGURES[wildcards.figure].tables
    }


def figure_data(wildcards):
    """Digests of the package's own files that a figure reads beside them."""
    return {
        path.name: contents_digest(take_fingerprint(path))
        for path in FIGURES[wildcards.figure].data
    }


def figure_code(wildcards):
    """Digest of the code that draws a figure, and no other."""
    return stage_code(
        "draw_figure", "s2h.figures.files", FIGURES.module(wildcards.figure)
    )
