"""Measure how far steps on what a model is trained on lower its loss on HARD images."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.models.settings import TrainingSettings
from s2h.training.alignment import AlignmentSpec, write_alignment

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the measurements."""
    names = snakemake.wildcards
    spec = AlignmentSpec(
        model=snakemake.input.model,
        shards=snakemake.params.shards,
        puzzles=snakemake.params.puzzles,
        settings=TrainingSettings.model_validate_json(snakemake.params.settings),
        frozen=snakemake.params.frozen,
    )
    run = {"task": names.task, "recipe": names.recipe, "model": names.model}
    run |= {"budget": int(names.budget), "seed": int(names.seed)}
    write_alignment(snakemake.output[0], spec, run=run, phase=int(names.phase))


if __name__ == "__main__":
    run_job(snakemake, main)
