"""The default profile steps back when a command asks for another one, and for no other word."""

from __future__ import annotations

import pytest

from s2h.profiles import asks_for_another


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("snakemake --profile slurm", True),
        ("snakemake --profile=slurm results/tables/summary.csv", True),
        ("snakemake --profile profiles/my_cluster -n", True),
        ("snakemake --executor slurm --jobs 10", True),
        ("snakemake -e slurm-jobstep", True),
        ("snakemake results/tables/summary.csv", False),
        ("snakemake --config results=results/slurm_x", False),
        ("snakemake results/slurm/tables/summary.csv --configfile config/slurm.yaml", False),
        ("snakemake --executor local", False),
        ("snakemake -n", False),
        ("snakemake --workflow-profile profiles/default", False),
    ],
)
def test_only_a_profile_or_an_executor_elsewhere_counts(command: str, answer: bool) -> None:
    assert asks_for_another(command.split()) is answer
