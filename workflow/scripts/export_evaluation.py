"""Write an evaluation set as a TSV file."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.publishing.vlmevalkit_tsv import write_tsv

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the file."""
    write_tsv(
        snakemake.output[0],
        snakemake.input.shards,
        modality=snakemake.wildcards.modality,
        puzzles=snakemake.params.puzzles,
        settings=snakemake.params.settings,
    )


if __name__ == "__main__":
    run_job(snakemake, main)
