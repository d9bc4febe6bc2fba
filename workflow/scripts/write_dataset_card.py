"""Write the dataset card of a task's puzzles."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.publishing.cards import write_card
from s2h.puzzles.task_registry import make_task

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the card."""
    write_card(
        snakemake.output[0],
        task=make_task(snakemake.wildcards.task, snakemake.params.settings),
        report=snakemake.input.report,
        seed=snakemake.params.seed,
    )


if __name__ == "__main__":
    run_job(snakemake, main)
