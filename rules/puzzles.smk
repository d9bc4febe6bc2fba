# Procedural puzzles, a shard at a time: each as an image and as equivalent text.


rule make_puzzles:
    output:
        PATHS.shard,
    log:
        PATHS.log("make_puzzles", SHARD),
    benchmark:
        PATHS.benchmark("make_puzzles", SHARD)
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
        slots=1,
    params:
        settings=PUZZLES.level_settings,
        span=PUZZLES.span,
        seed=CONFIG.seed,
        code=PUZZLES.making_code,
    message:
        "make puzzles: {wildcards.task} {wildcards.level} {wildcards.split}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/make_puzzles.py"


rule check_puzzles:
    input:
        PATHS.shard,
    output:
        PATHS.check,
    log:
        PATHS.log("check_puzzles", SHARD),
    benchmark:
        PATHS.benchmark("check_puzzles", SHARD)
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(700),
        runtime=growing(10),
        slots=1,
    params:
        settings=PUZZLES.level_settings,
        span=PUZZLES.span,
        seed=CONFIG.seed,
        code=PUZZLES.checking_code,
    message:
        "check puzzles: {wildcards.task} {wildcards.level} {wildcards.split}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/check_puzzles.py"


rule validate_puzzles:
    input:
        checks=PUZZLES.check_files,
    output:
        json=PATHS.validation,
        markdown=PATHS.below("validation", "{task}.md"),
    log:
        PATHS.log("validate_puzzles", "{task}"),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(20),
        slots=1,
    params:
        checks=PUZZLES.checks,
        sizes=PUZZLES.set_sizes,
        settings=CONFIG.validation.model_dump(),
        made_by=PUZZLES.made_by,
        code=PUZZLES.rule_code("validate_puzzles", "s2h.validation.task_report"),
    message:
        "validate puzzles: {wildcards.task}"
    script:
        "../workflow/scripts/validate_puzzles.py"


rule write_dataset_card:
    input:
        report=PATHS.validation,
    output:
        PATHS.dataset_card,
    log:
        PATHS.log("write_dataset_card", "{task}"),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
    params:
        settings=PUZZLES.whole_settings,
        seed=CONFIG.seed,
        code=PUZZLES.describing_code,
    message:
        "describe puzzles: {wildcards.task}"
    script:
        "../workflow/scripts/write_dataset_card.py"


rule export_evaluation:
    input:
        shards=PUZZLES.set_shards,
        validated=PUZZLES.set_report,
    output:
        PATHS.eval_table,
    log:
        PATHS.log("export_evaluation", EVAL_SET),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
    params:
        puzzles=PUZZLES.set_size,
        settings=PUZZLES.level_settings,
        code=PUZZLES.rule_code("export_evaluation", "s2h.publishing.vlmevalkit_tsv"),
    message:
        "export evaluation: {wildcards.task} {wildcards.level}, as {wildcards.modality}"
    script:
        "../workflow/scripts/export_evaluation.py"


rule draw_gallery:
    input:
        shards=PUZZLES.gallery_files(),
        template=REPORT.template("gallery.html"),
    output:
        PATHS.gallery,
    log:
        PATHS.log("draw_gallery"),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
    params:
        shards=PUZZLES.gallery_shards(),
        titles=REPORT.task_titles(),
        code=PUZZLES.rule_code("draw_gallery", "s2h.publishing.gallery"),
    message:
        "draw {output}"
    script:
        "../workflow/scripts/draw_gallery.py"


rule puzzles:
    # Every set of the config, checked, described and ready for others, and a page to look at.
    input:
        PUZZLES.cards(),
        PUZZLES.eval_tables(),
        PATHS.gallery,
