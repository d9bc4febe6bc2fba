"""A new task is one module, one line and one entry in the config: the guide's own pieces, put in place and run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shipped import ROOT, copy_project

GUIDE = (ROOT / "docs/add-a-task.md").read_text()


def block(kind: str, number: int = 0) -> str:
    return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)[number]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to which the guide's task was added."""
    project = tmp_path_factory.mktemp("project")
    copy_project(project, "tests", "docs")
    (project / "src/s2h/puzzles/dot_counting.py").write_text(block("python"))
    registry = project / "src/s2h/puzzles/task_registry.py"
    lines = registry.read_text().split("\n")
    last = max(i for i, line in enumerate(lines) if line.startswith("TASKS.add"))
    registry.write_text("\n".join([*lines[: last + 1], block("python", 1), *lines[last + 1 :]]))
    config = project / "config/config.yaml"
    config.write_text(config.read_text().replace("\ntasks:\n", f"\ntasks:\n{block('yaml')}"))
    return project


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def test_it_passes_the_contract_tests(project: Path) -> None:
    tests = ["tests/contracts", "tests/diagnosis", "tests/validation/test_checkers.py", "-k", "dot_counting"]
    done = run(project, sys.executable, "-m", "pytest", *tests, "-q", "-p", "no:cacheprovider")
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 40


def test_it_is_made_checked_and_shown(project: Path) -> None:
    small = "shard_size={train: 1000, eval: 100}"
    targets = ["results/validation/dot_counting.json", "results/puzzles/dot_counting/README.md"]
    run(project, "snakemake", *targets, "--config", small)
    reports = json.loads((project / "results/validation/dot_counting.json").read_text())
    assert [(r["level"], r["split"], r["puzzles"], r["failures"], r["overlap"]) for r in reports] == [
        ("SIMPLE", "train", 1000, 0, 0),
        ("SIMPLE", "eval", 100, 0, 0),
        ("HARD", "train", 1000, 0, 0),
        ("HARD", "eval", 100, 0, 0),
    ]


def test_it_can_be_trained_on(project: Path) -> None:
    runs = "runs=[{tasks: [dot_counting], recipes: [mix_plus], budgets: [600], models: [tiny], seeds: [0]}]"
    done = run(project, "snakemake", "-n", "--config", runs)
    assert re.search(r"train mix_plus on dot_counting", done.stdout + done.stderr)


def test_the_guide_s_module_is_clean(project: Path) -> None:
    run(project, "ruff", "format", "--check", "src/s2h/puzzles/dot_counting.py")
    run(project, "ruff", "check", "--config", "pyproject.toml", "src/s2h/puzzles/dot_counting.py")
