"""Make one shard of puzzles."""

from typing import TYPE_CHECKING

from s2h.jobs import run_job
from s2h.logs import Progress
from s2h.puzzles.shards import PuzzleSet, write_shard
from s2h.puzzles.task_registry import make_task

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the shard."""
    task = make_task(snakemake.wildcards.task, snakemake.params.settings)
    which = PuzzleSet(snakemake.params.seed, snakemake.wildcards.level, snakemake.wildcards.split)
    start, stop = snakemake.params.span
    title = f"make puzzles, {task.title} {which.level} {which.split}, shard {snakemake.wildcards.shard}"
    write_shard(snakemake.output[0], task, which, (start, stop), progress=Progress(title, stop - start))


if __name__ == "__main__":
    run_job(snakemake, main, cached=True)
