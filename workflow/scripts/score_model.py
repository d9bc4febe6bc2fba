"""Score a model's predictions: what each is worth, and where it goes wrong."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.scoring.decode_and_score import read_sets, score_model

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the scores."""
    run = dict(snakemake.wildcards.items())
    params = snakemake.params
    score_model(
        snakemake.input.predictions,
        sets=read_sets(params.evaluation, params.external, params.conversions, answers=params.answers),
        output=snakemake.output[0],
        work_dir=params.work,
        identity={name: run[name] for name in ("recipe", "budget", "model", "seed")} | {"trained_on": run["task"]},
    )


if __name__ == "__main__":
    run_job(snakemake, main, cached=True, ignored_params=["work"])
