# Tables of what was found.


rule summarise_scores:
    input:
        scores=[
            f"{RESULTS}/scores/{run.task}/{run.recipe}/{run.budget}/{run.model}/{run.seed}.parquet"
            for run in RUNS
        ],
    output:
        csv=f"{RESULTS}/tables/summary.csv",
        markdown=f"{RESULTS}/tables/summary.md",
    log:
        f"{RESULTS}/logs/summarise_scores.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=500,
    params:
        recipe_titles={name: recipe.title for name, recipe in CONFIG.recipes.items()},
        task_titles={name: TASKS[name].title for name in TASKS},
        code=code_digest("s2h.analysis.summary"),
    message:
        "write results/tables/summary.csv"
    script:
        "../workflow/scripts/summarise_scores.py"


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
        mem_mb=2000,
    params:
        studies=recipe_studies(),
        budgets=sorted({run.budget for run in RUNS}),
        titles={name: recipe.title for name, recipe in CONFIG.recipes.items()},
        code=code_digest("s2h.analysis.recipes"),
    message:
        "write results/tables/recipes.csv"
    script:
        "../workflow/scripts/tabulate_recipes.py"
