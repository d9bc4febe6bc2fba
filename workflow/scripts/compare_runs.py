"""Write what runs that differ in one thing make of the same puzzles."""

from typing import TYPE_CHECKING

from s2h.analysis.comparisons import write_comparisons
from s2h.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write both files."""
    write_comparisons(
        list(snakemake.input.scores),
        csv_path=snakemake.output.csv,
        markdown_path=snakemake.output.markdown,
        recipe_titles=snakemake.params.recipe_titles,
        task_titles=snakemake.params.task_titles,
    )


if __name__ == "__main__":
    run_job(snakemake, main)
