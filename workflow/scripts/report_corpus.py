"""Report on a corpus; fails where too little of it is good."""

from typing import TYPE_CHECKING

from s2h.corpora.report import write_report
from s2h.corpora.shards import read_findings
from s2h.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the report."""
    write_report(
        snakemake.wildcards.corpus,
        map(read_findings, snakemake.input.shards),
        kept_at_least=snakemake.params.kept_at_least,
        json_path=snakemake.output.json,
        markdown_path=snakemake.output.markdown,
    )


if __name__ == "__main__":
    run_job(snakemake, main)
