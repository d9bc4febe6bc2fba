"""Assemble the mixture of one training phase."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.phases import Phase
from s2h.supervision.mixture import write_mixture

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the mixture."""
    phase = Phase.model_validate(snakemake.params.phase)
    key = (int(snakemake.wildcards.seed), snakemake.wildcards.task)
    write_mixture(
        snakemake.output[0], phase, budget=int(snakemake.wildcards.budget), shards=snakemake.params.shards, key=key
    )


if __name__ == "__main__":
    run_job(snakemake, main, cached=True)
