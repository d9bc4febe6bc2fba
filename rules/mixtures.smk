# Mixtures: the examples of each training phase, in the order in which they are seen.


rule make_mixture:
    input:
        shards=MIXTURES.shard_files,
        validated=MIXTURES.reports,
    output:
        PATHS.mixture,
    log:
        PATHS.log("make_mixture", MIXTURE),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        slots=1,
    params:
        shards=MIXTURES.shards,
        phase=MIXTURES.settings,
        name=MIXTURES.name,
        budget=MIXTURES.budget,
        code=MIXTURES.rule_code("make_mixture", "s2h.supervision.mixture"),
    message:
        "make mixture: {wildcards.task}, {wildcards.recipe}, phase {wildcards.phase}"
    script:
        "../workflow/scripts/make_mixture.py"


use rule make_mixture as mix_scenes with:
    output:
        PATHS.scene_mixture,
    log:
        PATHS.log("mix_scenes", BASE_MODEL_PHASE),
    message:
        "mix scenes: {wildcards.origin}, {wildcards.model}, phase {wildcards.phase}"


rule export_mixture:
    # The same examples for other trainers: LLaVA, Hugging Face, ms-swift, LLaMA-Factory.
    input:
        PATHS.mixture,
    output:
        directory(PATHS.export),
    log:
        PATHS.log("export_mixture", MIXTURE),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
    params:
        code=MIXTURES.rule_code("export_mixture", "s2h.publishing.exports"),
    message:
        "export mixture: {wildcards.task}, {wildcards.recipe}, phase {wildcards.phase}"
    script:
        "../workflow/scripts/export_mixture.py"
