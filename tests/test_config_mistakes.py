"""Mistakes that users make: each is answered before the DAG, in plain words, at its line; and only once."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.cli import parse_config
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from s2h.config import load_config
from s2h.errors import ConfigError
from s2h.overlays import BASE, read_overlays, read_values
from s2h.plan.plan import Plan
from s2h.profiles import refuse_broken_configs
from tests.shipped import ROOT

KINDS: dict[str, list[dict[str, Any]]] = yaml.safe_load((Path(__file__).parent / "config_mistakes.yaml").read_text())
CASES = [
    pytest.param(case, id=f"{kind}-{number}-{case['names']}")
    for kind, cases in KINDS.items()
    for number, case in enumerate(cases)
]
JARGON = re.compile(
    r"input should|valid (dict|tuple|list|string)|field required|value error|extra_?forbidden|unable to|pydantic|"
    r"at least \d+ items?|traceback|fraction\(",
    re.IGNORECASE,
)


@lru_cache
def default() -> dict[str, Any]:
    """The files that the Snakefile names, as Snakemake reads them."""
    values: dict[str, Any] = {}
    for name in BASE:
        update_config(values, load_configfile(ROOT / name))
    return values


def answer(case: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What becomes of a case, and what is said: the steps of a Snakemake command until there is a plan."""
    files, words = list(case.get("files", [])), case.get("words", [])
    if "text" in case:
        (folder / "mine.yaml").write_text(case["text"])
        files.append(str(folder / "mine.yaml"))
    command = ["snakemake", *(["--configfile", *files] if files else []), *(["--config", *words] if words else [])]
    try:
        refuse_broken_configs(command)  # profiles/default
        values = copy.deepcopy(default())
        for file in files:
            update_config(values, load_configfile(file))
        update_config(values, parse_config(words))
        Plan.open(values, ROOT, files=files, is_main=True)  # rules/common.smk
    except SystemExit as error:
        return "refused", str(error)
    said = capsys.readouterr().err
    return ("warned" if said else "accepted"), said


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_answered_once_in_plain_words_at_its_place(
    case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome, said = answer(case, tmp_path, capsys)
    assert outcome == case["expected"] or (case["expected"] == "either" and outcome != "warned"), said
    if outcome == "accepted":
        return
    lines = said.strip().splitlines()
    assert case["names"] in said
    assert len(lines) == case.get("lines", 1), said
    assert not JARGON.search(said)
    if "text" in case:
        assert all(re.match(r"(s2h: warning: )?\S+\.yaml:\d+:\d+: ", line) for line in lines) or "is empty" in said


def test_there_are_many_of_every_kind() -> None:
    assert sum(map(len, KINDS.values())) >= 203
    assert Counter(case["expected"] for cases in KINDS.values() for case in cases)["refused"] >= 160


def test_every_mistake_of_a_file_is_told_in_one_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """\
sed: 4
tasks:
  consecutive_table_readout:
    rows: [4, 3]
    colums: [1, 1]
models:
  tiny:
    training: {learning_rate: -1, batch: 3}
runs:
  - {tasks: [ctr], recipes: [Mix+], budgets: [30k], models: [tiny], seeds: [true]}
"""
    _, said = answer({"text": text}, tmp_path, capsys)
    found = {(line.split(": ")[1], int(line.split(":")[1])) for line in said.splitlines()}
    assert found == {
        ("sed", 1),
        ("tasks.consecutive_table_readout.rows", 4),
        ("tasks.consecutive_table_readout.colums", 5),
        ("models.tiny.training.learning_rate", 8),
        ("models.tiny.training.batch", 8),
        ("runs[0].tasks[0]", 10),
        ("runs[0].recipes[0]", 10),
        ("runs[0].budgets[0]", 10),
        ("runs[0].seeds[0]", 10),
    }


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("runs: [{tasks: [ctr], recipes: [mix], budgets: [30], models: [tiny]}]", "consecutive_table_readout"),
        ("runs: [{tasks: [table_readout], recipes: [Mix+], budgets: [30], models: [tiny]}]", "mix_plus"),
        ("models: {tiny: {training: {lr: 1}}}", "learning_rate"),
        ("tasks: {table_readout: {levels: {hard: {eval: 3}}}}", "HARD"),
        ("models: {tiny: {training: {lora: {r: 8}}}}", "rank"),
    ],
)
def test_titles_abbreviations_and_other_letters_are_understood(
    text: str, meant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"Did you mean {meant!r}?" in answer({"text": text}, tmp_path, capsys)[1]


def test_a_name_of_another_shipped_config_is_found_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "runs: [{tasks: [table_readout], recipes: [mix], budgets: [30], models: [qwen2.5-vl-3b]}]"
    assert "config/paper.yaml has it" in answer({"text": text}, tmp_path, capsys)[1]
    (tmp_path / "theirs.yaml").write_text("{}")
    said = answer({"text": text, "files": ["config/paper.yaml"]}, tmp_path, capsys)[1]
    assert "unknown model" not in said


def test_a_shipped_config_behind_the_users_own_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("runs: [{tasks: [table_readout], recipes: [mix], budgets: [300], models: [tiny]}]\n")
    _, said = answer({"files": [str(mine), "config/sweep.yaml"]}, tmp_path, capsys)
    assert f"config/sweep.yaml comes after {mine} and replaces its runs: name it before" in said
    _, said = answer({"files": ["config/sweep.yaml", str(mine)]}, tmp_path, capsys)
    assert "comes after" not in said


def test_a_key_in_the_place_of_a_variable_is_never_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for key in ("sk-abc 123", "sk-proj-0a1b2c", "hf_AbCdEfGh", "a8f3b2c9d0e1f2a3b4c5d6e7f8"):
        source = {"kind": "endpoint", "url": "http://x/v1", "name": "m", "api_key_env": key}
        text = yaml.safe_dump({"models": {"s": {"source": source, "scoring": {"max_new_tokens": 8}}}})
        outcome, said = answer({"text": text}, tmp_path, capsys)
        assert (outcome, key in said) == ("refused", False)


@pytest.mark.parametrize("overlays", [(), ("smoke",), ("sweep",), ("paper",), ("paper", "released")])
def test_nothing_is_odd_about_the_shipped_configs(
    overlays: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [f"config/{name}.yaml" for name in overlays]
    assert answer({"files": files}, tmp_path, capsys) == ("accepted", "")


def test_an_empty_overlay_changes_nothing(tmp_path: Path) -> None:
    for text in ("", "# nothing yet\n", "{}\n"):
        (tmp_path / "mine.yaml").write_text(text)
        assert read_overlays(tmp_path / "mine.yaml").values == read_values()


def refusal(values: dict[str, Any]) -> str:
    """What is said to values; nothing where they are a config."""
    try:
        load_config(values)
    except ConfigError as error:
        return str(error)
    return ""


def places(values: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value of a config."""
    entries = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in entries:
        yield (*above, key)
        yield from places(value, (*above, key))


PLACES = sorted(places(read_values(root=ROOT)), key=str)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=2),
    max_leaves=3,
)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(PLACES), JUNK)
def test_anything_in_the_place_of_any_value_is_taken_or_refused_in_plain_words(
    place: tuple[Any, ...], junk: Any
) -> None:
    values = copy.deepcopy(read_values(root=ROOT))
    here: Any = values
    for key in place[:-1]:
        here = here[key]
    here[place[-1]] = junk
    said = refusal(values)
    assert not JARGON.search(said)
    assert all(line.startswith("config") for line in said.splitlines())
