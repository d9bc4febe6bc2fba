"""Write the page that shows puzzles of every task and level."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.publishing.gallery import write_gallery

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the page."""
    write_gallery(snakemake.output[0], snakemake.params.shards, titles=snakemake.params.titles)


if __name__ == "__main__":
    run_job(snakemake, main)
