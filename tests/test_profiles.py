"""The default profile steps back when a command asks for another one, and for no other word."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2h.profiles import asks_for_another, refuse_broken_configs


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


@pytest.mark.parametrize(
    "words", ["--configfile {0} {1}", "--configfiles={0} -n", "-j1 --cores 2 --configfile {1} {0} -n"]
)
def test_files_are_read_before_snakemake_reads_them(words: str, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("seed: 1\n")
    bad.write_text("seed: 1\nresults: a\nseed: 2\n")
    command = ["snakemake", "results/tables/summary.csv", *words.format(bad, good).split()]
    with pytest.raises(SystemExit, match=r"bad\.yaml:3:1: the key 'seed' is given twice, in lines 1 and 3"):
        refuse_broken_configs(command)
    refuse_broken_configs([word.replace("bad", "good") for word in command])


def test_all_that_cannot_be_read_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        refuse_broken_configs(["snakemake", "--configfile", "no.yaml", str(tmp_path), "--config", "results", "a=1"])
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "there is no file no.yaml",
        f"{tmp_path} is a folder",
        "--config results",
    ]
