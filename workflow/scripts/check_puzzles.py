"""Check every puzzle of a shard."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.logs import Progress
from s2h.puzzles.shards import PuzzleSet
from s2h.puzzles.task_registry import make_task
from s2h.validation.checker_registry import find_checker
from s2h.validation.checks import check_shard

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write what was found."""
    task = make_task(snakemake.wildcards.task, snakemake.params.settings)
    which = PuzzleSet(snakemake.params.seed, snakemake.wildcards.level, snakemake.wildcards.split)
    start, stop = snakemake.params.span
    title = f"check puzzles, {task.title} {which.level} {which.split}, shard {snakemake.wildcards.shard}"
    check_shard(
        snakemake.input[0],
        snakemake.output[0],
        task=task,
        checker=find_checker(task),
        which=which,
        span=(start, stop),
        progress=Progress(title, stop - start),
    )


if __name__ == "__main__":
    run_job(snakemake, main, cached=True)
