# Training: a base model, then phase after phase, each from the weights of the one before.


def source(model):
    """Where a model comes from."""
    return CONFIG.models[model].source


def base_folder(wildcards):
    """The model folder, or hub name, from which a phase starts."""
    if int(wildcards.phase) > 1:
        return f"{RESULTS}/models/{RUN}/phase-{int(wildcards.phase) - 1}".format(**wildcards)
    if source(wildcards.model).kind == "tiny":
        return f"{RESULTS}/base_models/{{task}}/{{model}}/{{seed}}".format(**wildcards)
    return source(wildcards.model).name


def base_input(wildcards):
    """The same where it is made by the workflow; a model from outside is no input of a rule."""
    made = int(wildcards.phase) > 1 or source(wildcards.model).kind == "tiny"
    return base_folder(wildcards) if made else []


def processor_options(wildcards):
    """What the processor of a model from outside is told in the first phase; later phases find it saved."""
    outside = source(wildcards.model).kind == "pretrained" and int(wildcards.phase) == 1
    return json.dumps(source(wildcards.model).processor_options if outside else {})


def phases(wildcards):
    """How many phases the recipe has."""
    return len(CONFIG.recipes[wildcards.recipe].phases)


def processes(wildcards, threads, resources):
    """One process a GPU; without GPUs one a thread."""
    return resources.get("gpus", 0) or threads


rule build_base_model:
    output:
        directory(f"{RESULTS}/base_models/{{task}}/{{model}}/{{seed}}"),
    log:
        f"{RESULTS}/logs/build_base_model/{{task}}/{{model}}/{{seed}}.log",
    params:
        settings=lambda wildcards: source(wildcards.model).model_dump(mode="json"),
        task_settings=all_levels,
    threads: 1
    resources:
        mem_mb=2000,
    conda:
        "../envs/training.yaml"
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
    params:
        base=base_folder,
        settings=lambda wildcards: CONFIG.models[wildcards.model].training.model_dump_json(),
        processor=processor_options,
        checkpoints=f"{RESULTS}/checkpoints/{RUN}/phase-{{phase}}",
        processes=processes,
        title=lambda wildcards: f"train {wildcards.recipe}, phase {wildcards.phase} of {phases(wildcards)}",
    threads: 2
    resources:
        mem_mb=4000,
    conda:
        "../envs/training.yaml"
    message:
        "train {wildcards.recipe} on {wildcards.task}, phase {wildcards.phase}: {wildcards.model}, budget {wildcards.budget}, seed {wildcards.seed}"
    shell:
        # Everything goes to the log; the lines that say how far the training is go to the terminal too.
        "OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive PYTHONUNBUFFERED=1"
        " torchrun --standalone --nproc_per_node={params.processes} -m s2h.training"
        " --title {params.title:q} --base {params.base:q} --mixture {input.mixture:q} --output {output:q}"
        " --checkpoints {params.checkpoints:q} --seed {wildcards.seed} --settings {params.settings:q}"
        " --processor {params.processor:q}"
        " --job-log {log:q}.steps 2>&1 | tee {log:q} | awk '/^(\\[s2h\\]|s2h:)/ {{print; fflush()}}' >&2"
