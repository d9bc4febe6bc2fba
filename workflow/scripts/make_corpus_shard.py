"""Check the entries of a shard and write the good ones."""

from typing import TYPE_CHECKING

from s2h.corpora.corpus_shards import shard_entries, write_shard
from s2h.jobs import run_job
from s2h.logs import Progress

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the shard."""
    shard, shards = int(snakemake.wildcards.shard), snakemake.params.shards
    title = f"make corpus shard, {snakemake.wildcards.corpus}, shard {snakemake.wildcards.shard}"
    write_shard(
        snakemake.output[0],
        index=snakemake.input.index,
        pack=snakemake.input.pack,
        shard=shard,
        shards=shards,
        progress=Progress(title, shard_entries(snakemake.input.index, shard, shards)),
    )


if __name__ == "__main__":
    run_job(snakemake, main)
