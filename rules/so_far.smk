# What a study shows while it runs: results/so_far/index.html, with the tables and figures of the runs that are scored.


rule show_so_far:
    # A run that fails, or has not begun, holds nothing up. The marker says that the run is shown.
    input:
        scores=f"{RESULTS}/scores/{RUN}.parquet",
        alignments=run_alignments,
    output:
        marker(RUN),
    log:
        f"{RESULTS}/logs/show_so_far/{RUN}.log",
    priority: 10  # before the next training
    localrule: True
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    params:
        run=lambda wildcards: run_name(run_of(wildcards)),
        # What is of the whole study takes the input too, for then Snakemake shows no run again where another is added.
        study=lambda wildcards, input: shown_study(),
    message:
        "show {wildcards.recipe} on {wildcards.task} in results/so_far"
    script:
        "../workflow/scripts/show_so_far.py"


rule so_far:
    # Every run, one after the other; snakemake alone does it too.
    input:
        [marker(name) for name in RUN_NAMES],
