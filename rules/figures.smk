# Figures of what was found, from the tables alone.


def figure_tables(wildcards):
    """The tables that a figure reads, by name."""
    return {
        table: f"{RESULTS}/tables/{table}.parquet"
        for table in FIGURES[wildcards.figure].tables
    }


def figure_data(wildcards):
    """Digests of the package's own files that a figure reads beside them."""
    return {
        path.name: contents_digest(take_fingerprint(path))
        for path in FIGURES[wildcards.figure].data
    }


def figure_code(wildcards):
    """Digest of the code that draws a figure, and no other."""
    return stage_code(
        "draw_figure", "s2h.figures.files", FIGURES.module(wildcards.figure)
    )


rule draw_figure:
    # snakemake results/figures/{figure}.svg, or all of them: snakemake figures
    input:
        unpack(figure_tables),
    output:
        svg=f"{RESULTS}/figures/{{figure}}.svg",
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
