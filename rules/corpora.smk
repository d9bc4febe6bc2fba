# Corpora of conversations, from their published layout to checked shards, and to the mixtures of base models.


rule index_corpus:
    # One pass over everything: where each entry and each image lies. What is compressed as a whole is copied.
    input:
        annotations=CORPORA.annotations,
        images=CORPORA.image_files,
    output:
        index=PATHS.corpus_index,
        pack=temp(PATHS.corpus_images),
    log:
        PATHS.log("index_corpus", "{corpus}"),
    benchmark:
        PATHS.benchmark("index_corpus", "{corpus}")
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(720),
    params:
        images=CORPORA.images,
        code=CORPORA.rule_code("index_corpus", "s2h.corpora.index"),
    message:
        "index the corpus {wildcards.corpus}"
    script:
        "../workflow/scripts/index_corpus.py"


rule make_corpus_shard:
    # The archives are no inputs: their fingerprints would be taken again for every shard. The index knows them.
    input:
        index=PATHS.corpus_index,
        pack=PATHS.corpus_images,
    output:
        PATHS.corpus_shard,
    log:
        PATHS.log("make_corpus_shard", "{corpus}/shard-{shard}"),
    benchmark:
        PATHS.benchmark("make_corpus_shard", "{corpus}/shard-{shard}")
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        slots=1,
    params:
        shards=CORPORA.shard_count,
        code=CORPORA.rule_code("make_corpus_shard", "s2h.corpora.corpus_shards"),
    message:
        "make corpus shard: {wildcards.corpus}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/make_corpus_shard.py"


rule report_corpus:
    input:
        shards=CORPORA.all_shards,
    output:
        json=PATHS.corpus_report,
        markdown=PATHS.below("corpora", "{corpus}/report.md"),
    log:
        PATHS.log("report_corpus", "{corpus}"),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
    params:
        min_kept_fraction=CORPORA.min_kept_fraction,
        code=CORPORA.rule_code("report_corpus", "s2h.corpora.corpus_report"),
    message:
        "report on the corpus {wildcards.corpus}"
    script:
        "../workflow/scripts/report_corpus.py"


rule mix_corpus:
    input:
        shards=TRAINING.corpus_shards,
        validated=TRAINING.corpus_report,
    output:
        PATHS.corpus_mixture,
    log:
        PATHS.log("mix_corpus", BASE_MODEL_PHASE),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=growing(120),
    params:
        corpus=TRAINING.corpus,
        epochs=TRAINING.epochs,
        code=CORPORA.rule_code("mix_corpus", "s2h.corpora.corpus_mixture"),
    message:
        "mix corpus: {wildcards.model}, phase {wildcards.phase}"
    script:
        "../workflow/scripts/mix_corpus.py"


rule corpora:
    # The reports of all corpora of the config, with their shards; nothing is trained.
    input:
        CORPORA.reports(),
