"""Index a corpus: where each entry and each image lies."""

from typing import TYPE_CHECKING

from s2h.corpora.index import make_index
from s2h.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the index."""
    make_index(snakemake.input.annotations, snakemake.params.images, snakemake.output.index, snakemake.output.pack)


if __name__ == "__main__":
    run_job(snakemake, main)
