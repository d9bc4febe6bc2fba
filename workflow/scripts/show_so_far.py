"""Show the runs that are scored so far."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.logs import LOGGER
from s2h.publishing.so_far import RunFiles, Shown, show_so_far

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule, and write what is shown and the run's marker."""
    params, study = snakemake.params, snakemake.params.study
    shown = Shown(**study | {"runs": {name: RunFiles(**files) for name, files in study["runs"].items()}})
    ready = show_so_far(params.run, shown)
    LOGGER.info("%d of %d runs are shown in %s/index.html", ready, len(shown.runs), shown.folder)


if __name__ == "__main__":
    run_job(snakemake, main, apart=["study"])
