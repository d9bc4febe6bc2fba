"""Assemble the mixture of one training phase."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.phases import Phase
from s2h.supervision.mixture import write_mixture

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the mixture."""
    params = snakemake.params
    phase, key = Phase.model_validate(params.phase), (int(snakemake.wildcards.seed), params.name)
    write_mixture(snakemake.output[0], phase, budget=params.budget, shards=params.shards, key=key)


if __name__ == "__main__":
    run_job(snakemake, main, cached=True)
