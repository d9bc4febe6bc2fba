# Corpora of conversations, from their published layout to checked shards; base models are made from them, stage by stage,
# and one is put together from its parts before the first.


rule index_corpus:
    # One pass over everything: where each entry and each image lies. What is compressed as a whole is copied.
    input:
        annotations=lambda wildcards: corpus_settings(wildcards).annotations_path(),
        images=corpus_files,
    output:
        index=f"{RESULTS}/corpora/{{corpus}}/index.parquet",
        pack=temp(f"{RESULTS}/corpora/{{corpus}}/images.pack"),
    log:
        f"{RESULTS}/logs/index_corpus/{{corpus}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/index_corpus/{{corpus}}.tsv"
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(720),
    params:
        images=lambda wildcards: corpus_settings(wildcards).image_paths(),
        code=stage_code("index_corpus", "s2h.corpora.index"),
    message:
        "index the corpus {wildcards.corpus}"
    script:
        "../workflow/scripts/index_corpus.py"


rule make_corpus_shard:
    # The archives are no inputs: their fingerprints would be taken again for every shard. The index knows them.
    input:
        index=f"{RESULTS}/corpora/{{corpus}}/index.parquet",
        pack=f"{RESULTS}/corpora/{{corpus}}/images.pack",
    output:
        f"{RESULTS}/corpora/{{corpus}}/shard-{{shard}}.parquet",
    log:
        f"{RESULTS}/logs/make_corpus_shard/{{corpus}}/shard-{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_corpus_shard/{{corpus}}/shard-{{shard}}.tsv"
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        shards=1,
    params:
        shards=lambda wildcards: corpus_settings(wildcards).shards,
        code=stage_code("make_corpus_shard", "s2h.corpora.shards"),
    message:
        "make corpus shard: {wildcards.corpus}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/make_corpus_shard.py"


rule report_corpus:
    input:
        shards=lambda wildcards: corpus_shards(wildcards.corpus),
    output:
        json=f"{RESULTS}/corpora/{{corpus}}/report.json",
        markdown=f"{RESULTS}/corpora/{{corpus}}/report.md",
    log:
        f"{RESULTS}/logs/report_corpus/{{corpus}}.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
    params:
        kept_at_least=lambda wildcards: corpus_settings(wildcards).kept_at_least,
        code=stage_code("report_corpus", "s2h.corpora.report"),
    message:
        "report on the corpus {wildcards.corpus}"
    script:
        "../workflow/scripts/report_corpus.py"


rule assemble_model:
    # Its code is recorded and no param: a change in it must not cost the stages that follow.
    input:
        clip=part_input("clip"),
        convnext=part_input("convnext"),
        language=part_input("language"),
    output:
        directory(f"{RESULTS}/base_models/{ANY}/{{model}}/assembled"),
    log:
        f"{RESULTS}/logs/assemble_model/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/assemble_model/{{model}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(60),
    params:
        clip=part_folder("clip"),
        convnext=part_folder("convnext"),
        language=part_folder("language"),
        seed=lambda wildcards: source(wildcards.model).seed,
    message:
        "assemble the model {wildcards.model}"
    script:
        "../workflow/scripts/assemble_model.py"


rule mix_corpus:
    input:
        shards=stage_shards,
        validated=stage_report,
    output:
        f"{RESULTS}/mixtures/{STAGED}/stage-{{stage}}.parquet",
    log:
        f"{RESULTS}/logs/mix_corpus/{STAGED}/stage-{{stage}}.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=growing(120),
    params:
        corpus=lambda wildcards: stage_of(wildcards).corpus,
        epochs=lambda wildcards: stage_of(wildcards).epochs,
        code=stage_code("mix_corpus", "s2h.corpora.mixture"),
    message:
        "mix corpus: {wildcards.model}, stage {wildcards.stage}"
    script:
        "../workflow/scripts/mix_corpus.py"


rule train_stage:
    # As train_phase, and by its script: a stage differs in where its mixture and its settings come from.
    input:
        mixture=f"{RESULTS}/mixtures/{STAGED}/stage-{{stage}}.parquet",
        base=stage_input,
        shards=stage_shards,
    output:
        directory(f"{RESULTS}/base_models/{STAGED}/stage-{{stage}}"),
    log:
        f"{RESULTS}/logs/train_stage/{STAGED}/stage-{{stage}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_stage/{STAGED}/stage-{{stage}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: cores(staging)
    resources:
        mem_mb=given(staging, "mem_mb"),
        runtime=given(staging, "runtime"),
        gpus=given(staging, "gpus"),
        gres=gres(staging),
        nodes=given(staging, "nodes"),
        tasks=on_several_nodes(staging, lambda nodes: nodes),
        tasks_per_gpu=on_several_nodes(staging, lambda nodes: 0),
        mpi=on_several_nodes(staging, lambda nodes: "srun"),
    params:
        base=stage_start,
        settings=stage_settings,
        processor=stage_processor,
        phase=stage_options,
        checkpoints=f"{RESULTS}/checkpoints/{STAGED}/stage-{{stage}}",
        metrics=f"{RESULTS}/logs/train_stage/{STAGED}/stage-{{stage}}.metrics.jsonl",
        tensorboard=f"{RESULTS}/tensorboard/{STAGED}/stage-{{stage}}",
        title=lambda wildcards: f"make {wildcards.model}, stage {wildcards.stage} of {stages(wildcards)}",
        cached=True,
    message:
        "train {wildcards.model} on a corpus, stage {wildcards.stage}, for {wildcards.origin}"
    script:
        "../workflow/scripts/train_phase.py"


rule corpora:
    # The reports of all corpora of the config, with their shards; nothing is trained.
    input:
        [f"{RESULTS}/corpora/{corpus}/report.json" for corpus in CONFIG.corpora],


rule made_base_models:
    # Every base model of the runs that is made from corpora; before recipes start from it.
    input:
        sorted({made_model(run) for run in RUNS if source(run.model).kind == "made"}),
