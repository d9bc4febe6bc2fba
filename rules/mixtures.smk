# Mixtures: the examples of each training phase, in the order in which they are seen.


def mixture_phase(wildcards):
    """The phase of the recipe; phases count from 1."""
    return CONFIG.recipes[wildcards.recipe].phases[int(wildcards.phase) - 1]


def mixture_shards(wildcards):
    """Train shards of every level that the phase draws on."""
    levels = sorted({part.level for part in mixture_phase(wildcards).parts})
    return {level: shard_paths(wildcards.task, level, "train") for level in levels}


rule make_mixture:
    input:
        shards=lambda wildcards: sum(mixture_shards(wildcards).values(), []),
    output:
        f"{RESULTS}/mixtures/{{task}}/{{recipe}}/{{budget}}/{{seed}}/phase-{{phase}}.parquet",
    log:
        f"{RESULTS}/logs/make_mixture/{{task}}/{{recipe}}/{{budget}}/{{seed}}/phase-{{phase}}.log",
    params:
        shards=mixture_shards,
        phase=lambda wildcards: mixture_phase(wildcards).model_dump(mode="json"),
        code=code_digest("s2h.supervision.mixture"),
    threads: 1
    resources:
        mem_mb=2000,
    conda:
        "../envs/puzzles.yaml"
    message:
        "make mixture: {wildcards.task}, {wildcards.recipe}, phase {wildcards.phase}"
    script:
        "../workflow/scripts/make_mixture.py"
