"""How long Snakemake thinks, at the paper's scale: a plan from nothing, and a run where all is done.

    python -m benchmarks.plan

The workflow is that of config/paper.yaml with smaller shards, so that it has about 2,000 jobs. Its files are made
empty and touched through Snakemake, which records each job as done; nothing is computed. The yardstick is a workflow
of as many jobs with nothing to it, timed in the same run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.shipped import ROOT

STUDY = ["--config", "results=results", "shard_size={train: 1400, eval: 100}", "--configfile", "config/paper.yaml"]
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


def snakemake(folder: Path, *words: str) -> tuple[float, str]:
    """Run Snakemake in a folder: seconds, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    start = time.perf_counter()
    run = subprocess.run(["snakemake", *words], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - start, run.stdout + run.stderr


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


def measure(folder: Path, *words: str) -> tuple[int, float, float]:
    """Jobs of a workflow, seconds of its first plan, seconds of a run where all is done."""
    jobs = len(re.findall(r"^\s+jobid: |^Job \d", snakemake(folder, "-n", *words)[1], re.MULTILINE))
    plan = snakemake(folder, *words, "-n", "--quiet", "all")[0]
    make_done(folder, *words)
    seconds, printed = snakemake(folder, *words)
    assert "Nothing to be done" in printed, printed[-2000:]
    return jobs, plan, seconds


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        study, bare = Path(name) / "study", Path(name) / "bare"
        for part in ("Snakefile", "rules", "workflow", "config", "profiles", "envs", "src"):
            source = ROOT / part
            study.mkdir(exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, study / part)
        paper = measure(study, "results/tables/summary.csv", *STUDY)
        bare.mkdir()
        (bare / "Snakefile").write_text(YARDSTICK.format(pairs=paper[0] // 2))
        yardstick = measure(bare, "--cores", "1")
    print("| workflow | jobs | first plan, s | plan with nothing to do, s |")
    print("| --- | --: | --: | --: |")
    for title, (jobs, plan, done) in (("config/paper.yaml, smaller shards", paper), ("as many empty jobs", yardstick)):
        print(f"| {title} | {jobs:,} | {plan:.1f} | {done:.1f} |")


if __name__ == "__main__":
    main()
