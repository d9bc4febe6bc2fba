"""Write the page that shows where and how the model of a run fails."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.publishing.failure_pages import write_failures

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the page."""
    evaluation = snakemake.params.evaluation
    write_failures(
        snakemake.input.scores,
        snakemake.output[0],
        shards={task: sets["shards"] for task, sets in evaluation.items()},
        titles=snakemake.params.titles,
        recipe_title=snakemake.params.recipe_title,
    )


if __name__ == "__main__":
    run_job(snakemake, main)
