# What stays of a run's models once it is scored: keep_weights in the config.


rule weights:
    # Of every run what is not kept is removed; snakemake alone does it too.
    input:
        removals(),
    localrule: True


rule remove_weights:
    # Only where the config asks for it. The folders stay, with all that tables, records and pages read of them.
    input:
        scores=f"{RESULTS}/scores/{RUN}.parquet",
        alignments=run_alignments,
        models=run_models,
    output:
        f"{RESULTS}/removed/{RUN}.json",
    log:
        f"{RESULTS}/logs/remove_weights/{RUN}.log",
    priority: 10  # before the next training
    localrule: True
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    params:
        keep=CONFIG.keep_weights,
        checkpoints=f"{RESULTS}/checkpoints/{RUN}",
    message:
        "remove weights of {wildcards.recipe} on {wildcards.task} that are not kept"
    script:
        "../workflow/scripts/remove_weights.py"
