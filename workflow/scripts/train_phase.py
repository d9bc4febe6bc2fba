"""Train one phase of a recipe or of a base model."""

from pathlib import Path
from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.training.job import Job
from s2h.training.launch import launch

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

CODE = ["s2h.training.trainer"]
IGNORED_PARAMS = ["title", "checkpoints", "metrics", "tensorboard", "cached"]


def main() -> None:
    """Unpack the rule, start the processes and wait for them."""
    params, asked = snakemake.params, snakemake.resources
    job = Job(
        **params.spec,
        title=params.title,
        base=params.base,
        mixture=snakemake.input.mixture,
        output=snakemake.output[0],
        checkpoints=params.checkpoints,
        metrics=params.metrics,
        tensorboard=params.tensorboard,
        seed=snakemake.wildcards.seed,
        trackers=snakemake.config.get("trackers", []),  # no param: nothing is trained again
    )
    launch(job, log=Path(snakemake.log[0]), threads=snakemake.threads, gpus=asked.gpus, nodes=asked.nodes)


if __name__ == "__main__":
    run_job(
        snakemake,
        main,
        cached=snakemake.params.cached,
        dear=True,
        code=CODE,
        ignored_params=IGNORED_PARAMS,
        extra_inputs=[snakemake.params.base],
    )
