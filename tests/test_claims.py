"""GPUs that jobs have to themselves: real processes, and a real Snakemake, on a machine that pretends to have some."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from s2h.claims import claimed_gpus
from s2h.errors import ModelError
from tests.shipped import ROOT

JOB = """
import os, sys, time
from s2h.claims import claimed_gpus
with claimed_gpus(int(sys.argv[1])):
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""
"""Claims, says what it has, and keeps it until its input is closed."""


class Job:
    """A process that claims GPUs."""

    def __init__(self, number: int, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", JOB, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def has(self) -> str:
        """What it has, when it has it."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def waits(self) -> bool:
        """Whether it says that it waits, when it says so."""
        assert self.process.stderr is not None
        return "other jobs use the GPUs" in self.process.stderr.readline()

    def end(self) -> None:
        self.process.communicate()


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Three GPUs, and nobody else's claims."""
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("S2H_FAKE_GPUS", "3")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_jobs_have_different_gpus_and_wait_until_enough_are_free() -> None:
    one, two = Job(1), Job(1)
    assert {one.has(), two.has()} == {"0", "1"}
    waiting = Job(2)
    assert waiting.waits()
    one.process.send_signal(signal.SIGKILL)  # a killed job keeps nothing
    freed = {"0", "1", "2"}
    assert set(waiting.has().split(",")) < freed
    for job in (one, two, waiting):
        job.end()
    last = Job(3)
    assert last.has() == "0,1,2"
    last.end()


def test_jobs_take_of_what_they_may_see() -> None:
    second = Job(1, CUDA_VISIBLE_DEVICES="1,2")
    assert second.has() == "1"
    third = Job(1, CUDA_VISIBLE_DEVICES="1,2")
    assert third.has() == "2"
    second.end()
    third.end()


def test_the_gpus_of_a_slurm_job_are_its_own_whatever_their_numbers() -> None:
    here, there = (Job(2, CUDA_VISIBLE_DEVICES="0,1", SLURM_JOB_ID=number) for number in ("7", "8"))
    assert (here.has(), there.has()) == ("0,1", "0,1")
    here.end()
    there.end()


def test_a_job_without_gpus_sees_none_and_what_was_there_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with claimed_gpus(0):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with claimed_gpus(1):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_more_than_there_are_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="4 GPUs were asked for, but 3 can be used"), claimed_gpus(4):
        pass
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    told = r"2 GPUs were asked for, but 1 can be used: .*CUDA_VISIBLE_DEVICES is 0\. "
    with pytest.raises(ModelError, match=told), claimed_gpus(2):
        pass


def test_gpus_that_are_there_and_cannot_be_used_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2h.claims.fake_gpus", lambda: 0)
    monkeypatch.setattr("s2h.claims.usable_gpus", lambda: 1)
    monkeypatch.setattr("s2h.claims._folder", lambda: Path(os.environ["TMPDIR"]))
    with pytest.raises(ModelError, match="2 GPUs were asked for, but 1 can be used"), claimed_gpus(2):
        pass


SNAKEFILE = """
rule all:
    input: expand("results/{n}", n=range(4))
rule compute:
    output: "results/{n}"
    log: "results/logs/{n}"
    resources: gpus=1
    script: "compute.py"
"""
COMPUTE = """
import os, time
from s2h.jobs import run_job
def main():
    began = time.time()
    time.sleep(2)
    with open(snakemake.output[0], "w") as file:
        print(os.environ["CUDA_VISIBLE_DEVICES"], began, time.time(), file=file)
run_job(snakemake, main)
"""


def test_snakemake_s_jobs_share_a_machine(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four jobs, two GPUs, one of which another workflow's job has for a while."""
    monkeypatch.setenv("S2H_FAKE_GPUS", "2")
    shutil.copytree(ROOT / "profiles", machine / "profiles")
    (machine / "Snakefile").write_text(SNAKEFILE)
    (machine / "compute.py").write_text(COMPUTE)
    other = Job(1)
    assert other.has() == "0"
    command = [sys.executable, "-m", "snakemake", "--cores", "4"]
    with (machine / "printed").open("w") as printed:
        workflow = subprocess.Popen(command, cwd=machine, stdout=printed, stderr=printed)
    while not list(machine.glob("results/?")):
        assert workflow.poll() is None, (machine / "printed").read_text()
        time.sleep(0.1)
    other.end()
    assert workflow.wait(120) == 0, (machine / "printed").read_text()
    told = [(machine / f"results/{number}").read_text().split() for number in range(4)]
    spans = sorted((gpu, float(began), float(ended)) for gpu, began, ended in told)
    assert {gpu for gpu, _, _ in spans} == {"0", "1"}
    for (gpu, _, ended), (following, began, _) in pairwise(spans):
        assert gpu != following or ended <= began
    assert re.search(r"Provided resources: .*gpus.*2", (machine / "printed").read_text())
