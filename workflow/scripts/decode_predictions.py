"""Decode a model's predictions for every evaluation puzzle, given as text and as an image."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.models.resources import process_count
from s2h.models.settings import ModelSettings
from s2h.scoring.decode_and_score import decode_predictions, read_sets

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the predictions."""
    settings = ModelSettings.model_validate(snakemake.params.settings)
    decode_predictions(
        snakemake.params.model,
        source=settings.source,
        settings=settings.scoring,
        sets=read_sets(snakemake.params.evaluation, snakemake.params.external, snakemake.params.conversions),
        output=snakemake.output[0],
        store=snakemake.params.store,
        processes=process_count(gpus=snakemake.resources.gpus, threads=snakemake.threads),
        title=snakemake.params.title,
        trained=snakemake.params.trained,
        log=snakemake.log[0],
        spending=snakemake.params.spending,
    )


if __name__ == "__main__":
    params = snakemake.params
    ignored = ["title", "store", "spending", "cached"]
    run_job(snakemake, main, cached=params.cached, ignored_params=ignored, extra_inputs=[params.model])
