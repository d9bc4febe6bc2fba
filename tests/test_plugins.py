"""Plugins: what they register is there, and what is wrong with one is said in a line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from s2h import plugins
from s2h.baselines.baseline_registry import BASELINES, find_baselines
from s2h.config import config_type, load_config
from s2h.diagnosis.diagnoser_registry import DIAGNOSERS, find_diagnoser
from s2h.errors import ConfigError
from s2h.jobs import run_job
from s2h.overlays import merge, read_values
from s2h.plugins import load_plugins
from s2h.provenance.code import code_digest, imported_modules
from s2h.puzzles.task_registry import TASKS
from s2h.registry import Registry
from s2h.scoring.readers import READERS, find_reader
from s2h.validation.checker_registry import CHECKERS, find_checker
from tests.shipped import job
from tests.workflow.test_additions import blocks

REGISTRIES: tuple[Registry[Any], ...] = (TASKS, CHECKERS, BASELINES, DIAGNOSERS, READERS)
MODULE = blocks("docs/add-a-task.md", "python")[0]
SETTINGS = {
    "style": "compact",
    "levels": {level: {"dots": [2, 9], "train": 4, "eval": 4} for level in ("SIMPLE", "HARD")},
}
RUN = {"tasks": ["dots"], "recipes": ["untrained"], "budgets": [0], "models": ["tiny"]}
CONFIG = merge(read_values(), {"plugins": ["plug"], "tasks": {"dots": SETTINGS}, "runs": [RUN]})

PLUGIN = """
from s2h.baselines.baseline_registry import BASELINES
from s2h.diagnosis.diagnoser_registry import DIAGNOSERS
from s2h.puzzles.task_registry import TASKS
from s2h.scoring.readers import READERS
from s2h.validation.checker_registry import CHECKERS

def register():
    TASKS.add("dots", "plug.dots:Dots")
    CHECKERS.add("dots", "plug.more:DotChecker")
    BASELINES.add("dots", "plug.more:dot_baselines")
    DIAGNOSERS.add("dots", "plug.more:DotDiagnoser")
    READERS.add("dots", "plug.more:DotReader")
"""
MORE = """
from s2h.diagnosis.diagnosis import Diagnoser
from s2h.scoring.readers import Reader
from s2h.validation.checker import Checker

class DotChecker(Checker):
    def check(self, record):
        pass

def dot_baselines(task):
    return {"half of the dots": lambda puzzles: lambda puzzle: str(len(puzzle.dots) // 2)}

class DotDiagnoser(Diagnoser):
    metrics = ("off_by", "transcription")

class DotReader(Reader):
    gold_form = "the number of dots"

    def is_gold(self, answer):
        return answer.isdigit()

    def measure(self, row, prediction):
        return {"exact_match": 1.0}
"""
DOTS = MODULE.replace('name = "dot_counting"', 'name = "dots"').replace("class DotCounting(", "class Dots(") + (
    "\nfrom .words import WORDS\nimport beside\n"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, which is empty; what a test registers and imports is forgotten."""
    for registry in REGISTRIES:
        monkeypatch.setattr(registry, "_places", dict(registry._places))
    monkeypatch.setattr(plugins, "_LOADED", set())
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("plug", "beside"):
            del sys.modules[name]


@pytest.fixture
def package(folder: Path) -> Path:
    """A package with a task and all that a task may have."""
    (folder / "plug").mkdir()
    for name, text in {"__init__": PLUGIN, "dots": DOTS, "more": MORE, "words": "WORDS = 1\n"}.items():
        (folder / f"plug/{name}.py").write_text(text)
    (folder / "beside.py").write_text("VALUE = 1\n")
    return folder


def refusal(*names: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_plugins(names)
    return str(caught.value)


def test_a_task_of_a_plugin_is_one_like_the_others(package: Path) -> None:
    assert "dots" not in TASKS
    config = load_config(CONFIG)
    task: Any = config.task_object("dots")
    assert "dots" in config.task_names()
    assert config.model_dump()["tasks"]["dots"]["levels"]["HARD"]["dots"] == (2, 9)
    with pytest.raises(ConfigError, match="the model tiny-reader is pretrained on scenes, but dots has none: add"):
        load_config(merge(CONFIG, {"runs": [RUN | {"models": ["tiny-reader"]}]}))
    assert type(find_checker(task)).__name__ == "DotChecker"
    assert list(find_baselines(task)) == ["constant answer", "half of the dots"]
    assert find_diagnoser(task).metrics == ("off_by", "transcription")
    assert type(find_reader("dots")).__name__ == "DotReader"
    properties = config_type().model_json_schema()["$defs"]["TasksSettings"]["properties"]
    assert {"dots", "table_readout"} <= set(properties)
    assert load_config(CONFIG) == config  # once more in the same process registers nothing twice


def test_its_settings_are_checked_and_its_name_is_known(package: Path) -> None:
    with pytest.raises(ConfigError, match=r"levels\.HARD\.dots: found \[2, 99\]: choose from 1 to 40"):
        load_config(merge(CONFIG, {"tasks": {"dots": {"levels": {"HARD": {"dots": [2, 99]}}}}}))
    with pytest.raises(ConfigError, match=r"unknown task 'dotz'\. Did you mean 'dots'"):
        load_config(merge(CONFIG, {"task_mixtures": {"both": ["table_readout", "dotz"]}}))


def test_without_the_plugin_its_task_is_unknown(package: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key 'dots'"):
        load_config(CONFIG | {"plugins": []})


def test_modules_of_the_current_folder_are_found_only_for_plugins(package: Path) -> None:
    load_plugins([])
    assert str(package) not in sys.path
    load_plugins(["plug"])
    assert sys.path[-1] == str(package)


def test_importing_a_plugin_registers_nothing(package: Path) -> None:
    sys.path.append(str(package))
    __import__("plug.dots")
    assert "dots" not in TASKS


def test_every_job_loads_the_plugins_of_its_config(package: Path) -> None:
    found: list[str] = []
    rule = job("r", package / "results", inputs={}, outputs={"a": str(package / "results/a.txt")}, params={})
    rule.config |= {"plugins": ["plug"]}

    def main() -> None:
        found.extend(TASKS)
        (package / "results/a.txt").write_text("a")

    run_job(rule, main)
    assert "dots" in found


def test_an_entry_point_of_an_installed_package_is_a_plugin(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(package)
    point = EntryPoint(name="any", value="plug", group=plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: EntryPoints([point]).select(group=group))
    load_plugins(())
    load_plugins(["plug"])
    assert "dots" in TASKS


def test_a_digest_covers_the_plugins_own_modules_and_those_beside_it(package: Path) -> None:
    load_plugins(["plug"])
    found = imported_modules("s2h.puzzles.shards", TASKS.module("dots"))
    assert {"plug.dots", "plug.words", "beside", "s2h.puzzles.drawing.canvas"} <= found
    assert not {name.partition(".")[0] for name in found} - {"plug", "beside", "s2h"}
    assert "plug.more" not in found
    assert code_digest(TASKS.module("dots")) == code_digest(TASKS.module("dots"))


def test_the_digest_of_an_installed_plugin_leaves_out_other_packages(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_plugins(["plug"])
    monkeypatch.setattr("s2h.provenance.code.sysconfig.get_path", lambda kind: str(package))
    from s2h.provenance import code

    for cached in (code._imports, code._folder, code._find_spec):
        cached.cache_clear()
    assert "beside" not in imported_modules(TASKS.module("dots"))
    for cached in (code._imports, code._folder, code._find_spec):
        cached.cache_clear()


def test_a_module_that_is_not_there_is_named_with_where_it_was_looked_for(folder: Path) -> None:
    assert refusal("no_such_plug") == (
        f"the plugin no_such_plug is not there: no module no_such_plug is installed or lies in {folder}. "
        "Put it there, install it, or correct its name."
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import no_such_package", "the plugin plug imports no_such_package, which is not installed."),
        ("x = (", "the plugin plug cannot be imported (SyntaxError: "),
        ("TASKS = 1", "the plugin plug has no function register(): give it one that adds its tasks"),
        (
            PLUGIN.replace('TASKS.add("dots"', 'TASKS.add("table_readout"'),
            "the plugin plug: the task 'table_readout' is registered twice: "
            "s2h.puzzles.table_readout:TableReadout and plug.dots:Dots. Rename one of them.",
        ),
        (
            PLUGIN.replace("plug.dots:Dots", "plug.dot:Dots"),
            "the plugin plug: the task 'dots' is registered as plug.dot:Dots, but: No module named 'plug.dot'.",
        ),
        (
            PLUGIN.replace("plug.dots:Dots", "plug.dots:Row"),
            "the plugin plug: the task 'dots' is registered as plug.dots:Row: name a class derived from Task.",
        ),
        (
            PLUGIN.replace('TASKS.add("dots"', 'TASKS.add("dot"'),
            "the plugin plug: the task 'dot' is registered as plug.dots:Dots, whose name is 'dots'.",
        ),
    ],
)
def test_what_is_wrong_with_a_plugin_is_said(package: Path, text: str, complaint: str) -> None:
    (package / "plug/__init__.py").write_text(text)
    assert complaint in refusal("plug")


def test_a_config_says_so_in_a_line_of_its_own(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"^config: the plugin plug is not there: .*correct its name\.$"):
        load_config(CONFIG)
    with pytest.raises(ConfigError, match=r"^config: plugins is 'plug': give a list of modules"):
        load_config(CONFIG | {"plugins": "plug"})


def test_a_set_from_outside_needs_a_reader(package: Path) -> None:
    (package / "theirs.tsv").write_text("index\tquestion\tanswer\n")
    sets = {"external_evals": {"theirs": {"path": str(package / "theirs.tsv"), "level": "HARD", "modality": "text"}}}
    sets["external_evals"]["theirs"]["task"] = "dots"
    assert load_config(merge(CONFIG, sets)).external_evals["theirs"].task == "dots"
    del READERS._places["dots"]
    with pytest.raises(ConfigError, match=r"external_evals\.theirs\.task: external sets are not read for .*'dots'"):
        load_config(merge(CONFIG, sets))
