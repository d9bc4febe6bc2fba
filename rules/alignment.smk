# Gradient alignment: how far a step on each format lowers the loss on HARD images, along every phase of training.


rule measure_alignment:
    # At each snapshot that the training kept (training.snapshots), or at the end of the phase where it kept none.
    input:
        model=PATHS.model,
        shards=ALIGNMENT.probe_files,
        validated=SCORING.reports,
    output:
        PATHS.alignment,
    log:
        PATHS.log("measure_alignment", PHASE),
    benchmark:
        PATHS.benchmark("measure_alignment", PHASE)
    conda:
        "../envs/training.yaml"
    threads: ALIGNMENT.requested.cores
    resources:
        mem_mb=ALIGNMENT.requested.mem_mb,
        runtime=ALIGNMENT.requested.runtime,
        gpus=ALIGNMENT.requested.gpus,
        gres=ALIGNMENT.requested.gres,
    params:
        shards=ALIGNMENT.probe_shards,
        puzzles=ALIGNMENT.probe_size,
        settings=ALIGNMENT.settings,
        frozen=ALIGNMENT.frozen,
        code=ALIGNMENT.rule_code("measure_alignment", "s2h.training.alignment"),
    message:
        "measure alignment: {wildcards.recipe} on {wildcards.task}, phase {wildcards.phase}"
    script:
        "../workflow/scripts/measure_alignment.py"


rule alignment:
    # Of every run whose training keeps snapshots.
    input:
        ALIGNMENT.files(),
