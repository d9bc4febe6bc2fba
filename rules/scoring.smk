# Scoring with VLMEvalKit: every level, as text and as image, of the puzzles that no training has seen.


rule score_model:
    input:
        model=final_model,
        shards=eval_shards,
        validated=ancient(reports),
    output:
        f"{RESULTS}/scores/{RUN}.parquet",
    log:
        f"{RESULTS}/logs/score_model/{RUN}.log",
    conda:
        "../envs/scoring.yaml"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        evaluation=evaluation,
        settings=lambda wildcards: CONFIG.models[wildcards.model].scoring.model_dump(
            mode="json"
        ),
        work=f"{RESULTS}/scores/{RUN}.work",
        code=scoring_code,
    message:
        "score {wildcards.recipe} on {wildcards.task}: {wildcards.model}, budget {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/score_model.py"
