# Scoring with VLMEvalKit: every level, as text and as image, of the puzzles that no training has seen.


rule fetch_set:
    # On the machine where Snakemake runs, as models are.
    output:
        PATHS.fetched_eval,
    log:
        PATHS.log("fetch_set", "{outside_set}"),
    localrule: True
    conda:
        "../envs/scoring.yaml"
    threads: 1
    params:
        url=SCORING.address,
        sha256=SCORING.checksum,
    message:
        "fetch the set {wildcards.outside_set}"
    script:
        "../workflow/scripts/fetch_set.py"


rule sets:
    # Every set from outside that is fetched; before going where there is no network.
    input:
        SCORING.fetched_files(),
    localrule: True


rule decode_replies:
    # Replies are kept beside the output as they come: what is interrupted, or grows, costs only what is missing.
    input:
        model=SCORING.model_input,
        shards=SCORING.shards,
        outside=SCORING.outside_files,
        validated=SCORING.reports,
    output:
        PATHS.predictions,
    log:
        PATHS.log("decode_replies", RUN),
    benchmark:
        PATHS.benchmark("decode_replies", RUN)
    conda:
        "../envs/scoring.yaml"
    threads: SCORING.requested.cores
    resources:
        mem_mb=SCORING.requested.mem_mb,
        runtime=SCORING.requested.runtime,
        gpus=SCORING.requested.gpus,
        gres=SCORING.requested.gres,
    params:
        model=SCORING.model,
        settings=SCORING.model_settings,
        trained=SCORING.is_trained,
        evaluation=SCORING.evaluation,
        outside=SCORING.outside_sets,
        store=PATHS.below("replies", RUN, ".kept"),
        title="decode {recipe} on {task}",
        cached=SCORING.is_cached,
        code=SCORING.code(
            "decode_replies", "s2h.scoring.decoding", "s2h.scoring.replies"
        ),
    message:
        "decode {wildcards.recipe} on {wildcards.task}: {wildcards.model}, budget {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/decode_replies.py"


rule score_model:
    input:
        replies=PATHS.predictions,
        shards=SCORING.shards,
        outside=SCORING.outside_files,
    output:
        PATHS.scores,
    log:
        PATHS.log("score_model", RUN),
    conda:
        "../envs/scoring.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        evaluation=SCORING.evaluation,
        outside=SCORING.outside_sets,
        work=PATHS.below("scores", RUN, ".work"),
        code=SCORING.code_of,
    message:
        "score {wildcards.recipe} on {wildcards.task}: {wildcards.model}, budget {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/score_model.py"
