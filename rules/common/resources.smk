# What the jobs of a model are given, from the config's models.*.resources, the number of examples and the attempt.
from s2h.devices import visible_gpus
from s2h.models.resources import (
    alignment_needs,
    decoding_needs,
    staging_needs,
    training_needs,
)


def training(wildcards, attempt):
    """What the training of a phase asks for."""
    phase, tasks = mixture_phase(wildcards), len(members(wildcards))
    return training_needs(
        CONFIG.models[wildcards.model],
        CONFIG.training(run_of(wildcards), int(wildcards.phase) - 1),
        examples=examples_seen(phase, int(wildcards.budget), tasks),
        attempt=attempt,
    )


def staging(wildcards, attempt):
    """What a stage of a model that is made from corpora asks for."""
    stage, number = stage_of(wildcards), int(wildcards.stage) - 1
    return staging_needs(
        CONFIG.models[wildcards.model],
        CONFIG.stage_training(wildcards.model, number),
        entries=CONFIG.corpora[stage.corpus].entries,
        epochs=stage.epochs,
        attempt=attempt,
    )


def decoding(wildcards, attempt):
    """What the decoding of a run's replies asks for; each puzzle is given as text and as an image."""
    puzzles = sum(
        sum(sets["puzzles"].values()) for sets in evaluation(wildcards).values()
    )
    return decoding_needs(
        CONFIG.models[wildcards.model],
        examples=puzzles * len(MODALITIES),
        attempt=attempt,
    )


def aligning(wildcards, attempt):
    """What measuring the alignment of a phase asks for: five kinds of examples at each snapshot."""
    model = CONFIG.models[wildcards.model]
    snapshots = max(model.training.snapshots, 1)
    return alignment_needs(
        model, examples=5 * CONFIG.alignment.puzzles * snapshots, attempt=attempt
    )


def cores(needs):
    """As ``threads`` of a rule."""
    return lambda wildcards: needs(wildcards, attempt=1).cpus


def given(needs, name):
    """One of them, as a resource of a rule."""
    return lambda wildcards, attempt: getattr(needs(wildcards, attempt), name)


def gres(needs):
    """The GPUs of each node as SLURM calls them; empty for none."""

    def asked(wildcards, attempt):
        gpus = needs(wildcards, attempt).gpus
        return f"gpu:{gpus}" if gpus else ""

    return asked


def on_several_nodes(needs, value):
    """A resource that only a job on several nodes has: with it the SLURM plugin leaves the job's steps to the job."""

    def asked(wildcards, attempt):
        nodes = needs(wildcards, attempt).nodes
        return value(nodes) if nodes > 1 else None

    return asked


def refuse_missing_gpus(workflow):
    """End before anything runs here where jobs ask for more GPUs than there are; on a cluster the jobs find out.

    Snakemake itself would give each job what there is (``resources: gpus`` of profiles/default), be it none.
    """
    if not workflow.local_exec:
        return
    here = len(visible_gpus())
    for job in workflow.dag.needrun_jobs():
        if "gpus" in job.rule.resources:
            gpus = job.rule.resources["gpus"].evaluate(job.wildcards, attempt=1).value
            if gpus > here:
                sys.exit(
                    f"s2h: {job.rule.name} asks for {gpus} GPUs for the model {job.wildcards.model}, but {here} are here: "
                    f"ask for as many in models.{job.wildcards.model}.resources (gpus, decoding_gpus; 0 is the CPU), or "
                    "run it on a cluster (snakemake --profile slurm)."
                )


def growing(amount):
    """Memory in MB or time in minutes of a job that comes back with more each time it was killed for too little."""
    return lambda wildcards, attempt: amount * attempt
