"""What is asked of SLURM before the first job, and read from its logs after the last, with a sbatch that answers alike.

``tests/cluster`` asks a real one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s2h.plan.slurm_checks import refuse_what_slurm_refuses, say_why_slurm_killed
from tests.shipped import ROOT

SBATCH = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/asked"
case "$*" in
  *--partition=gpux*)
    echo 'sbatch: error: invalid partition specified: gpux' >&2
    echo 'allocation failure: Invalid partition name specified' >&2; exit 1;;
  *--qos=long*)
    echo 'allocation failure: Invalid qos specification' >&2; exit 1;;
  *--account=nobody*)
    echo 'allocation failure: Invalid account or account/partition combination specified' >&2; exit 1;;
  *--partition=drained*)
    echo 'allocation failure: Requested node configuration is not available' >&2; exit 1;;
  *--test-only*)
    echo 'sbatch: Job 1 to start at 2026-11-27T20:20:35 using 1 processors on nodes node1 in partition cpu' >&2;;
  *)
    echo 12;;
esac
"""
"""It answers with the words of SLURM 22.05, and notes what it was asked."""


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the fake ``sbatch`` on the PATH notes its words."""
    program = tmp_path / "bin/sbatch"
    program.parent.mkdir()
    program.write_text(SBATCH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program.with_name("asked")


def workflow(*jobs: tuple[str, dict[str, Any]], executor: str = "slurm", **settings: Any) -> Any:
    """A workflow as Snakemake has it before its first job."""
    planned = [
        SimpleNamespace(rule=SimpleNamespace(name=name), resources=resources, is_local=resources.get("local", False))
        for name, resources in jobs
    ]
    return SimpleNamespace(
        executor_plugin=SimpleNamespace(name=executor),
        executor_settings=SimpleNamespace(**{"qos": None, "reservation": None, "logdir": None} | settings),
        dag=SimpleNamespace(needrun_jobs=lambda: iter(planned)),
    )


WRONG = {
    "partition": ({"slurm_partition": "gpux"}, {}, "--partition=gpux", "invalid partition specified: gpux"),
    "account": ({"slurm_account": "nobody, other"}, {}, "--account=nobody", "Invalid account or account/partition"),
    "qos": ({"qos": "long"}, {}, "--qos=long", "Invalid qos specification"),
    "qos of the command line": ({}, {"qos": "long"}, "--qos=long", "Invalid qos specification"),
    "qos among other options": ({"slurm_extra": "'--qos=long'"}, {}, "--qos=long", "Invalid qos specification"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.usefixtures("sbatch")
def test_what_slurm_does_not_know_is_refused_with_its_words(name: str) -> None:
    resources, settings, option, words = WRONG[name]
    with pytest.raises(SystemExit) as refused:
        refuse_what_slurm_refuses(workflow(("make_table", {}), ("train_phase", resources), **settings))
    told = str(refused.value)
    assert f"train_phase ({option})" in told
    assert words in told
    assert "nothing was submitted" in told
    assert "profiles/slurm/config.yaml" in told


def test_sbatch_is_asked_once_for_all_jobs_that_ask_for_the_same(
    sbatch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu = {"slurm_partition": "gpu", "constraint": "h100"}
    jobs = [("make_puzzles", {"slurm_partition": "cpu"})] * 9 + [("train_phase", gpu), ("decode_predictions", gpu)]
    refuse_what_slurm_refuses(workflow(*jobs, ("fetch_model", {"local": True, "slurm_partition": "gpux"})))
    assert sbatch.read_text().splitlines() == [
        "--test-only --partition=cpu --wrap true",
        "--test-only --partition=gpu --constraint=h100 --wrap true",
    ]
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("sbatch")
def test_what_may_pass_is_said_and_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """SLURM answers so where all nodes are drained; it would queue the job."""
    refuse_what_slurm_refuses(workflow(("train_phase", {"slurm_partition": "drained"})))
    assert "may not run the jobs of train_phase (--partition=drained) now: allocation" in capsys.readouterr().err


def test_other_executors_ask_nobody(sbatch: Path) -> None:
    refuse_what_slurm_refuses(workflow(("train_phase", {"slurm_partition": "gpux"}), executor="local"))
    assert not sbatch.exists()


def test_without_sbatch_the_machine_is_the_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SystemExit, match="there is no sbatch here: run Snakemake on a login node"):
        refuse_what_slurm_refuses(workflow(("train_phase", {})))


def test_the_profile_is_checked_before_the_first_submission(sbatch: Path) -> None:
    """The real Snakemake, profile and plugin, with the first edit that a user makes."""
    command = [sys.executable, "-m", "snakemake", "results/validation/grid_navigation.json", "--profile"]
    command += [str(ROOT / "profiles/slurm"), "--configfile", str(ROOT / "config/smoke.yaml")]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--default-resources", "slurm_partition=gpux"]
    folder = sbatch.parents[1]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "s2h: SLURM refuses the jobs of check_puzzles, make_puzzles, validate_puzzles (--part" in done.stderr
    assert "sbatch: error: invalid partition specified: gpux" in done.stderr
    assert "Traceback" not in done.stderr
    assert sbatch.read_text() == "--test-only --partition=gpux --wrap true\n"
    assert not list((folder / ".snakemake/locks").glob("*"))


REASONS = {
    "slurmstepd: error: *** JOB 9 ON node2 CANCELLED AT 2026-11-27T20:22:05 DUE TO TIME LIMIT ***": "time limit (run",
    "slurmstepd: error: StepId=8.batch exceeded memory limit (326565888 > 104857600), being killed": "memory than it",
    "slurmstepd: error: Detected 1 oom_kill event in StepId=8.batch. Some of the step tasks": "memory than it asked",
    "srun: error: node1: task 0: Out Of Memory": "memory than it asked for (mem_mb",
    "slurmstepd: error: *** JOB 9 ON node2 CANCELLED AT 2026-11-27T20:22:05 DUE TO NODE FAILURE ***": "its node failed",
}


@pytest.mark.parametrize("line", REASONS)
def test_why_slurm_ended_a_job_is_read_from_its_log(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in {
        "rule_train_phase/mix/9.log": f"step 1\n{line}\n",
        "rule_make_table/10.log": "KeyError\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    old = tmp_path / "rule_train_phase/mix/3.log"
    old.write_text(line)
    os.utime(old, (1, 1))
    say_why_slurm_killed(workflow(logdir=str(tmp_path)))
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("s2h: SLURM ended the job 9 (train_phase): ")
    assert REASONS[line] in told
    assert told.endswith(f"its log: {tmp_path}/rule_train_phase/mix/9.log")
