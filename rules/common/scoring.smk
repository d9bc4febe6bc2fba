# What the rules of scoring are given.


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


def eval_reports(wildcards):
    """Reports that decoding has to wait for."""
    return missing_reports(
        {
            task: list(chain(*each["shards"].values()))
            for task, each in evaluation(wildcards).items()
        }
    )


def is_trained(wildcards):
    """Whether the recipe trains anything."""
    return phases(wildcards) > 0


def final_model(wildcards):
    """What the last phase of the recipe left; the model as it came where there is none."""
    if is_trained(wildcards):
        return f"{RESULTS}/models/{RUN}/phase-{phases(wildcards)}".format(**wildcards)
    if is_here(wildcards.model):
        return first_folder(wildcards)
    return source(wildcards.model).name


def final_input(wildcards):
    """The same where it is made or fetched by the workflow; a folder of the user's is no input of a rule."""
    made = is_trained(wildcards) or is_made(wildcards.model)
    return final_model(wildcards) if made else []


def outside_sets(wildcards):
    """Sets from outside on which a run is scored, by name."""
    return {
        name: {
            "path": outside.path or fetched_set(name),
            **outside.model_dump(mode="json", include={"task", "level", "modality"}),
        }
        for name, outside in CONFIG.outside_sets.items()
        if outside.task in members(wildcards)
    }


def fetched_set(name):
    """Where the file of a set lies that is fetched."""
    return f"{RESULTS}/outside/{name}.tsv"


def fetched_sets():
    """The files of all sets that are fetched and on which some run is scored."""
    tasks = set(study_tasks())
    return [
        fetched_set(name)
        for name, outside in CONFIG.outside_sets.items()
        if outside.url and outside.task in tasks
    ]


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
