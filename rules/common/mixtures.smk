# What the rules of mixtures are given.


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


def mixture_reports(wildcards):
    """Reports that a mixture has to wait for."""
    shards = mixture_shards(wildcards)
    return missing_reports(
        {task: list(chain(*levels.values())) for task, levels in shards.items()}
    )
