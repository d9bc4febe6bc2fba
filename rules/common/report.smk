# What the rules of tables and figures are given.
RUN_NAMES = [run_name(run) for run in RUNS]
SCORES = [f"{RESULTS}/scores/{name}.parquet" for name in RUN_NAMES]
RECIPE_TITLES = {name: recipe.title for name, recipe in CONFIG.recipes.items()}
TASK_TITLES = {name: TASKS[name].title for name in TASKS}
TABLE_NAMES = [*TABLES, *["recipes"] * bool(TRAINED_RUNS)]


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


def study_reports():
    """The reports of all tasks that the study trains or scores."""
    return [f"{RESULTS}/validation/{task}.json" for task in study_tasks()]


def table_reads(wildcards, what):
    """Whether a table reads something beside the scores."""
    return what in TABLES[wildcards.table].reads


def models_by_run(wildcards):
    """For a table that reads them, the models that the phases of each run left."""
    if not table_reads(wildcards, "models"):
        return {}
    return {run_name(run): models_of(run) for run in RUNS}


def table_models(wildcards):
    """The same as one list."""
    return list(chain(*models_by_run(wildcards).values()))


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


def recipe_studies():
    """For each task and model of the runs: a train shard of every level, the processor, and the recipes that fit."""
    pairs = sorted({(run.task, run.model) for run in TRAINED_RUNS})
    return [
        {
            "name": task,
            "model": model,
            "processor": counting_processor(task, model),
            "processor_options": getattr(CONFIG.origin(model), "processor_options", {}),
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
    """Where the processor is that counts a model's tokens: any seed's base model, and any stage's, has the same."""
    if source(model).kind == "made":
        return made_from(SimpleNamespace(task=task, model=model))
    seed = min(run.seed for run in TRAINED_RUNS)
    return first_folder(SimpleNamespace(task=task, model=model, seed=seed))


def counts_with_ours(model):
    """Whether the workflow makes or fetches that processor's folder."""
    made = source(model)
    if made.kind == "made":
        return made.base in CONFIG.models and is_made(made.base)
    return is_made(model)


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
    made = [s["processor"] for s in studies if counts_with_ours(s["model"])]
    return sorted({*shards, *made})


STORY_FIGURES = {
    "budgets": "HARD against the training budget",
    "modalities": "Text against image",
    "difficulty": "Where it breaks down",
    "alignment": "Does training point towards HARD images?",
}
STORY_TABLES = ["accuracy", "failures", "costs"]


def shown_config():
    """The config as a reader sees it."""
    return CONFIG.model_dump(
        mode="json", exclude={"recipes", "cache", "keep_weights", "trackers"}
    )


def run_alignments(wildcards):
    """Gradient alignment of the run, where it is measured."""
    return alignments_of(run_of(wildcards))


def marker(name):
    """A file that is there once the run is shown."""
    return f"{RESULTS}/so_far/runs/{name}.txt"


def forget_shown(jobs):
    """A run that is made again is not shown with what it was before."""
    for job in jobs:
        if job.rule.name == "show_so_far":
            Path(job.output[0]).unlink(missing_ok=True)


def shown_study():
    """What is shown of the study, and under which names."""
    return {
        "folder": f"{RESULTS}/so_far",
        "runs": {
            run_name(run): {
                "marker": marker(run_name(run)),
                "tasks": CONFIG.members(run.task),
                "scores": f"{RESULTS}/scores/{run_name(run)}.parquet",
                "models": models_of(run),
                "alignments": alignments_of(run),
            }
            for run in RUNS
        },
        "tables": STORY_TABLES,
        "figures": STORY_FIGURES,
        "shards": study_shards(),
        "task_settings": {task: task_settings(task) for task in study_tasks()},
        "config": shown_config(),
        "recipe_titles": RECIPE_TITLES,
        "task_titles": TASK_TITLES,
    }
