"""Write what each recipe holds at each budget."""

from typing import TYPE_CHECKING

from s2h.analysis.recipes import Study, write_recipe_tables
from s2h.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write both files."""
    write_recipe_tables(
        [Study.of(**values) for values in snakemake.params.studies],
        snakemake.params.budgets,
        csv_path=snakemake.output.csv,
        markdown_path=snakemake.output.markdown,
        titles=snakemake.params.titles,
    )


if __name__ == "__main__":
    run_job(snakemake, main)
