"""Remove weights that are not kept of a run that is scored."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.models.weights import remove_weights
from s2h.paths import results_folder

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule, remove, and write what was removed."""
    params = snakemake.params
    remove_weights(
        snakemake.input.models,
        params.keep,
        checkpoints=params.checkpoints,
        output=snakemake.output[0],
        results=results_folder(snakemake.config.get("results", "results")),
    )


if __name__ == "__main__":
    run_job(snakemake, main)
