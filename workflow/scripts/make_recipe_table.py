"""Write what each recipe holds at each budget."""

from typing import TYPE_CHECKING

from s2h.analysis.recipes import RecipeStudy, write_recipe_tables
from s2h.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Unpack the rule and write its files."""
    params = snakemake.params
    write_recipe_tables(
        [RecipeStudy.of(**values) for values in params.studies],
        params.budgets,
        dict(snakemake.output.items()),
        recipe_titles=params.recipe_titles,
        task_titles=params.task_titles,
    )


if __name__ == "__main__":
    run_job(snakemake, main)
