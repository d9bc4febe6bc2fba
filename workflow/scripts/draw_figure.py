"""Draw a figure of what was found."""

from typing import TYPE_CHECKING

from s2h.figures.figure_files import write_figure
from s2h.figures.figure_registry import FIGURES
from s2h.figures.kinds import Titles
from s2h.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write all three files."""
    params = snakemake.params
    write_figure(
        FIGURES[snakemake.wildcards.figure],
        dict(snakemake.input.items()),
        Titles(params.recipe_titles, params.task_titles),
        outputs=dict(snakemake.output.items()),
    )


if __name__ == "__main__":
    run_job(snakemake, main)
