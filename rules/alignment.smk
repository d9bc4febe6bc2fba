# Gradient alignment: how far a step on each format lowers the loss on HARD images, along every phase of training.


rule measure_alignment:
    # At each snapshot that the training kept (training.snapshots), or at the end of the phase where it kept none.
    input:
        model=f"{RESULTS}/models/{RUN}/phase-{{phase}}",
        shards=all_probe_shards,
        validated=eval_reports,
    output:
        f"{RESULTS}/alignment/{RUN}/phase-{{phase}}.parquet",
    log:
        f"{RESULTS}/logs/measure_alignment/{RUN}/phase-{{phase}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_alignment/{RUN}/phase-{{phase}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: cores(aligning)
    resources:
        mem_mb=given(aligning, "mem_mb"),
        runtime=given(aligning, "runtime"),
        gpus=given(aligning, "gpus"),
        gres=gres(aligning),
    params:
        shards=probe_shards,
        puzzles=probe_puzzles,
        settings=training_settings,
        frozen=lambda wildcards: list(mixture_phase(wildcards).frozen),
        code=stage_code("measure_alignment", "s2h.training.alignment"),
    message:
        "measure alignment: {wildcards.recipe} on {wildcards.task}, phase {wildcards.phase}"
    script:
        "../workflow/scripts/measure_alignment.py"


rule alignment:
    # Of every run whose training keeps snapshots.
    input:
        alignment_paths(),
