"""What is added by the letter of the guides leaves the tests green: a task, a recipe, a model, a table and a figure.

The pieces are those of docs/add-a-task.md, docs/add-a-table.md, docs/recipes.md and docs/add-a-model.md; every edit
that a guide names is done to a copy of the project, and no other.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.shipped import ROOT, copy_project

ENUMERATING = (
    "tests/test_config.py",
    "tests/test_registry.py",
    "tests/test_readme.py",
    "tests/analysis/test_published.py",
    "tests/analysis/test_scores.py",
    "tests/contracts",
    "tests/diagnosis/test_contract.py",
    "tests/diagnosis/test_diagnoser_registry.py",
    "tests/docs/test_pages.py",
    "tests/docs/test_recipes.py",
    "tests/docs/test_tasks.py",
    "tests/provenance/test_code.py",
    "tests/supervision/test_recipes.py",
    "tests/validation/test_checkers.py",
)
"""Tests that know all names that are registered or shipped."""
CONTRACTS = ("tests/analysis/test_tables.py", "tests/analysis/test_scripts.py", "tests/figures/test_contracts.py")
"""What every table and every figure owes."""


def blocks(page: str, kind: str) -> list[str]:
    """The blocks of a page in one language."""
    found: list[str] = re.findall(rf"^```{kind}\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    return found


def one_more_line(path: Path, line: str) -> None:
    """Put a line, which calls something, behind the last one that calls the same."""
    lines = path.read_text().split("\n")
    last = max(at for at, each in enumerate(lines) if each.startswith(line.partition("(")[0]))
    path.write_text("\n".join([*lines[: last + 1], line.rstrip("\n"), *lines[last + 1 :]]))


def add_task(project: Path) -> None:
    module, line, *_ = blocks("docs/add-a-task.md", "python")
    (project / "src/s2h/puzzles/dot_counting.py").write_text(module)
    one_more_line(project / "src/s2h/puzzles/task_registry.py", line)
    config = project / "config/config.yaml"
    config.write_text(config.read_text().replace("\ntasks:\n", f"\ntasks:\n{blocks('docs/add-a-task.md', 'yaml')[0]}"))


def add_recipe(project: Path) -> None:
    (block,) = blocks("docs/recipes.md", "yaml")
    entry = block.partition("recipes:\n")[2].partition("\nruns:")[0]
    recipes = project / "config/recipes.yaml"
    recipes.write_text(f"{recipes.read_text()}\n{entry}")


def add_model(project: Path) -> None:
    models = yaml.safe_load(blocks("docs/add-a-model.md", "yaml")[0])["models"]
    config = project / "config/config.yaml"
    config.write_text(config.read_text().replace("\nmodels:\n", f"\nmodels:\n  mine: {json.dumps(models['mine'])}\n"))


def add_table_and_figure(project: Path) -> None:
    table, table_line, figure, figure_line = blocks("docs/add-a-table.md", "python")
    (project / "src/s2h/analysis/lengths.py").write_text(table)
    one_more_line(project / "src/s2h/analysis/table_registry.py", table_line)
    (project / "src/s2h/figures/lengths.py").write_text(figure)
    one_more_line(project / "src/s2h/figures/figure_registry.py", figure_line)
    metrics = project / "docs/metrics.md"
    (row,) = blocks("docs/add-a-table.md", "text")
    metrics.write_text(metrics.read_text().replace("| `recipes.csv` |", f"{row}| `recipes.csv` |"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to which all of it was added."""
    project = tmp_path_factory.mktemp("project")
    pages = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "LICENSE")
    copy_project(project, "tests", "docs", "benchmarks", *pages)
    for add in (add_task, add_recipe, add_model, add_table_and_figure):
        add(project)
    run(project, sys.executable, "-m", "docs")
    return project


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def pytest_passes(project: Path, *words: str) -> int:
    """How many tests pass, all that were chosen."""
    done = run(project, sys.executable, "-m", "pytest", *words, "-q", "-p", "no:cacheprovider")
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    return int(passed[1])


@pytest.mark.slow
def test_the_task_keeps_its_contracts_and_the_names_are_nowhere_pinned(project: Path) -> None:
    without = " and ".join(f"not {word}-" for word in ("readout", "navigation", "analogy"))
    assert pytest_passes(project, *ENUMERATING, "-k", without) > 150


@pytest.mark.slow
def test_a_table_and_a_figure_keep_their_contracts(project: Path) -> None:
    assert pytest_passes(project, *CONTRACTS, "-k", "lengths") > 20


def test_the_pages_show_what_was_added(project: Path) -> None:
    schema = json.loads((project / "config/schema.json").read_text())
    assert "dot_counting" in schema["$defs"]["TasksSettings"]["properties"]
    assert "## Dot Counting\n\nCount the black dots of a row." in (project / "docs/tasks.md").read_text()
    assert (project / "docs/images/dot_counting-default-hard.png").is_file()
    assert "| `read_first_mix` | Transcription first, then Mix |" in (project / "docs/recipes.md").read_text()
    metrics = (project / "docs/metrics.md").read_text()
    assert "\nlengths: task, trained_on, recipe, budget, model, seed, level, modality, n, tokens\n" in metrics
    assert "| Dot Counting | compact | HARD | right | 100 | 100 |" in metrics


def test_the_task_is_made_checked_and_described(project: Path) -> None:
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


def test_all_of_it_has_a_plan(project: Path) -> None:
    runs = "{tasks: [dot_counting], recipes: [read_first_mix], budgets: [600], models: [tiny, mine], seeds: [0]}"
    targets = ["results/tables/lengths.csv", "results/figures/lengths.svg"]
    done = run(project, "snakemake", "-n", *targets, "--config", f"runs=[{runs}]")
    for job in ("train read_first_mix on dot_counting", "write results/tables/lengths", "draw results/figures/lengths"):
        assert job in done.stdout + done.stderr


@pytest.mark.slow
def test_the_modules_of_the_guides_are_clean(project: Path) -> None:
    modules = [f"src/s2h/{name}.py" for name in ("puzzles/dot_counting", "analysis/lengths", "figures/lengths")]
    run(project, "ruff", "format", "--check", *modules)
    run(project, "ruff", "check", "--config", "pyproject.toml", *modules)
    run(project, "mypy", *modules)
