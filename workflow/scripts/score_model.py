"""Score a trained model on every task and level, as text and as image."""

from typing import TYPE_CHECKING

from s2h.logs import job_log
from s2h.models.settings import ScoringSettings
from s2h.scoring.engine import Evaluation, score

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the scores."""
    run = dict(snakemake.wildcards.items())
    score(
        snakemake.input.model,
        evaluations=[Evaluation.of(name, **values) for name, values in snakemake.params.evaluation.items()],
        output=snakemake.output[0],
        settings=ScoringSettings.model_validate(snakemake.params.settings),
        work_dir=snakemake.params.work,
        identity={name: run[name] for name in ("recipe", "budget", "model", "seed")} | {"trained_on": run["task"]},
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main()
