"""Fetch a model from the Hugging Face hub."""

from pathlib import Path
from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.models.hub import fetch_model
from s2h.models.sources import OutsideSource

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the model folder."""
    fetch_model(OutsideSource.model_validate(snakemake.params.settings), Path(snakemake.output[0]))


if __name__ == "__main__":
    run_job(snakemake, main)
