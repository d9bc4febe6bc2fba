# Tables of what was found.


rule make_table:
    # snakemake results/tables/{table}.csv, or all of them: snakemake tables
    input:
        scores=SCORES,
        models=table_models,
        shards=table_shards,
        alignments=table_alignments,
        published=table_published,
        validated=study_reports(),
    output:
        csv=f"{RESULTS}/tables/{{table}}.csv",
        parquet=f"{RESULTS}/tables/{{table}}.parquet",
        markdown=f"{RESULTS}/tables/{{table}}.md",
        latex=f"{RESULTS}/tables/{{table}}.tex",
        html=report(
            f"{RESULTS}/tables/{{table}}.html",
            category="2 Tables",
            labels={"table": "{table}"},
            caption="../workflow/report/table.rst",
        ),
    log:
        f"{RESULTS}/logs/make_table/{{table}}.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
    params:
        runs=RUN_NAMES,
        models=models_by_run,
        shards=shards_by_level,
        task_settings=table_settings,
        alignments=table_alignments,
        recipe_titles=RECIPE_TITLES,
        task_titles=TASK_TITLES,
        code=table_code,
    message:
        "write results/tables/{wildcards.table}.csv"
    script:
        "../workflow/scripts/make_table.py"


rule tables:
    # Every table of what was found, and of what the recipes hold.
    input:
        [f"{RESULTS}/tables/{name}.csv" for name in TABLE_NAMES],


rule draw_failures:
    # snakemake results/failures/{task}/{recipe}/{budget}/{model}/{seed}.html, or all of them: snakemake failures
    input:
        scores=f"{RESULTS}/scores/{RUN}.parquet",
        shards=eval_shards,
        template=str(FAILURES_TEMPLATE),
    output:
        report(
            f"{RESULTS}/failures/{RUN}.html",
            category="3 Examples: what models get wrong",
            labels={
                "task": "{task}",
                "recipe": "{recipe}",
                "budget": "{budget}",
                "model": "{model}",
                "seed": "{seed}",
            },
            caption="../workflow/report/failures.rst",
        ),
    log:
        f"{RESULTS}/logs/draw_failures/{RUN}.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
    params:
        evaluation=evaluation,
        titles=TASK_TITLES,
        recipe_title=lambda wildcards: RECIPE_TITLES[wildcards.recipe],
        code=stage_code("draw_failures", "s2h.publishing.failures"),
    message:
        "draw the failures of {wildcards.recipe} on {wildcards.task}"
    script:
        "../workflow/scripts/draw_failures.py"


rule failures:
    # A page for each run: what its model gets wrong, and where.
    input:
        [f"{RESULTS}/failures/{name}.html" for name in RUN_NAMES],


rule tabulate_recipes:
    input:
        recipe_inputs(),
    output:
        csv=f"{RESULTS}/tables/recipes.csv",
        parquet=f"{RESULTS}/tables/recipes.parquet",
        markdown=f"{RESULTS}/tables/recipes.md",
        latex=f"{RESULTS}/tables/recipes.tex",
        html=f"{RESULTS}/tables/recipes.html",
    log:
        f"{RESULTS}/logs/tabulate_recipes.log",
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        studies=recipe_studies(),
        budgets=sorted({run.budget for run in TRAINED_RUNS}),
        recipe_titles=RECIPE_TITLES,
        task_titles=TASK_TITLES,
        code=stage_code("tabulate_recipes", "s2h.analysis.recipes"),
    message:
        "write results/tables/recipes.csv"
    script:
        "../workflow/scripts/tabulate_recipes.py"


rule verify:
    # Read every result again and compare it with the checksums in its record.
    log:
        f"{RESULTS}/logs/verify.log",
    localrule: True
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    params:
        results=RESULTS,
    message:
        "verify results"
    script:
        "../workflow/scripts/verify_results.py"
