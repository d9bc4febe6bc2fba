# Procedural puzzles, a shard at a time: each as an image and as equivalent text.


def puzzle_settings(wildcards):
    """What decides a puzzle: the task's settings with its level alone."""
    return task_settings(wildcards.task, [wildcards.level])


def puzzle_span(wildcards):
    """First index and the index after the last of a shard."""
    puzzles = getattr(CONFIG.task(wildcards.task).levels[wildcards.level], wildcards.split)
    return list(shard_range(int(wildcards.shard), puzzles=puzzles, shard_size=CONFIG.shard_size))


def puzzle_code(wildcards):
    """Digest of the code that makes this task's puzzles, and no other's."""
    return code_digest("s2h.puzzles.shards", TASKS.module(wildcards.task))


rule make_puzzles:
    output:
        f"{RESULTS}/puzzles/{{task}}/{{level}}/{{split}}/shard-{{shard}}.parquet",
    log:
        f"{RESULTS}/logs/make_puzzles/{{task}}/{{level}}/{{split}}/shard-{{shard}}.log",
    params:
        settings=puzzle_settings,
        span=puzzle_span,
        seed=CONFIG.seed,
        code=puzzle_code,
    threads: 1
    resources:
        mem_mb=500,
    conda:
        "../envs/puzzles.yaml"
    message:
        "make puzzles: {wildcards.task} {wildcards.level} {wildcards.split}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/make_puzzles.py"
