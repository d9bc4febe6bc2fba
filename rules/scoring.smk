# Scoring with VLMEvalKit: every level, as text and as image, of the puzzles that no training has seen.


rule fetch_external_eval:
    # On the machine where Snakemake runs, as models are.
    output:
        PATHS.fetched_eval,
    log:
        PATHS.log("fetch_external_eval", "{external_eval}"),
    localrule: True
    conda:
        "../envs/scoring.yaml"
    threads: 1
    params:
        url=SCORING.address,
        sha256=SCORING.checksum,
    message:
        "fetch the set {wildcards.external_eval}"
    script:
        "../workflow/scripts/fetch_external_eval.py"


rule external_evals:
    # Every external evaluation set that is fetched; before going where there is no network.
    input:
        SCORING.fetched_files(),
    localrule: True


rule measure_baselines:
    # How often an answer is right that was guessed without solving the puzzle.
    input:
        shards=SCORING.shards,
        validated=SCORING.reports,
    output:
        PATHS.baselines,
    log:
        PATHS.log("measure_baselines", "{task}"),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
        slots=1,
    params:
        evaluation=SCORING.evaluation,
        seed=CONFIG.seed,
        code=SCORING.baseline_code,
    message:
        "measure baselines: {wildcards.task}"
    script:
        "../workflow/scripts/measure_baselines.py"


rule decode_predictions:
    # Predictions are kept beside the output as they come: what is interrupted, or grows, costs only what is missing.
    input:
        model=SCORING.model_input,
        shards=SCORING.shards,
        external=SCORING.external_files,
        validated=SCORING.reports,
    output:
        PATHS.predictions,
    log:
        PATHS.log("decode_predictions", RUN),
    benchmark:
        PATHS.benchmark("decode_predictions", RUN)
    priority: 20  # before the next training, so that results come as models are made
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
        evaluation=SCORING.asked,
        external=SCORING.external_evals,
        conversions=SCORING.conversions,
        store=PATHS.kept_predictions,
        spending=PATHS.spending,
        title="decode {recipe} on {task}",
        cached=SCORING.is_cached,
        code=SCORING.rule_code(
            "decode_predictions", "s2h.scoring.decoding", "s2h.scoring.predictions"
        ),
    message:
        "decode {wildcards.recipe} on {wildcards.task}: {wildcards.model}, budget {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/decode_predictions.py"


rule score_model:
    input:
        predictions=PATHS.predictions,
        shards=SCORING.shards,
        external=SCORING.external_files,
    output:
        PATHS.scores,
    log:
        PATHS.log("score_model", RUN),
    priority: 20  # before the next training, so that results come as models are made
    conda:
        "../envs/scoring.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        slots=1,
    params:
        evaluation=SCORING.asked,
        external=SCORING.external_evals,
        conversions=SCORING.conversions,
        answers=CONFIG.answers,
        work=PATHS.below("scores", RUN, ".work"),
        code=SCORING.code_of,
    message:
        "score {wildcards.recipe} on {wildcards.task}: {wildcards.model}, budget {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/score_model.py"
