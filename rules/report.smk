# Tables of what was found.


RUN_NAMES = [
    f"{run.task}/{run.recipe}/{run.budget}/{run.model}/{run.seed}" for run in RUNS
]
SCORES = [f"{RESULTS}/scores/{name}.parquet" for name in RUN_NAMES]
RECIPE_TITLES = {name: recipe.title for name, recipe in CONFIG.recipes.items()}
TASK_TITLES = {name: TASKS[name].title for name in TASKS}


rule summarise_scores:
    input:
        scores=SCORES,
        validated=study_reports(),
    output:
        csv=f"{RESULTS}/tables/summary.csv",
        markdown=f"{RESULTS}/tables/summary.md",
    log:
        f"{RESULTS}/logs/summarise_scores.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
    params:
        runs=RUN_NAMES,
        recipe_titles=RECIPE_TITLES,
        task_titles=TASK_TITLES,
        code=stage_code("summarise_scores", "s2h.analysis.summary"),
    message:
        "write results/tables/summary.csv"
    script:
        "../workflow/scripts/summarise_scores.py"


rule measure_gaps:
    input:
        scores=SCORES,
    output:
        csv=f"{RESULTS}/tables/gaps.csv",
        seeds=f"{RESULTS}/tables/seeds.csv",
        markdown=f"{RESULTS}/tables/gaps.md",
    log:
        f"{RESULTS}/logs/measure_gaps.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
    params:
        runs=RUN_NAMES,
        recipe_titles=RECIPE_TITLES,
        task_titles=TASK_TITLES,
        code=stage_code("measure_gaps", "s2h.analysis.gaps"),
    message:
        "write results/tables/gaps.csv"
    script:
        "../workflow/scripts/measure_gaps.py"


rule compare_runs:
    input:
        scores=SCORES,
    output:
        csv=f"{RESULTS}/tables/comparisons.csv",
        markdown=f"{RESULTS}/tables/comparisons.md",
    log:
        f"{RESULTS}/logs/compare_runs.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
    params:
        runs=RUN_NAMES,
        recipe_titles=RECIPE_TITLES,
        task_titles=TASK_TITLES,
        code=stage_code("compare_runs", "s2h.analysis.comparisons"),
    message:
        "write results/tables/comparisons.csv"
    script:
        "../workflow/scripts/compare_runs.py"


rule explain_failures:
    input:
        scores=SCORES,
    output:
        csv=f"{RESULTS}/tables/failures.csv",
        markdown=f"{RESULTS}/tables/failures.md",
    log:
        f"{RESULTS}/logs/explain_failures.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
    params:
        runs=RUN_NAMES,
        recipe_titles=RECIPE_TITLES,
        task_titles=TASK_TITLES,
        code=stage_code("explain_failures", "s2h.analysis.failures"),
    message:
        "write results/tables/failures.csv"
    script:
        "../workflow/scripts/explain_failures.py"


rule tabulate_metrics:
    input:
        scores=SCORES,
    output:
        csv=f"{RESULTS}/tables/metrics.csv",
        markdown=f"{RESULTS}/tables/metrics.md",
    log:
        f"{RESULTS}/logs/tabulate_metrics.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
    params:
        runs=RUN_NAMES,
        recipe_titles=RECIPE_TITLES,
        task_titles=TASK_TITLES,
        code=stage_code("tabulate_metrics", "s2h.analysis.paper_metrics"),
    message:
        "write results/tables/metrics.csv"
    script:
        "../workflow/scripts/tabulate_metrics.py"


rule tables:
    # Every table of what was found.
    input:
        [
            f"{RESULTS}/tables/{name}.csv"
            for name in ("summary", "gaps", "comparisons", "failures", "metrics")
        ],


rule draw_failures:
    # snakemake results/failures/{task}/{recipe}/{budget}/{model}/{seed}.html, or all of them: snakemake failures
    input:
        scores=f"{RESULTS}/scores/{RUN}.parquet",
        shards=eval_shards,
        template=str(FAILURES_TEMPLATE),
    output:
        f"{RESULTS}/failures/{RUN}.html",
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
        markdown=f"{RESULTS}/tables/recipes.md",
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
        titles=RECIPE_TITLES,
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
