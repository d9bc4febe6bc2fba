"""What Snakemake's own work costs: a plan from nothing, and a run where all is done.

    python -m benchmarks.plan

The workflows are the default study, config/paper.yaml, and the same with smaller shards, so that it has about 2,000
jobs. Their files are made empty and touched through Snakemake, which records each job as done; nothing is computed.
The yardstick is a workflow of as many jobs with nothing to it, measured in the same run.

Every job of a cluster plans too, in a process of its own: processor time counts once more for each, and the memory is
a part of what a job asks for.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.shipped import ROOT

PAPER = ["--config", "results=results", "--configfile", "config/paper.yaml"]
SMALL_SHARDS = ["--config", "results=results", "shard_size={train: 1400, eval: 100}", *PAPER[2:]]
FOLDERS = ("models/", "base_models/", "hub/")
YARDSTICK = """
rule all:
    input: [f"b/{{i}}" for i in range({pairs})]
rule make:
    output: "a/{{i}}"
    shell: "echo {{output}}"
rule check:
    input: "a/{{i}}"
    output: "b/{{i}}"
    shell: "echo {{output}}"
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """Of a process that has ended.

    Attributes:
        seconds: by the clock.
        cpu_seconds: of processors, user and system, in it and its own children.
        memory_mb: the most that it held at once.
    """

    seconds: float
    cpu_seconds: float
    memory_mb: float

    def cells(self) -> str:
        """As cells of the table."""
        return f"{self.seconds:.1f} | {self.cpu_seconds:.1f} | {self.memory_mb:.0f}"


def snakemake(folder: Path, *words: str) -> tuple[Cost, str]:
    """Run Snakemake in a folder: what it cost, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "S2H_FAKE_GPUS": "8"}
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            ["snakemake", *words], cwd=folder, env=environment, stdout=printed, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        printed.seek(0)
        text = printed.read()
    if process.returncode:
        raise SystemExit(f"snakemake {' '.join(words)} ended with {process.returncode}:\n{text[-2000:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), text


def make_done(folder: Path, *words: str) -> int:
    """Have every file of a workflow there, and every job recorded as done; returns the number of files."""
    table = snakemake(folder, "--summary", *words)[1].splitlines()
    head = next(i for i, line in enumerate(table) if line.startswith("output_file"))
    paths = [folder / line.split("\t")[0] for line in table[head + 1 :] if "\t" in line]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if str(path.relative_to(folder)).removeprefix("results/").startswith(FOLDERS):
            path.mkdir(exist_ok=True)
        else:
            path.touch()
    snakemake(folder, "--touch", *words)
    return len(paths)


def measure(folder: Path, *words: str) -> tuple[int, Cost, Cost]:
    """Jobs of a workflow, the cost of its first plan, and of a run where all is done."""
    jobs = len(re.findall(r"^\s+jobid: |^Job \d", snakemake(folder, "-n", *words)[1], re.MULTILINE))
    plan = snakemake(folder, *words, "-n", "--quiet", "all")[0]
    make_done(folder, *words)
    done, printed = snakemake(folder, *words)
    if "Nothing to be done" not in printed:
        raise SystemExit(f"there is something to be done:\n{printed[-2000:]}")
    return jobs, plan, done


def measure_project(folder: Path, *words: str) -> tuple[int, Cost, Cost]:
    """``measure`` a study in a copy of the project without results."""
    for part in ("Snakefile", "rules", "workflow", "config", "profiles", "envs", "src"):
        source = ROOT / part
        folder.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / part)
    return measure(folder, *words)


def main() -> None:
    """Print the table."""
    print("| workflow | jobs | first plan, s | CPU s | MB | nothing to do, s | CPU s | MB |")
    print("| --- | --: | --: | --: | --: | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as name:
        study, bare = Path(name) / "study", Path(name) / "bare"
        ours = {
            "the default": measure_project(study / "default"),
            "config/paper.yaml": measure_project(study / "paper", *PAPER),
            "the same, smaller shards": measure_project(study / "shards", "results/tables/summary.csv", *SMALL_SHARDS),
        }
        bare.mkdir()
        (bare / "Snakefile").write_text(YARDSTICK.format(pairs=max(jobs for jobs, *_ in ours.values()) // 2))
        for title, (jobs, plan, done) in {**ours, "as many empty jobs": measure(bare, "--cores", "1")}.items():
            print(f"| {title} | {jobs:,} | {plan.cells()} | {done.cells()} |")


if __name__ == "__main__":
    main()
