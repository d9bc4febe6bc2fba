"""Score a trained model on every level, as text and as image."""

from typing import TYPE_CHECKING

from s2h.logs import job_log
from s2h.models.settings import ScoringSettings
from s2h.puzzles.registry import TASKS
from s2h.scoring.engine import score

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the scores."""
    kind = TASKS[snakemake.wildcards.task]
    run = dict(snakemake.wildcards.items())
    score(
        snakemake.input.model,
        task=kind(kind.settings_type.model_validate(snakemake.params.task_settings)),
        shards=snakemake.params.shards,
        output=snakemake.output[0],
        settings=ScoringSettings.model_validate(snakemake.params.settings),
        work_dir=snakemake.params.work,
        identity={name: run[name] for name in ("recipe", "budget", "model", "seed")},
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main()
