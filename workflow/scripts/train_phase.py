"""Train one phase."""

from pathlib import Path
from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.training.launch import launch

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

CODE = ["s2h.training.trainer"]
APART = ["title", "checkpoints", "metrics", "tensorboard", "cached"]


def main() -> None:
    """Unpack the rule, start the processes and wait for them."""
    params, log = snakemake.params, Path(snakemake.log[0])
    options = {
        "title": params.title,
        "base": params.base,
        "mixture": snakemake.input.mixture,
        "output": snakemake.output[0],
        "checkpoints": params.checkpoints,
        "seed": snakemake.wildcards.seed,
        "settings": params.settings,
        "processor": params.processor,
        "metrics": params.metrics,
        "tensorboard": params.tensorboard,
        "job-log": log,
    }
    asked = snakemake.resources
    more = [*params.phase, "--trackers", *snakemake.config.get("trackers", [])]  # no param: nothing is trained again
    launch(options, more, log=log, threads=snakemake.threads, gpus=asked.gpus, nodes=asked.nodes)


if __name__ == "__main__":
    run_job(snakemake, main, cached=snakemake.params.cached, code=CODE, apart=APART, outside=[snakemake.params.base])
