# Tables, figures and pages of what was found.


report: "../workflow/report/workflow.rst"


rule make_table:
    # snakemake results/tables/{table}.csv, or all of them: snakemake tables
    input:
        scores=REPORT.of_runs(PATHS.scores),
        models=REPORT.table_model_files,
        shards=REPORT.table_shard_files,
        baselines=REPORT.table_baselines,
        alignments=REPORT.table_alignments,
        published=REPORT.table_published,
        validated=REPORT.validations(),
    output:
        csv=PATHS.table("csv"),
        parquet=PATHS.table("parquet"),
        markdown=PATHS.table("md"),
        latex=PATHS.table("tex"),
        html=report(
            PATHS.table("html"),
            category="2 Tables",
            labels={"table": "{table}"},
            caption="../workflow/report/table.rst",
        ),
    log:
        PATHS.log("make_table", "{table}"),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(20),
        slots=1,
    params:
        runs=REPORT.run_names(),
        models=REPORT.table_models,
        shards=REPORT.table_shards,
        task_settings=REPORT.table_settings,
        alignments=REPORT.table_alignments,
        prices=REPORT.table_prices,
        recipe_titles=REPORT.recipe_titles(),
        task_titles=REPORT.task_titles(),
        code=REPORT.table_code,
    message:
        "write {output.csv}"
    script:
        "../workflow/scripts/make_table.py"


rule make_recipe_table:
    input:
        REPORT.recipe_files(),
    output:
        csv=PATHS.table("csv").format(table="recipes"),
        parquet=PATHS.table("parquet").format(table="recipes"),
        markdown=PATHS.table("md").format(table="recipes"),
        latex=PATHS.table("tex").format(table="recipes"),
        html=PATHS.table("html").format(table="recipes"),
    log:
        PATHS.log("make_recipe_table"),
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
        slots=1,
    params:
        studies=REPORT.recipe_studies(),
        budgets=REPORT.budgets(),
        recipe_titles=REPORT.recipe_titles(),
        task_titles=REPORT.task_titles(),
        code=REPORT.rule_code("make_recipe_table", "s2h.analysis.recipes"),
    message:
        "write {output.csv}"
    script:
        "../workflow/scripts/make_recipe_table.py"


rule tables:
    # Every table of what was found, and of what the recipes hold.
    input:
        REPORT.tables("csv"),


rule draw_figure:
    # snakemake results/figures/{figure}.svg, or all of them: snakemake figures
    input:
        unpack(REPORT.figure_tables),
    output:
        svg=report(
            PATHS.figure("svg"),
            category="1 Figures",
            labels={"figure": "{figure}"},
            caption="../workflow/report/figure.rst",
        ),
        pdf=PATHS.figure("pdf"),
        png=PATHS.figure("png"),
    log:
        PATHS.log("draw_figure", "{figure}"),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(20),
        slots=1,
    params:
        recipe_titles=REPORT.recipe_titles(),
        task_titles=REPORT.task_titles(),
        data=REPORT.figure_data,
        code=REPORT.figure_code,
    message:
        "draw {output.svg}"
    script:
        "../workflow/scripts/draw_figure.py"


rule figures:
    # Every figure of what was found.
    input:
        REPORT.figures("svg"),


rule draw_failures:
    # snakemake results/failures/{task}/{recipe}/{budget}/{model}/{seed}.html, or all of them: snakemake failures
    input:
        scores=PATHS.scores,
        shards=SCORING.shards,
        template=REPORT.template("failure_pages.html"),
    output:
        report(
            PATHS.failures,
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
        PATHS.log("draw_failures", RUN),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(20),
        slots=1,
    params:
        evaluation=SCORING.evaluation,
        titles=REPORT.task_titles(),
        recipe_title=REPORT.recipe_title,
        code=REPORT.rule_code("draw_failures", "s2h.publishing.failure_pages"),
    message:
        "draw the failures of {wildcards.recipe} on {wildcards.task}"
    script:
        "../workflow/scripts/draw_failures.py"


rule failures:
    # A page for each run: what its model gets wrong, and where.
    input:
        REPORT.of_runs(PATHS.failures),


rule write_overview:
    # The first page of the report: what was asked and found, in words, a table, pictures and examples.
    input:
        **REPORT.overview_files(),
        scores=REPORT.of_runs(PATHS.scores),
        shards=REPORT.shard_files(),
        template=REPORT.template("overview.html"),
    output:
        PATHS.overview,
    log:
        PATHS.log("write_overview"),
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(20),
        slots=1,
    params:
        tables=REPORT.overview_tables,
        figures=REPORT.overview_figures,
        shards=REPORT.shards(),
        config=REPORT.shown_config(),
        recipe_titles=REPORT.recipe_titles(),
        task_titles=REPORT.task_titles(),
        code=REPORT.rule_code("write_overview", "s2h.publishing.overview"),
    message:
        "write {output}"
    script:
        "../workflow/scripts/write_overview.py"


rule verify:
    # Read every result again and compare it with the checksums in its record.
    log:
        PATHS.log("verify"),
    localrule: True
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    params:
        results=CONFIG.results,
    message:
        "verify results"
    script:
        "../workflow/scripts/verify_results.py"
