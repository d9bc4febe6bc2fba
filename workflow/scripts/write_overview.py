"""Write the first page of the report."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.publishing.overview import write_overview

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the page."""
    params = snakemake.params
    write_overview(
        snakemake.output[0],
        tables={name: snakemake.input[name] for name in params.tables},
        figures={title: snakemake.input[name] for name, title in params.figures.items()},
        score_files=list(snakemake.input.scores),
        shards=params.shards,
        config=params.config,
        recipe_titles=params.recipe_titles,
        task_titles=params.task_titles,
    )


if __name__ == "__main__":
    run_job(snakemake, main)
