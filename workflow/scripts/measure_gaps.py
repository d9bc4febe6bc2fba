"""Write each run's gaps between modalities and levels, and the spread across seeds."""

from typing import TYPE_CHECKING

from s2h.analysis.gaps import write_gaps
from s2h.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write all three files."""
    write_gaps(
        list(snakemake.input.scores),
        csv_path=snakemake.output.csv,
        seeds_path=snakemake.output.seeds,
        markdown_path=snakemake.output.markdown,
        recipe_titles=snakemake.params.recipe_titles,
        task_titles=snakemake.params.task_titles,
    )


if __name__ == "__main__":
    run_job(snakemake, main)
