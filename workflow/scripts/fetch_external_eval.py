"""Fetch the file of an external evaluation set."""

from pathlib import Path
from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.scoring.eval_set_fetching import fetch_external_eval

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the file."""
    params = snakemake.params
    fetch_external_eval(params.url, params.sha256, Path(snakemake.output[0]))


if __name__ == "__main__":
    run_job(snakemake, main)
