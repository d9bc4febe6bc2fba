"""Put a base model together from its parts as they are published."""

from pathlib import Path
from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.logs import LOGGER
from s2h.models.eagle.assembly import assemble

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule, write the model folder, and log what became of the keys."""
    params = snakemake.params
    clip, convnext, language = Path(params.clip), Path(params.convnext), Path(params.language)
    report = assemble(clip, convnext, language, Path(snakemake.output[0]), seed=params.seed)
    LOGGER.info("\n".join(report.lines()))


if __name__ == "__main__":
    params = snakemake.params
    extra_inputs = [params.clip, params.convnext, params.language]
    run_job(snakemake, main, code=["s2h.models.eagle.assembly"], extra_inputs=extra_inputs)
