"""Convert a released Eagle-X2 into a model folder that training and scoring read."""

from pathlib import Path
from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.logs import LOGGER
from s2h.models.eagle.conversion import convert

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule, write the model folder, and log what became of the keys."""
    report = convert(Path(snakemake.params.released), Path(snakemake.output[0]))
    LOGGER.info("\n".join(report.lines()))


if __name__ == "__main__":
    run_job(snakemake, main, code=["s2h.models.eagle.conversion"], extra_inputs=[snakemake.params.released])
