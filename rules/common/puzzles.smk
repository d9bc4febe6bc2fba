# What the rules of puzzles are given: shards, settings, reports.


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


def exported_report(wildcards):
    """The report that an evaluation set has to wait for."""
    shards = shard_paths(wildcards.task, wildcards.level, "eval")
    return missing_reports({wildcards.task: shards})


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
