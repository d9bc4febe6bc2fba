"""Report on all sets of a task; fails where one of them must not be used."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.puzzles.task_registry import TASKS
from s2h.validation.task_report import ValidationSettings, report_task, write_report

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the report."""
    write_report(
        TASKS[snakemake.wildcards.task].title,
        report_task(snakemake.params.checks, snakemake.params.sizes),
        ValidationSettings.model_validate(snakemake.params.settings),
        made_by=snakemake.params.made_by,
        json_path=snakemake.output.json,
        markdown_path=snakemake.output.markdown,
    )


if __name__ == "__main__":
    run_job(snakemake, main)
