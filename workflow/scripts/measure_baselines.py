"""Measure how often the blind baselines of a task are right."""

from typing import TYPE_CHECKING

from s2h.baselines.measuring import write_baselines
from s2h.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write its file."""
    write_baselines(snakemake.output[0], snakemake.params.evaluation, snakemake.params.seed)


if __name__ == "__main__":
    run_job(snakemake, main)
