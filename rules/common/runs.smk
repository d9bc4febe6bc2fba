# Runs: where their files lie.


def run_of(wildcards):
    """The run that a job belongs to."""
    return Run(
        wildcards.task,
        wildcards.recipe,
        int(wildcards.budget),
        wildcards.model,
        int(wildcards.seed),
    )


def run_name(run):
    """Where a run's files lie below models/ and scores/."""
    return f"{run.task}/{run.recipe}/{run.budget}/{run.model}/{run.seed}"


def phase_numbers(run):
    """The phases of a run's recipe, counted from 1."""
    return range(1, len(CONFIG.recipes[run.recipe].phases) + 1)


def models_of(run):
    """What its phases left, in order."""
    return [
        f"{RESULTS}/models/{run_name(run)}/phase-{number}"
        for number in phase_numbers(run)
    ]
