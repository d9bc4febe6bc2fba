"""``snakemake --profile slurm`` on a real SLURM: ``python -m pytest -m cluster tests/cluster``.

Not part of the usual tests: it needs root, and SLURM's daemons (Debian: slurmctld slurmd slurm-client munge).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.local_slurm import GPUS, NODES, local_slurm, missing
from tests.shipped import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(missing()), reason=missing())]
COPIED = ("Snakefile", "rules", "workflow", "config", "profiles", "slurm", "envs", "src", "pyproject.toml")
WITHOUT_ACCOUNTING = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "6"]
SETS = [f"results/puzzles/visual_analogy/{level}/eval/shard-00000.parquet" for level in ("SIMPLE", "HARD")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("slurm")
    with local_slurm(folder):
        yield folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The project as a clone has it."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, tmp_path / name)
        else:
            shutil.copy2(source, tmp_path / name, follow_symlinks=False)
    return tmp_path


def snakemake(checkout: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    command = ["snakemake", *words, "--configfile", "config/smoke.yaml"]
    run = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stderr


def test_two_nodes_are_there_and_a_job_sees_the_gpus_that_it_asked_for(cluster: Path) -> None:
    nodes = subprocess.run(
        ["sinfo", "-h", "-N", "-p", "cpu", "-o", "%N %G"], capture_output=True, text=True, check=True
    )
    assert nodes.stdout.split("\n")[:-1] == [f"node{n} gpu:{GPUS}" for n in range(1, NODES + 1)]
    seen = cluster / "seen"
    command = ["sbatch", "--wait", "--gres=gpu:2", f"--output={seen}", "--wrap", "echo $CUDA_VISIBLE_DEVICES"]
    subprocess.run(command, check=True)
    assert seen.read_text() == "0,1\n"


@pytest.mark.usefixtures("cluster")
def test_puzzles_made_through_slurm_are_those_made_here(checkout: Path) -> None:
    printed = snakemake(checkout, "--profile", "slurm", *SETS, *WITHOUT_ACCOUNTING)
    assert printed.count("submitted with SLURM jobid") == len(SETS)
    through_slurm = [(checkout / path).read_bytes() for path in SETS]
    shutil.rmtree(checkout / "results")
    snakemake(checkout, *SETS)
    assert [(checkout / path).read_bytes() for path in SETS] == through_slurm
