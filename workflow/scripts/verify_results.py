"""Read all results again and compare them with their records."""

from typing import TYPE_CHECKING

from s2h.logs import job_log
from s2h.provenance.lineage import report

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and say what was found."""
    print("\n".join(report(snakemake.params.results)))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main()
