# Scoring with VLMEvalKit: every level, as text and as image, of the puzzles that no training has seen.


def scored_levels(wildcards):
    """Levels of the task that have evaluation puzzles."""
    return [level for level, settings in CONFIG.task(wildcards.task).levels.items() if settings.eval > 0]


def eval_shards(wildcards):
    """Evaluation shards of all levels."""
    return [path for level in scored_levels(wildcards) for path in shard_paths(wildcards.task, level, "eval")]


def final_model(wildcards):
    """What the last phase of the recipe left."""
    last = len(CONFIG.recipes[wildcards.recipe].phases)
    return f"{RESULTS}/models/{RUN}/phase-{last}".format(**wildcards)


def scoring_code(wildcards):
    """Digest of the code that decodes and judges this task's replies."""
    return code_digest("s2h.scoring.engine", TASKS.module(wildcards.task))


rule score_model:
    input:
        model=final_model,
        shards=eval_shards,
    output:
        f"{RESULTS}/scores/{RUN}.parquet",
    log:
        f"{RESULTS}/logs/score_model/{RUN}.log",
    params:
        shards=lambda wildcards: {level: shard_paths(wildcards.task, level, "eval") for level in scored_levels(wildcards)},
        task_settings=all_levels,
        settings=lambda wildcards: CONFIG.models[wildcards.model].scoring.model_dump(mode="json"),
        work=f"{RESULTS}/scores/{RUN}.work",
        code=scoring_code,
    threads: 1
    resources:
        mem_mb=4000,
    conda:
        "../envs/scoring.yaml"
    message:
        "score {wildcards.recipe} on {wildcards.task}: {wildcards.model}, budget {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/score_model.py"
