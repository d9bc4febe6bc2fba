"""The commands of the documentation can be given: Snakemake plans or runs them, the others exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer.main

from s2h.analysis.table_registry import TABLES
from s2h.cli.app import app
from s2h.figures.figure_registry import FIGURES
from tests import forked
from tests.shipped import ROOT, copy_project
from tests.workflow.study import environment, run

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
_PROGRAMS = ("snakemake", "s2h", "python", "make", "torchrun")
_BLOCK = re.compile(r"^```(sh|)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_TOLD_IN_ORDER = ("README.md", "docs/quick-start.md", "docs/cluster.md")
"""Pages whose commands for the default study are run one after the other."""
_TESTED_ELSEWHERE = re.compile(r"config/(base_model|dots|frontier)\.yaml")
"""Configs that need something of the reader's, corpora, a plugin, or names and prices: other tests fill it in."""


def commands_of(text: str) -> list[str]:
    """The commands in the blocks of a page: all lines of a block marked sh, those that call a program in plain ones."""
    found = []
    for block in _FENCED.findall(text):
        opened = _BLOCK.fullmatch(block)
        if opened is None:
            continue
        for line in opened[2].replace("\\\n", " ").splitlines():
            words = " ".join(re.sub(r"(^|\s)#.*", "", line).split())
            if words and (opened[1] == "sh" or words.split()[0] in _PROGRAMS):
                found.append(words)
    return found


COMMANDS = {str(page.relative_to(ROOT)): commands_of(page.read_text()) for page in PAGES}


def calling(program: str) -> list[str]:
    """The commands of all pages that call a program, each once."""
    return sorted({words for found in COMMANDS.values() for words in found if words.split()[0] == program})


def plans() -> dict[tuple[str, str], list[str]]:
    """For each page whose reader writes a config, and each set of options, all targets that pages ask Snakemake for.

    The page is empty where the options name only files that are there.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for page, commands in COMMANDS.items():
        for words in commands:
            target, _, options = words.removesuffix(" -n").removeprefix("snakemake").partition("--")
            if (
                words.startswith("snakemake")
                and options
                and not _TESTED_ELSEWHERE.search(options)
                and "--report" not in words
            ):
                writes = page if "config/mine.yaml" in options else ""
                found.setdefault((writes, options), []).append(target.replace("-n", "").strip() or "all")
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which nothing was made yet."""
    project = tmp_path_factory.mktemp("project")
    copy_project(project)
    return project


def succeed(folder: Path, words: str) -> str:
    """What a command prints."""
    if words.startswith("snakemake "):
        done = forked.python("snakemake", *shlex.split(words)[1:], folder=folder, environments=[environment(folder)])
    else:
        done = run(folder, words)
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def test_commands_are_found_in_blocks() -> None:
    page = "```sh\na b \\\n  c  # why\n# words\n\n```\n\n```\nsnakemake x\nsome output\n```\n\n```python\nmake y\n```\n"
    assert commands_of(page) == ["a b c", "snakemake x"]
    assert sum(map(len, COMMANDS.values())) > 40


@pytest.mark.parametrize(("page", "options"), plans())
def test_snakemake_plans_what_pages_ask_for(project: Path, page: str, options: str) -> None:
    if page:  # its first YAML is what it has its reader write
        config = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)[0]
        (project / "config/mine.yaml").write_text(config)
    targets = " ".join(dict.fromkeys(plans()[page, options]))
    succeed(project, f"snakemake {targets} -n --quiet all --nolock --{options}")


@pytest.mark.slow
def test_a_reader_s_commands_run_on_a_small_study(finished: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(finished, study, symlinks=True)
    told = [words for page in _TOLD_IN_ORDER for words in COMMANDS[page]]
    for words in dict.fromkeys(words for words in told if words.startswith("snakemake") and "config" not in words):
        if "--profile" not in words:
            succeed(study, f"{words} --configfile config/small.yaml")
    assert "summary" in succeed(study, "python -m s2h lineage results/tables/summary.csv")
    report = (study / "report.html").read_text()
    assert all(f'"{shown}"' in report for shown in [*(f"{t}.html" for t in TABLES), *(f"{f}.svg" for f in FIGURES)])
    made = {path.relative_to(study / "results").parts[0] for path in (study / "results").glob("*/*")}
    assert made >= {"puzzles", "tsv", "tables", "figures", "failures", "alignment", "report"}


@pytest.mark.parametrize("words", calling("s2h"))
def test_s2h_takes_its_options(words: str) -> None:
    command: Any = typer.main.get_command(app)
    arguments = shlex.split(words.partition(" > ")[0])[1:]
    context = command.make_context("s2h", arguments)
    while getattr(command, "commands", None):  # down to the verb, without calling it
        name, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, arguments, parent=context)


@pytest.mark.parametrize("words", calling("python") + calling("torchrun"))
def test_modules_that_are_started_exist(words: str) -> None:
    (module,) = re.findall(r" -m (\S+)", words)
    assert find_spec(module) is not None


def test_make_has_its_targets() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {words.split()[1] for words in calling("make")} <= targets


def test_make_alone_says_what_it_can_make_and_makes_nothing(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    done = subprocess.run(["make"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {"make run", "make test", "make setup"} <= {" ".join(line.split()[:2]) for line in done.stdout.splitlines()}
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]
