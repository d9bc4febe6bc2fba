# What the rule of gradient alignment is given.


def alignments_of(run):
    """Gradient alignment of each of its phases whose training keeps snapshots of its model."""
    return [
        f"{RESULTS}/alignment/{run_name(run)}/phase-{number}.parquet"
        for number in phase_numbers(run)
        if CONFIG.training(run, number - 1).snapshots and has_both_levels(run.task)
    ]


def alignment_paths():
    """The same of all runs."""
    return [path for run in RUNS for path in alignments_of(run)]


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
