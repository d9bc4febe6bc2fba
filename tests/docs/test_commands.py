"""Every command of the documentation works, or is listed with what proves it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.commands import BY_HAND, ELSEWHERE, RUN, all_commands, commands_of, write_own_config
from tests.shipped import ROOT

COPIED = ("Snakefile", "rules", "workflow", "config", "profiles", "slurm", "envs", "src", "pyproject.toml")
COMMANDS = all_commands()
PLANNED = {command.words.removesuffix(" -n"): command for command in COMMANDS if command.proof == "planned"}
"""What is planned, once for the same command with and without ``-n``."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which nothing was made yet."""
    project = tmp_path_factory.mktemp("project")
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, project / name)
    return project


def run(project: Path, words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(words, shell=True, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done


def test_commands_are_found_in_blocks() -> None:
    marked = "```sh\na b \\\n  c  # why\n# only words\n\n```\n"
    page = f"{marked}\n```\nsnakemake x\nsome output\n```\n\n```python\nmake y\n```\n"
    assert commands_of(page) == ["a b c", "snakemake x"]
    assert len(COMMANDS) > 40


def test_every_command_is_proved() -> None:
    assert not [(command.page, command.words) for command in COMMANDS if not command.proof]


def test_every_command_of_the_lists_is_in_a_page() -> None:
    assert {*RUN, *ELSEWHERE, *BY_HAND} <= {command.words for command in COMMANDS}


@pytest.mark.parametrize("proof", sorted(set(ELSEWHERE.values())))
def test_what_proves_a_command_exists(proof: str) -> None:
    path, _, test = proof.partition("::")
    assert not test or f"def {test}(" in (ROOT / path).read_text()
    assert test or "make test" in (ROOT / path).read_text()


@pytest.mark.parametrize("words", PLANNED)
def test_snakemake_s_commands_have_a_plan(project: Path, words: str) -> None:
    command = PLANNED[words]
    write_own_config(project, command.page)
    target, _, options = words.partition(" --")
    plan = f"{target} -n --quiet all --nolock" + (f" --{options}" if options else "")
    run(project, plan)


@pytest.mark.parametrize("words", RUN)
def test_short_commands_run(project: Path, words: str) -> None:
    assert run(project, words).stdout
