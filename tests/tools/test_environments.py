"""The environment files are what the lock says, and hold what each kind of work imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from s2h.baselines.baseline_registry import BASELINES
from s2h.diagnosis.diagnoser_registry import DIAGNOSERS
from s2h.errors import DataError
from s2h.provenance.code import imported_modules
from s2h.puzzles.task_registry import TASKS
from s2h.validation.checker_registry import CHECKERS
from tests.shipped import ROOT
from tools.environments import KINDS, Kind, closure, environment_file, locked, pins_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the packages installed elsewhere differ")

RULE = re.compile(r"^rule \w+:.*?(?=^rule |\Z)", re.DOTALL | re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    """Version by package of an environment file, read as conda reads it."""
    dependencies = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())["dependencies"]
    found = [Requirement(line) for line in dependencies[-1]["pip"]]
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in found}


def imports(path: Path) -> set[str]:
    """Names of the modules that a file imports, wherever the import stands."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def modules_run(name: str) -> set[str]:
    """The project's modules that the rules of an environment run, and all that these import."""
    rules = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    mine = "".join(rule for rule in RULE.findall(rules) if f"envs/{name}.yaml" in rule)
    scripts = [ROOT / "workflow/scripts" / script for script in re.findall(r"scripts/(\w+\.py)", mine)]
    started = {f"{module}.__main__" for module in re.findall(r"-m (s2h\.[\w.]*\w)", mine)}
    started |= {module for script in scripts for module in imports(script) if module.startswith("s2h.")}
    by_name = {registry.module(entry) for registry in (TASKS, CHECKERS, BASELINES, DIAGNOSERS) for entry in registry}
    assert started, f"no rule uses envs/{name}.yaml"
    return imported_modules(*started, *by_name)


OF_SOME_JOBS = {"s2h.devices": {"torch"}, "s2h.training.trackers": {"wandb", "mlflow", "trackio"}}
"""What a module imports in some jobs alone: in those that were given GPUs, or trackers to tell."""


def third_party(modules: set[str]) -> set[str]:
    """Packages of which some module imports something, by the name that the lock uses."""
    found = set()
    for module in modules:
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        found |= {name.partition(".")[0] for name in imports(Path(spec.origin))} - OF_SOME_JOBS.get(module, set())
    names = found - set(sys.stdlib_module_names) - {"", "s2h", "snakemake"}
    distributions = packages_distributions()
    return {canonicalize_name(distributions[name][0]) for name in names}


@pytest.mark.parametrize("name", KINDS)
def test_the_committed_files_are_those_that_make_lock_writes(name: str) -> None:
    wanted = environment_file(KINDS[name])
    assert (ROOT / "envs" / f"{name}.yaml").read_text() == wanted, "run: python -m tools.environments"


def test_there_is_no_other_environment() -> None:
    assert {path.name for path in (ROOT / "envs").iterdir()} == {f"{name}.yaml" for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_every_pin_is_the_locks(name: str) -> None:
    lock = locked((ROOT / "requirements.lock").read_text())
    for package, version in pins(name).items():
        assert f"=={version}" in {str(pin.specifier) for pin in lock[package]}, package


def test_the_lock_of_vllm_is_of_the_version_that_the_project_names() -> None:
    text = (ROOT / "requirements-vllm.lock").read_text()
    (wanted,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["vllm"]
    pins = locked(text)
    assert str(pins["vllm"][0]) == wanted, "run: make lock"
    assert {"torch", "transformers"} <= set(pins)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all(
        re.fullmatch(r"\S+==\S+( ; [^\n]+)? (\\\n    --hash=sha256:[0-9a-f]{64} ?)+", entry) for entry in entries
    )


def test_the_kinds_nest() -> None:
    puzzles, training, scoring = (set(pins(name).items()) for name in ("puzzles", "training", "scoring"))
    assert puzzles < training < scoring
    assert "torch" not in dict(puzzles)
    assert {"torch", "deepspeed"} <= set(dict(training))
    assert "ms-vlmeval" in dict(scoring)


@pytest.mark.parametrize("name", KINDS)
def test_what_the_rules_import_is_there(name: str) -> None:
    assert third_party(modules_run(name)) <= set(pins(name))


def test_each_package_has_one_version_in_an_environment() -> None:
    names = [line.partition("==")[0] for line in pins_of(KINDS["scoring"])]
    assert len(names) == len(set(names))


def test_extras_are_followed() -> None:
    assert closure([Requirement("cuda-toolkit")]) == {"cuda-toolkit"}
    assert "nvidia-cublas" in closure([Requirement("cuda-toolkit[cublas]")])


def test_a_package_outside_the_lock_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["pillow"]\n')
    (tmp_path / "requirements.lock").write_text("numpy==1.0 \\\n    --hash=sha256:00\n")
    with pytest.raises(DataError, match=r"pillow is needed but requirements\.lock does not pin it"):
        pins_of(Kind(""), tmp_path)


def test_another_version_than_the_locks_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["pillow"]\n')
    (tmp_path / "requirements.lock").write_text("pillow==1.0 \\\n    --hash=sha256:00\n")
    with pytest.raises(DataError, match=r"is installed, but requirements\.lock has pillow==1\.0"):
        pins_of(Kind(""), tmp_path)


def test_a_package_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(DataError, match="no-such-package is needed but not installed"):
        closure([Requirement("no-such-package")])
