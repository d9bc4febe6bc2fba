"""Write a mixture in the forms that other trainers read."""

from typing import TYPE_CHECKING

from s2h.files import atomic_folder
from s2h.jobs import run_job
from s2h.publishing.exports import export_mixture

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write the folder."""
    with atomic_folder(snakemake.output[0]) as folder:
        export_mixture(snakemake.input[0], folder)


if __name__ == "__main__":
    run_job(snakemake, main)
