"""Configs laid over each other are what Snakemake makes of the same files."""

from __future__ import annotations

import copy
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.utils import update_config

from s2h.config import load_config
from s2h.errors import ConfigError
from s2h.overlays import BASE, find_root, merge, read_config, read_values, shipped_configs
from tests.shipped import ROOT

VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=2) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
CONFIGS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(CONFIGS, CONFIGS)
def test_files_are_laid_over_each_other_as_snakemake_does_it(base: dict[str, Any], over: dict[str, Any]) -> None:
    before, wanted = copy.deepcopy(base), copy.deepcopy(base)
    update_config(wanted, copy.deepcopy(over))
    assert merge(base, over) == wanted
    assert base == before


def test_the_default_is_that_of_the_snakefile() -> None:
    assert re.findall(
        r'^configfile: f"{workflow.basedir}/(.+)"$', (ROOT / "Snakefile").read_text(), re.MULTILINE
    ) == list(BASE)
    assert read_config() == load_config(read_values())


def test_overlays_are_files_or_names_of_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("results: mine\n")
    assert read_config("smoke", tmp_path / "mine.yaml").results == "mine"
    assert read_values("smoke") == read_values(ROOT / "config/smoke.yaml") != read_values()


def test_every_overlay_of_the_project_is_listed() -> None:
    assert {"paper", "released", "smoke", "sweep"} <= set(shipped_configs())
    assert not {"config", "recipes"} & set(shipped_configs())


def test_the_project_is_found_from_any_folder_and_a_copy_from_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_root(ROOT / "src/s2h") == ROOT
    monkeypatch.chdir(tmp_path)
    assert find_root() == ROOT
    shutil.copytree(ROOT / "config", tmp_path / "copy/config")
    assert find_root(tmp_path / "copy/config") == tmp_path / "copy"


@pytest.mark.parametrize(
    ("text", "problem"),
    [("a: [1", "not valid YAML"), ("- 1\n", "has keys at its top")],
)
def test_a_file_that_is_no_config_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"{path}.*{problem}"):
        read_values(path)


def test_an_unknown_overlay_gets_near_matches() -> None:
    with pytest.raises(ConfigError, match=r"there is no file papr, and unknown config 'papr'.*Did you mean 'paper'"):
        read_values("papr")
