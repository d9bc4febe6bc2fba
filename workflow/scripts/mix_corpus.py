"""Order the conversations of a corpus for one stage of a base model."""

from typing import TYPE_CHECKING

from s2h.corpora.corpus_mixture import write_mixture
from s2h.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the mixture."""
    write_mixture(
        snakemake.output[0],
        snakemake.params.corpus,
        snakemake.input.shards,
        epochs=snakemake.params.epochs,
        seed=int(snakemake.wildcards.seed),
    )


if __name__ == "__main__":
    run_job(snakemake, main, cached=True)
