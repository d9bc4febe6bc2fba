# Procedural puzzles, a shard at a time: each as an image and as equivalent text.


rule make_puzzles:
    output:
        f"{RESULTS}/puzzles/{{task}}/{{level}}/{{split}}/shard-{{shard}}.parquet",
    log:
        f"{RESULTS}/logs/make_puzzles/{{task}}/{{level}}/{{split}}/shard-{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_puzzles/{{task}}/{{level}}/{{split}}/shard-{{shard}}.tsv"
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
        shards=1,
    params:
        settings=puzzle_settings,
        span=puzzle_span,
        seed=CONFIG.seed,
        code=puzzle_code,
    message:
        "make puzzles: {wildcards.task} {wildcards.level} {wildcards.split}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/make_puzzles.py"


rule check_puzzles:
    input:
        f"{RESULTS}/puzzles/{{task}}/{{level}}/{{split}}/shard-{{shard}}.parquet",
    output:
        f"{RESULTS}/checks/{{task}}/{{level}}/{{split}}/shard-{{shard}}.parquet",
    log:
        f"{RESULTS}/logs/check_puzzles/{{task}}/{{level}}/{{split}}/shard-{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/check_puzzles/{{task}}/{{level}}/{{split}}/shard-{{shard}}.tsv"
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
        shards=1,
    params:
        settings=puzzle_settings,
        span=puzzle_span,
        seed=CONFIG.seed,
        code=checking_code,
    message:
        "check puzzles: {wildcards.task} {wildcards.level} {wildcards.split}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/check_puzzles.py"


rule validate_puzzles:
    input:
        checks=all_checks,
    output:
        json=f"{RESULTS}/validation/{{task}}.json",
        markdown=f"{RESULTS}/validation/{{task}}.md",
    log:
        f"{RESULTS}/logs/validate_puzzles/{{task}}.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
    params:
        checks=check_paths,
        sizes=set_sizes,
        settings=CONFIG.validation.model_dump(),
        made_by=made_by,
        code=stage_code("validate_puzzles", "s2h.validation.report"),
    message:
        "validate puzzles: {wildcards.task}"
    script:
        "../workflow/scripts/validate_puzzles.py"


rule describe_puzzles:
    input:
        report=f"{RESULTS}/validation/{{task}}.json",
    output:
        f"{RESULTS}/puzzles/{{task}}/README.md",
    log:
        f"{RESULTS}/logs/describe_puzzles/{{task}}.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
    params:
        settings=lambda wildcards: CONFIG.task(wildcards.task).model_dump(mode="json"),
        seed=CONFIG.seed,
        code=lambda wildcards: stage_code(
            "describe_puzzles", "s2h.publishing.cards", TASKS.module(wildcards.task)
        ),
    message:
        "describe puzzles: {wildcards.task}"
    script:
        "../workflow/scripts/describe_puzzles.py"


rule export_evaluation:
    input:
        shards=lambda wildcards: shard_paths(wildcards.task, wildcards.level, "eval"),
        validated=exported_report,
    output:
        f"{RESULTS}/tsv/{{task}}-{{level}}-{{modality}}.tsv",
    log:
        f"{RESULTS}/logs/export_evaluation/{{task}}-{{level}}-{{modality}}.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
    params:
        puzzles=lambda wildcards: CONFIG.task(wildcards.task)
        .levels[wildcards.level]
        .eval,
        settings=puzzle_settings,
        code=stage_code("export_evaluation", "s2h.publishing.tables"),
    message:
        "export evaluation: {wildcards.task} {wildcards.level}, as {wildcards.modality}"
    script:
        "../workflow/scripts/export_evaluation.py"


rule draw_gallery:
    input:
        shards=[
            shard for shards in gallery_shards().values() for shard in shards.values()
        ],
        template=str(TEMPLATE),
    output:
        f"{RESULTS}/gallery.html",
    log:
        f"{RESULTS}/logs/draw_gallery.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
    params:
        shards=gallery_shards(),
        titles={name: TASKS[name].title for name in TASKS},
        code=stage_code("draw_gallery", "s2h.publishing.gallery"),
    message:
        "draw results/gallery.html"
    script:
        "../workflow/scripts/draw_gallery.py"


rule puzzles:
    # Every set of the config, checked, described and ready for others, and a page to look at.
    input:
        [f"{RESULTS}/puzzles/{task}/README.md" for task in CONFIG.task_names()],
        evaluation_tables(),
        f"{RESULTS}/gallery.html",
