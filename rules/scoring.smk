# Scoring with VLMEvalKit: every level, as text and as image, of the puzzles that no training has seen.


rule fetch_set:
    # On the machine where Snakemake runs, as models are.
    output:
        f"{RESULTS}/outside/{{outside_set}}.tsv",
    log:
        f"{RESULTS}/logs/fetch_set/{{outside_set}}.log",
    localrule: True
    conda:
        "../envs/scoring.yaml"
    threads: 1
    params:
        url=lambda wildcards: CONFIG.outside_sets[wildcards.outside_set].url,
        sha256=lambda wildcards: CONFIG.outside_sets[wildcards.outside_set].sha256,
    message:
        "fetch the set {wildcards.outside_set}"
    script:
        "../workflow/scripts/fetch_set.py"


# Every set from outside that is fetched; before going where there is no network.
rule sets:
    input:
        fetched_sets(),
    localrule: True


rule decode_replies:
    # Replies are kept beside the output as they come: what is interrupted, or grows, costs only what is missing.
    input:
        model=final_input,
        shards=eval_shards,
        outside=outside_files,
        validated=eval_reports,
    output:
        f"{RESULTS}/replies/{RUN}.parquet",
    log:
        f"{RESULTS}/logs/decode_replies/{RUN}.log",
    benchmark:
        f"{RESULTS}/benchmarks/decode_replies/{RUN}.tsv"
    conda:
        "../envs/scoring.yaml"
    threads: cores(decoding)
    resources:
        mem_mb=given(decoding, "mem_mb"),
        runtime=given(decoding, "runtime"),
        gpus=given(decoding, "gpus"),
        gres=gres(decoding),
    params:
        model=final_model,
        settings=lambda wildcards: CONFIG.models[wildcards.model].model_dump(
            mode="json", exclude={"training", "resources"}
        ),
        trained=is_trained,
        evaluation=evaluation,
        outside=outside_sets,
        store=f"{RESULTS}/replies/{RUN}.kept",
        title=lambda wildcards: f"decode {wildcards.recipe} on {wildcards.task}",
        cached=lambda wildcards: is_here(wildcards.model),
        code=stage_code("decode_replies", "s2h.scoring.decoding", "s2h.scoring.replies"),
    message:
        "decode {wildcards.recipe} on {wildcards.task}: {wildcards.model}, budget {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/decode_replies.py"


rule score_model:
    input:
        replies=f"{RESULTS}/replies/{RUN}.parquet",
        shards=eval_shards,
        outside=outside_files,
    output:
        f"{RESULTS}/scores/{RUN}.parquet",
    log:
        f"{RESULTS}/logs/score_model/{RUN}.log",
    conda:
        "../envs/scoring.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        evaluation=evaluation,
        outside=outside_sets,
        work=f"{RESULTS}/scores/{RUN}.work",
        code=scoring_code,
    message:
        "score {wildcards.recipe} on {wildcards.task}: {wildcards.model}, budget {wildcards.budget}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/score_model.py"
