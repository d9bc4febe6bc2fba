"""Make the tiny model from random weights, with the vocabulary of its task."""

from typing import TYPE_CHECKING

from s2h.files import atomic_folder
from s2h.jobs import run_job
from s2h.models.sources import TinySource
from s2h.models.tiny import build
from s2h.puzzles.task_registry import make_task
from s2h.supervision.formats import WORDS

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the model folder."""
    tasks = [make_task(name, settings) for name, settings in snakemake.params.tasks.items()]
    settings = TinySource.model_validate(snakemake.params.settings)
    with atomic_folder(snakemake.output[0]) as folder:
        build(
            settings,
            vocabulary=WORDS.union(*(task.vocabulary() for task in tasks)),
            image_size=tasks[0].image_size[0],
            seed=int(snakemake.wildcards.seed),
            folder=folder,
        )


if __name__ == "__main__":
    run_job(snakemake, main, cached=True)
