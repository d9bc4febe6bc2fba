"""Report on a corpus; fails where too little of it is good."""

from typing import TYPE_CHECKING

from s2h.corpora.corpus_report import write_report
from s2h.corpora.corpus_shards import read_findings
from s2h.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the report."""
    write_report(
        snakemake.wildcards.corpus,
        map(read_findings, snakemake.input.shards),
        min_kept_fraction=snakemake.params.min_kept_fraction,
        json_path=snakemake.output.json,
        markdown_path=snakemake.output.markdown,
    )


if __name__ == "__main__":
    run_job(snakemake, main)
