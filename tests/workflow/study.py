"""Copies of the project, and a small study in one, for the tests that run Snakemake."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml

from s2h.overlays import merge, read_values
from tests import forked

TASKS = ("consecutive_table_readout", "grid_navigation")
RUNS = [{"tasks": list(TASKS), "recipes": ["align_mix_plus"], "budgets": [48], "models": ["tiny"], "seeds": [0]}]


def configure(study: Path, change: dict[str, object]) -> None:
    """Write the study's config, ``config/small.yaml``, with a change."""
    values = merge(merge(read_values("smoke"), {"runs": RUNS}), change)
    (study / "config/small.yaml").write_text(yaml.safe_dump(values))


def snakemake(study: Path, *words: str, config: str = "small") -> subprocess.CompletedProcess[str]:
    """Run Snakemake with one of the study's configs."""
    words = (*words, "--configfile", f"config/{config}.yaml")
    return forked.python("snakemake", *words, folder=study, environments=[environment(study)])


def run(study: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell with the study's own code."""
    return subprocess.run(
        command, shell=True, cwd=study, env=environment(study), capture_output=True, text=True, check=False
    )


def environment(study: Path) -> dict[str, str]:
    """In which the study's own code is found, and no GPU."""
    return {**os.environ, "PYTHONPATH": str(study / "src"), "CUDA_VISIBLE_DEVICES": ""}
