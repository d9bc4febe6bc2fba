# Training, phase after phase, each from the weights of the one before: of a run's recipe, and of a base model.


rule train_phase:
    # The images lie in the shards, so the training reads them too.
    input:
        mixture=PATHS.mixture,
        base=TRAINING.base_input,
        shards=MIXTURES.shard_files,
    output:
        directory(PATHS.model),
    log:
        PATHS.log("train_phase", PHASE),
    benchmark:
        PATHS.benchmark("train_phase", PHASE)
    conda:
        "../envs/training.yaml"
    threads: TRAINING.requested.cores
    resources:
        mem_mb=TRAINING.requested.mem_mb,
        runtime=TRAINING.requested.runtime,
        gpus=TRAINING.requested.gpus,
        gres=TRAINING.requested.gres,
        nodes=TRAINING.requested.nodes,
        tasks=TRAINING.requested.steps("tasks"),
        tasks_per_gpu=TRAINING.requested.steps("tasks_per_gpu"),
        mpi=TRAINING.requested.steps("mpi"),
    params:
        base=TRAINING.base,
        spec=TRAINING.spec,
        checkpoints=TRAINING.checkpoints,
        metrics=TRAINING.metrics,
        tensorboard=TRAINING.tensorboard,
        title=TRAINING.title,
        cached=TRAINING.is_cached,
    message:
        "train {wildcards.recipe} on {wildcards.task}, phase {wildcards.phase}: {wildcards.model}, budget {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/train_phase.py"


use rule train_phase as pretrain_base_model with:
    input:
        mixture=TRAINING.base_mixture,
        base=TRAINING.base_input,
        shards=TRAINING.base_shards,
    output:
        directory(PATHS.base_model),
    log:
        PATHS.log("pretrain_base_model", BASE_MODEL_PHASE),
    benchmark:
        PATHS.benchmark("pretrain_base_model", BASE_MODEL_PHASE)
    message:
        "pretrain {wildcards.model}, phase {wildcards.phase}, for {wildcards.origin}"


rule base_models:
    # Every base model of the runs that is pretrained here; before recipes start from it.
    input:
        TRAINING.base_models(),


rule remove_weights:
    # Only where the config asks for it. The folders stay, with all that tables, records and pages read of them.
    input:
        scores=PATHS.scores,
        alignments=ALIGNMENT.run_files,
        models=WEIGHTS.run_models,
    output:
        PATHS.removed,
    log:
        PATHS.log("remove_weights", RUN),
    priority: 10  # before the next training
    localrule: True
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    params:
        keep=CONFIG.keep_weights,
        checkpoints=PATHS.below("checkpoints", RUN),
    message:
        "remove weights of {wildcards.recipe} on {wildcards.task} that are not kept"
    script:
        "../workflow/scripts/remove_weights.py"


rule weights:
    # Of every run what is not kept is removed; snakemake alone does it too.
    input:
        WEIGHTS.removals(),
    localrule: True
