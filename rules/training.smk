# Training: a base model, then phase after phase, each from the weights of the one before.


rule build_base_model:
    output:
        directory(f"{RESULTS}/base_models/{{task}}/{{model}}/{{seed}}"),
    log:
        f"{RESULTS}/logs/build_base_model/{{task}}/{{model}}/{{seed}}.log",
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=lambda wildcards: source(wildcards.model).model_dump(mode="json"),
        tasks=member_settings,
        code=base_model_code,
    message:
        "build the base model {wildcards.model} for {wildcards.task}"
    script:
        "../workflow/scripts/build_base_model.py"


rule train_phase:
    input:
        mixture=f"{RESULTS}/mixtures/{{task}}/{{recipe}}/{{budget}}/{{seed}}/phase-{{phase}}.parquet",
        base=base_input,
    output:
        directory(f"{RESULTS}/models/{RUN}/phase-{{phase}}"),
    log:
        f"{RESULTS}/logs/train_phase/{RUN}/phase-{{phase}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_phase/{RUN}/phase-{{phase}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: 2
    resources:
        mem_mb=4000,
    params:
        base=base_folder,
        settings=training_settings,
        processor=processor_options,
        phase=phase_options,
        checkpoints=f"{RESULTS}/checkpoints/{RUN}/phase-{{phase}}",
        metrics=f"{RESULTS}/logs/train_phase/{RUN}/phase-{{phase}}.metrics.jsonl",
        tensorboard=f"{RESULTS}/tensorboard/{RUN}/phase-{{phase}}",
        processes=processes,
        title=lambda wildcards: f"train {wildcards.recipe}, phase {wildcards.phase} of {phases(wildcards)}",
    message:
        "train {wildcards.recipe} on {wildcards.task}, phase {wildcards.phase}: {wildcards.model}, budget {wildcards.budget}, seed {wildcards.seed}"
    shell:
        # All that the processes print goes beside the log; the lines that say how far they are go to the terminal too.
        "OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive PYTHONUNBUFFERED=1"
        " torchrun --standalone --nproc_per_node={params.processes} -m s2h.training"
        " --title {params.title:q} --base {params.base:q} --mixture {input.mixture:q} --output {output:q}"
        " --checkpoints {params.checkpoints:q} --seed {wildcards.seed} --settings {params.settings:q}"
        " --processor {params.processor:q} {params.phase}"
        " --metrics {params.metrics:q} --tensorboard {params.tensorboard:q}"
        " --job-log {log:q} 2>&1 | tee {log:q}.output"
        " | {{ grep --line-buffered -E '^(\\[s2h\\]|s2h:)' || true; }} >&2"
        # What ended before it could log, e.g. a broken installation, is shown whole.
        " || {{ test -s {log:q} || cp {log:q}.output {log:q}; exit 1; }}"
