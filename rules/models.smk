# Models before training: fetched, converted, composed of published parts, or built from random weights.


rule fetch_model:
    # On the machine where Snakemake runs: a cluster's compute nodes often have no network.
    output:
        directory(PATHS.hub_model),
    log:
        PATHS.log("fetch_model", "{model}"),
    localrule: True
    conda:
        "../envs/training.yaml"
    threads: 1
    params:
        settings=CORPORA.hub_settings,
    message:
        "fetch the model {wildcards.model}"
    script:
        "../workflow/scripts/fetch_model.py"


rule models:
    # Every model of the runs that comes from the hub; before going where there is no network.
    input:
        CORPORA.hub_models(),
    localrule: True


rule convert_model:
    # Released weights under the names that training and scoring read; tensors are copied piece by piece. Its code is
    # recorded and no param: a change in it must not cost the training that follows.
    input:
        released=CORPORA.released_input,
    output:
        directory(PATHS.converted_model),
    log:
        PATHS.log("convert_model", "{model}"),
    benchmark:
        PATHS.benchmark("convert_model", "{model}")
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
    params:
        released=CORPORA.released,
    message:
        "convert the model {wildcards.model}"
    script:
        "../workflow/scripts/convert_model.py"


rule compose_model:
    # Its code is recorded and no param: a change in it must not cost the training that follows.
    input:
        clip=CORPORA.part_input("clip"),
        convnext=CORPORA.part_input("convnext"),
        language=CORPORA.part_input("language"),
    output:
        directory(PATHS.composed_model),
    log:
        PATHS.log("compose_model", "{model}"),
    benchmark:
        PATHS.benchmark("compose_model", "{model}")
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(60),
    params:
        clip=CORPORA.part("clip"),
        convnext=CORPORA.part("convnext"),
        language=CORPORA.part("language"),
        seed=CORPORA.composing_seed,
    message:
        "compose the model {wildcards.model}"
    script:
        "../workflow/scripts/compose_model.py"


rule build_base_model:
    output:
        directory(PATHS.tiny_model),
    log:
        PATHS.log("build_base_model", "{task}/{model}/{seed}"),
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
        slots=1,
    params:
        settings=TRAINING.tiny_settings,
        tasks=TRAINING.tiny_tasks,
        code=TRAINING.tiny_code,
    message:
        "build the base model {wildcards.model} for {wildcards.task}"
    script:
        "../workflow/scripts/build_base_model.py"
