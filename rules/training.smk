# Training: a base model, then phase after phase, each from the weights of the one before.


rule fetch_model:
    # On the machine where Snakemake runs: a cluster's compute nodes often have no network.
    output:
        directory(f"{RESULTS}/hub/{{model}}"),
    log:
        f"{RESULTS}/logs/fetch_model/{{model}}.log",
    localrule: True
    conda:
        "../envs/training.yaml"
    threads: 1
    params:
        settings=lambda wildcards: source(wildcards.model).model_dump(
            mode="json", include={"name", "revision"}
        ),
    message:
        "fetch the model {wildcards.model}"
    script:
        "../workflow/scripts/fetch_model.py"


# Every model of the runs that comes from the hub; before going where there is no network.
rule models:
    input:
        [f"{RESULTS}/hub/{model}" for model in hub_models()],
    localrule: True


rule convert_model:
    # Released weights under the names that training and scoring read; tensors are copied piece by piece. Its code is
    # recorded and no param: a change in it must not cost the trainings that follow.
    input:
        released=released_input,
    output:
        directory(f"{RESULTS}/converted/{{model}}"),
    log:
        f"{RESULTS}/logs/convert_model/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/convert_model/{{model}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
    params:
        released=lambda wildcards: outside_weights(wildcards.model),
    message:
        "convert the model {wildcards.model}"
    script:
        "../workflow/scripts/convert_model.py"


rule build_base_model:
    output:
        directory(f"{RESULTS}/base_models/{{task}}/{{model}}/{{seed}}"),
    log:
        f"{RESULTS}/logs/build_base_model/{{task}}/{{model}}/{{seed}}.log",
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        settings=lambda wildcards: source(wildcards.model).model_dump(mode="json"),
        tasks=member_settings,
        code=base_model_code,
    message:
        "build the base model {wildcards.model} for {wildcards.task}"
    script:
        "../workflow/scripts/build_base_model.py"


rule train_phase:
    # The images lie in the shards, so the training reads them too.
    input:
        mixture=f"{RESULTS}/mixtures/{{task}}/{{recipe}}/{{budget}}/{{seed}}/phase-{{phase}}.parquet",
        base=base_input,
        shards=all_mixture_shards,
    output:
        directory(f"{RESULTS}/models/{RUN}/phase-{{phase}}"),
    log:
        f"{RESULTS}/logs/train_phase/{RUN}/phase-{{phase}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_phase/{RUN}/phase-{{phase}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: cores(training)
    resources:
        mem_mb=given(training, "mem_mb"),
        runtime=given(training, "runtime"),
        gpus=given(training, "gpus"),
        gres=gres(training),
        nodes=given(training, "nodes"),
        tasks=on_several_nodes(training, lambda nodes: nodes),
        tasks_per_gpu=on_several_nodes(training, lambda nodes: 0),
        mpi=on_several_nodes(training, lambda nodes: "srun"),
    params:
        base=base_folder,
        settings=training_settings,
        processor=processor_options,
        phase=phase_options,
        checkpoints=f"{RESULTS}/checkpoints/{RUN}/phase-{{phase}}",
        metrics=f"{RESULTS}/logs/train_phase/{RUN}/phase-{{phase}}.metrics.jsonl",
        tensorboard=f"{RESULTS}/tensorboard/{RUN}/phase-{{phase}}",
        title=lambda wildcards: f"train {wildcards.recipe}, phase {wildcards.phase} of {phases(wildcards)}",
        cached=lambda wildcards: not leaves_optimizer(wildcards),
    message:
        "train {wildcards.recipe} on {wildcards.task}, phase {wildcards.phase}: {wildcards.model}, budget {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/train_phase.py"
