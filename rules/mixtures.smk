# Mixtures: the examples of each training phase, in the order in which they are seen.


rule make_mixture:
    input:
        shards=all_mixture_shards,
        validated=mixture_reports,
    output:
        f"{RESULTS}/mixtures/{{task}}/{{recipe}}/{{budget}}/{{seed}}/phase-{{phase}}.parquet",
    log:
        f"{RESULTS}/logs/make_mixture/{{task}}/{{recipe}}/{{budget}}/{{seed}}/phase-{{phase}}.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        shards=mixture_shards,
        phase=mixture_settings,
        code=stage_code("make_mixture", "s2h.supervision.mixture"),
    message:
        "make mixture: {wildcards.task}, {wildcards.recipe}, phase {wildcards.phase}"
    script:
        "../workflow/scripts/make_mixture.py"


rule export_mixture:
    # The same examples for other trainers: LLaVA, Hugging Face, ms-swift, LLaMA-Factory.
    input:
        f"{RESULTS}/mixtures/{{task}}/{{recipe}}/{{budget}}/{{seed}}/phase-{{phase}}.parquet",
    output:
        directory(
            f"{RESULTS}/exports/{{task}}/{{recipe}}/{{budget}}/{{seed}}/phase-{{phase}}"
        ),
    log:
        f"{RESULTS}/logs/export_mixture/{{task}}/{{recipe}}/{{budget}}/{{seed}}/phase-{{phase}}.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
    params:
        code=stage_code("export_mixture", "s2h.publishing.exports"),
    message:
        "export mixture: {wildcards.task}, {wildcards.recipe}, phase {wildcards.phase}"
    script:
        "../workflow/scripts/export_mixture.py"
