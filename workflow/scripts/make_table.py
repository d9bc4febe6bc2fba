"""Write a table of what was found, for machines and for people."""

from typing import TYPE_CHECKING

from s2h.analysis.study import Study
from s2h.analysis.writing import write_table
from s2h.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write its files."""
    params = snakemake.params
    study = Study(
        score_files=list(snakemake.input.scores),
        models=params.models,
        shards=params.shards,
        task_settings=params.task_settings,
        baselines=list(snakemake.input.baselines),
        alignments=params.alignments,
        prices=params.prices,
        recipe_titles=params.recipe_titles,
        task_titles=params.task_titles,
    )
    write_table(snakemake.wildcards.table, study, dict(snakemake.output.items()))


if __name__ == "__main__":
    run_job(snakemake, main)
