"""Every command of the documentation works, or is listed with what proves it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from s2h.analysis.table_registry import TABLES
from s2h.figures.figure_registry import FIGURES
from tests.docs.commands import BY_HAND, ELSEWHERE, IN_A_STUDY, RUN, all_commands, commands_of, write_own_config
from tests.shipped import ROOT, copy_project
from tests.workflow.study import run

COMMANDS = all_commands()
PLANNED = {command.words.removesuffix(" -n"): command for command in COMMANDS if command.proof == "planned"}
"""What is planned, once for the same command with and without ``-n``."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which nothing was made yet."""
    project = tmp_path_factory.mktemp("project")
    copy_project(project)
    return project


def succeed(project: Path, words: str) -> str:
    """What a command prints."""
    done = run(project, words)
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def test_commands_are_found_in_blocks() -> None:
    page = "```sh\na b \\\n  c  # why\n# words\n\n```\n\n```\nsnakemake x\nsome output\n```\n\n```python\nmake y\n```\n"
    assert commands_of(page) == ["a b c", "snakemake x"]
    assert len(COMMANDS) > 40


def test_every_command_is_proved() -> None:
    assert not [(command.page, command.words) for command in COMMANDS if not command.proof]


def test_every_command_of_the_lists_is_in_a_page() -> None:
    assert {*RUN, *IN_A_STUDY, *ELSEWHERE, *BY_HAND} <= {command.words for command in COMMANDS}


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
    succeed(project, f"{target} -n --quiet all --nolock" + (f" --{options}" if options else ""))


@pytest.mark.parametrize("words", RUN)
def test_short_commands_run(project: Path, words: str) -> None:
    assert succeed(project, words)


def test_a_reader_s_commands_run_on_a_small_study(finished: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(finished, study, symlinks=True)
    for words in IN_A_STUDY:
        succeed(study, f"{words} --configfile config/small.yaml" if words.startswith("snakemake") else words)
    report = (study / "report.html").read_text()
    assert all(f'"{shown}"' in report for shown in [*(f"{t}.html" for t in TABLES), *(f"{f}.svg" for f in FIGURES)])
    made = {path.relative_to(study / "results").parts[0] for path in (study / "results").glob("*/*")}
    assert made >= {"puzzles", "tsv", "tables", "figures", "failures", "alignment", "report"}
