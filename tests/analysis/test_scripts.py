"""The script of the tables, run as Snakemake runs it."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from s2h.analysis.study import Study
from s2h.analysis.table_registry import TABLES
from tests.analysis.generated import ENDINGS, whole_study
from tests.shipped import ROOT, job


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return whole_study(tmp_path_factory.mktemp("study"), puzzles=3)


@pytest.mark.parametrize("table", list(TABLES))
def test_the_script_writes_what_its_rule_names(table: str, study: Study, tmp_path: Path) -> None:
    names = ("models", "shards", "task_settings", "alignments", "prices", "recipe_titles", "task_titles")
    rule = job(
        "make_table",
        tmp_path,
        inputs={"scores": list(study.score_files), "baselines": list(study.baselines)},
        outputs={kind: str(tmp_path / f"{table}.{end}") for kind, end in ENDINGS.items()},
        params={name: getattr(study, name) for name in names},
        wildcards={"table": table},
    )
    path = ROOT / "workflow/scripts/make_table.py"
    runpy.run_path(str(path), init_globals={"snakemake": rule}, run_name="__main__")
    records = {path.name for path in (tmp_path / "provenance").glob("*.json")}
    assert records == {f"{table}.{end}.json" for end in ENDINGS.values()}
