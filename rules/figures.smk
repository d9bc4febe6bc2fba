# Figures of what was found, from the tables alone.


rule draw_figure:
    # snakemake results/figures/{figure}.svg, or all of them: snakemake figures
    input:
        unpack(figure_tables),
    output:
        svg=report(
            f"{RESULTS}/figures/{{figure}}.svg",
            category="1 Figures",
            labels={"figure": "{figure}"},
            caption="../workflow/report/figure.rst",
        ),
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        png=f"{RESULTS}/figures/{{figure}}.png",
    log:
        f"{RESULTS}/logs/draw_figure/{{figure}}.log",
    conda:
        "../envs/puzzles.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
    params:
        recipe_titles=RECIPE_TITLES,
        task_titles=TASK_TITLES,
        data=figure_data,
        code=figure_code,
    message:
        "draw results/figures/{wildcards.figure}"
    script:
        "../workflow/scripts/draw_figure.py"


rule figures:
    # Every figure of what was found.
    input:
        [f"{RESULTS}/figures/{figure}.svg" for figure in FIGURES],
