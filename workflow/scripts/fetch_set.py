"""Fetch the file of an evaluation set from outside."""

from pathlib import Path
from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.scoring.fetching import fetch_set

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the file."""
    told = snakemake.params
    fetch_set(told.url, told.sha256, Path(snakemake.output[0]))


if __name__ == "__main__":
    run_job(snakemake, main)
