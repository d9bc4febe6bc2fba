# The first page of the report: what was asked and found, in words, a table, pictures and examples.


report: "../workflow/report/workflow.rst"


rule tell_story:
    input:
        **{name: f"{RESULTS}/tables/{name}.parquet" for name in STORY_TABLES},
        **{name: f"{RESULTS}/figures/{name}.svg" for name in STORY_FIGURES},
        scores=SCORES,
        shards=all_study_shards(),
        template=str(STORY_TEMPLATE),
    output:
        f"{RESULTS}/report/story.html",
    log:
        f"{RESULTS}/logs/tell_story.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
    params:
        tables=STORY_TABLES,
        figures=STORY_FIGURES,
        shards=study_shards(),
        config=shown_config(),
        recipe_titles=RECIPE_TITLES,
        task_titles=TASK_TITLES,
        code=stage_code("tell_story", "s2h.publishing.story"),
    message:
        "write results/report/story.html"
    script:
        "../workflow/scripts/tell_story.py"
