"""Imports go downward only, and the core imports no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from s2h.provenance.code import imported_modules
from tests.shipped import ROOT

SOURCES = sorted((ROOT / "src/s2h").rglob("*.py"))


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_the_package_never_imports_snakemake() -> None:
    assert not [path for path in SOURCES if any(name.split(".")[0] == "snakemake" for name in imported(path))]


def test_one_module_touches_vlmeval() -> None:
    users = [path.name for path in SOURCES if any(name.split(".")[0] == "vlmeval" for name in imported(path))]
    assert users == ["vlmevalkit.py"]


def test_nothing_but_the_command_imports_its_verbs() -> None:
    users = {path for path in SOURCES if any(name.startswith("s2h.cli") for name in imported(path))}
    users -= set((ROOT / "src/s2h/cli").glob("*_command.py"))  # verbs share options
    assert users == {ROOT / "src/s2h/__main__.py", ROOT / "src/s2h/cli/app.py"}


def test_puzzles_and_supervision_know_nothing_of_training_and_scoring() -> None:
    for path in SOURCES:
        if path.parent.name in ("puzzles", "supervision"):
            above = {"s2h.training", "s2h.tokenisation", "s2h.scoring", "s2h.analysis", "s2h.models", "s2h.config"}
            assert not [name for name in imported(path) if ".".join(name.split(".")[:2]) in above], path


@pytest.mark.parametrize("package", ["tokenisation", "analysis", "figures", "publishing", "scoring", "corpora"])
def test_nothing_that_tokenises_scores_or_shows_reaches_the_training(package: str) -> None:
    for path in (ROOT / "src/s2h" / package).rglob("*.py"):
        module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        assert not [name for name in imported_modules(module) if name.startswith("s2h.training")], module


@pytest.mark.parametrize(
    "modules",
    ["s2h.config, s2h.supervision.mixture, s2h.puzzles.shards", "s2h.tokenisation.lengths, s2h.analysis.recipes"],
)
def test_config_puzzles_and_tables_load_without_torch(modules: str) -> None:
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_scripts_are_thin_and_have_no_branches() -> None:
    for path in (ROOT / "workflow/scripts").glob("*.py"):
        tree = ast.parse(path.read_text())
        main = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
        assert main.end_lineno is not None
        assert main.end_lineno - main.lineno < 30, path
        branches = (ast.If, ast.For, ast.While, ast.Try)
        assert not [node for node in ast.walk(main) if isinstance(node, branches)], path
