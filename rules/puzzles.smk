# Procedural puzzles, a shard at a time: each as an image and as equivalent text.


rule make_puzzles:
    output:
        f"{RESULTS}/puzzles/{{task}}/{{level}}/{{split}}/shard-{{shard}}.parquet",
    log:
        f"{RESULTS}/logs/make_puzzles/{{task}}/{{level}}/{{split}}/shard-{{shard}}.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=500,
    params:
        settings=puzzle_settings,
        span=puzzle_span,
        seed=CONFIG.seed,
        code=puzzle_code,
    message:
        "make puzzles: {wildcards.task} {wildcards.level} {wildcards.split}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/make_puzzles.py"
