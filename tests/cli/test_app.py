"""The command s2h: its verbs, what it says where it is used wrongly, and that it answers at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from s2h.cli.app import app, main
from s2h.scoring import command_line
from tests.shipped import ROOT

VERBS = (
    *("check", "plan", "score", "watch", "schema", "lineage", "verify", "kept", "vlmevalkit", "replies", "eagle"),
    "unlock",
)


def s2h(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "s2h", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_console_script_is_this_command() -> None:
    place = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["s2h"]
    module, _, function = place.partition(":")
    assert getattr(import_module(module), function) is main


def test_help_lists_the_verbs_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom s2h.cli.app import main\nsys.argv = ['s2h', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(re.search(rf"^\W*{verb} ", done.stdout, re.MULTILINE) for verb in VERBS), done.stdout
    heavy = {"torch", "transformers", "polars", "pyarrow", "numpy", "PIL", "snakemake", "pydantic", "vlmeval"}
    assert not heavy & set(json.loads(done.stderr.replace("'", '"')))


def test_what_a_user_can_mend_is_said_in_one_line(tmp_path: Path) -> None:
    done = s2h("eagle", "convert", "nowhere", "out", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "s2h: nowhere is not a folder: name the one that holds config.json and the weights.\n"


def test_check_reads_configs_alone(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("sed: 1\nruns: []\n")
    done = s2h("check", "paper", "mine.yaml", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(": ")[:2] for line in done.stderr.splitlines()] == [
        ["mine.yaml:1:1", "sed"],
        ["mine.yaml:2:1", "runs"],
    ]
    mine.write_text("models: {tiny: {training: {learning_rate: 3}}}\n")
    done = s2h("check", "mine.yaml", "--config", "seed=3", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "The config is sound: 6 runs.\n")
    assert done.stderr.startswith("warning: mine.yaml:1:28: models.tiny.training.learning_rate: 3.0 is large")


@pytest.mark.parametrize(
    "words",
    [["eagle", "convert"], ["eagle", "turn", "a", "b"], ["eagle", "convert", "a", "b", "--largest", "0"], ["schemas"]],
)
def test_a_wrong_command_line_is_answered_with_its_use(words: list[str]) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "Usage:" in done.output


def test_the_schema_is_printed() -> None:
    printed = CliRunner().invoke(app, ["schema"]).stdout
    assert printed == (ROOT / "config/schema.json").read_text()


def test_every_option_of_vlmevalkit_reaches_its_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--data", "a", "b", "--mode", "all", "--model", "x", "--help", "--", "-v"]
    seen: list[Any] = []
    monkeypatch.setattr(command_line, "main", lambda words: seen.append(list(words)) or 3)
    assert CliRunner().invoke(app, ["vlmevalkit", *words]).exit_code == 3
    assert seen == [words]


def test_the_lock_of_a_killed_workflow_is_removed(tmp_path: Path) -> None:
    lock = tmp_path / ".snakemake/locks/0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    first, second = (s2h("unlock", folder=tmp_path) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert "an earlier run was killed" in first.stderr
    assert not lock.exists()
    assert second.stderr == ""


@pytest.mark.parametrize(
    ("words", "results"),
    [
        ([], "results"),
        (["--configfile", "config/smoke.yaml", "--config", "results=results/x"], "results/x"),
        (["--configfile", "config/paper.yaml", "config/released.yaml", "--config", "results=r", "seed=3"], "r"),
    ],
)
def test_a_study_is_named_as_for_snakemake(
    words: list[str], results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("config", "workflow"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["watch", "--once", *words])
    assert done.exit_code == 0, done.output
    assert re.search(rf"s2h: 0 of \d+ runs are scored: {results}/live/index.html", done.output)
    assert (tmp_path / results / "live/index.html").is_file()
