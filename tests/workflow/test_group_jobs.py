"""The members of a cluster's group job, run as its Snakemake process runs them; SLURM itself is not needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.shipped import copy_project

MEMBERS = [("SIMPLE", "00000"), ("SIMPLE", "00001"), ("HARD", "00000")]
FILES = [
    f"results/{kind}/visual_analogy/{level}/train/shard-{shard}.parquet"
    for kind in ("puzzles", "checks")
    for level, shard in MEMBERS
]
STUDY = ["--configfile", "config/smoke.yaml", "--config", "shard_size={train: 12, eval: 8}"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    copy_project(tmp_path)
    return tmp_path


def group_job(project: Path, *, cpus: int) -> subprocess.Popen[str]:
    """Start what the SLURM plugin starts in the job of a group of six members, with no srun to be found."""
    targets = [
        f"{rule}:task=visual_analogy,level={level},split=train,shard={shard}"
        for level, shard in MEMBERS
        for rule in ("make_puzzles", "check_puzzles")
    ]
    words = ["--target-jobs", *targets, "--allowed-rules", "make_puzzles", "check_puzzles", "--local-groupid", "g"]
    words += ["--cores", "all", "--attempt", "1", "--force", "--retries", "0", "--nocolor", "--no-hooks", "--nolock"]
    words += ["--ignore-incomplete", "--rerun-triggers", "mtime", "params", *STUDY]
    words += ["--executor", "slurm-jobstep", "--jobs", "1", "--mode", "remote"]
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src"), "SLURM_CPUS_ON_NODE": str(cpus), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(job: subprocess.Popen[str]) -> list[int]:
    """Wait for a group job that succeeds; how many members it started at once, time after time."""
    printed, _ = job.communicate(timeout=240)
    assert job.returncode == 0, printed[-3000:]
    return [int(number) for number in re.findall(r"Execute (\d+) jobs", printed)]


def test_members_run_side_by_side_on_the_cpus_of_the_job_and_write_the_same_bytes(project: Path) -> None:
    written = []
    for cpus in (1, 3):
        shutil.rmtree(project / "results", ignore_errors=True)
        started = finished(group_job(project, cpus=cpus))
        assert sum(started) == 6
        assert max(started) == cpus
        written.append([(project / file).read_bytes() for file in FILES])
    assert written[0] == written[1]


def test_members_that_had_finished_when_the_job_was_killed_are_not_made_again(project: Path) -> None:
    job = group_job(project, cpus=1)
    assert job.stdout is not None
    assert any("Finished jobid" in line for line in job.stdout)  # reads until there is such a line
    done = [file for file in FILES if _is_whole(project, file)]
    os.killpg(job.pid, 9)
    job.wait()
    assert 0 < len(done) < len(FILES)
    ages = [(project / file).stat().st_mtime_ns for file in done]
    subprocess.run(
        ["snakemake", *FILES, "--cores", "2", "--nolock", *STUDY],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        capture_output=True,
        check=True,
    )
    assert [(project / file).stat().st_mtime_ns for file in done] == ages
    assert all(_is_whole(project, file) for file in FILES)


def _is_whole(project: Path, file: str) -> bool:
    record = project / file.replace("results/", "results/provenance/", 1)
    record = record.with_name(f"{record.name}.json")
    return record.exists() and record.stat().st_size > 0


def test_a_study_of_one_run_takes_few_jobs_of_a_cluster(project: Path) -> None:
    run = {"tasks": ["grid_navigation"], "recipes": ["mix"], "budgets": [48], "models": ["tiny"]}
    (project / "config/one.yaml").write_text(yaml.safe_dump({"runs": [run]}))
    planned = subprocess.run(
        ["snakemake", "-n", "--profile", "slurm", "--configfile", "config/smoke.yaml", "config/one.yaml"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    printed = planned.stdout + planned.stderr
    groups = sorted(re.findall(r"Group job (\w+)", printed))
    alone = re.findall(r"^Job \d+: (\w+)", printed, re.MULTILINE)  # members of groups are indented
    assert groups == ["report", "scores", "sets", "sets", "shards"]
    assert sorted(alone) == ["decode", "measure", "train"]
