"""The first page of the report holds what the tables say, shows examples, and takes model text as data."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from s2h.analysis.study import Study
from s2h.analysis.writing import write_table
from s2h.errors import DataError
from s2h.publishing.overview import write_overview
from tests.publishing.generated import TASK, score_file
from tests.shipped import ROOT, job

TITLES = {"recipe_titles": {"image": "Image", "mix": "Mix"}, "task_titles": {TASK: "Consecutive Table Readout"}}


@pytest.fixture
def told(readout_shards: dict[str, list[str]], tmp_path: Path) -> dict[str, Any]:
    """What the overview of two small runs is made from."""
    paths = {level: files[:1] for level, files in readout_shards.items()}
    puzzles = [row for level in paths for row in pl.read_parquet(paths[level][0]).head(10).iter_rows(named=True)]
    scores = [score_file(tmp_path / f"{name}.parquet", puzzles, name, n) for name, n in (("image", 10), ("mix", 14))]
    models = {f"{TASK}/{name}/100/tiny/0": [] for name in ("image", "mix")}
    study = Study(score_files=scores, models=models, **TITLES)
    tables = {}
    for name in ("accuracy", "failures", "costs"):
        files = {kind: tmp_path / f"{name}.{kind}" for kind in ("csv", "parquet", "markdown", "latex", "html")}
        write_table(name, study, files)
        tables[name] = files["parquet"]
    figure = tmp_path / "figure.svg"
    figure.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    shards = {TASK: paths}
    return {
        "tables": tables,
        "figures": {"A figure": figure},
        "score_files": scores,
        "shards": shards,
        "config": {"a": 1},
    }


def test_the_page_says_what_the_tables_say(told: dict[str, Any], tmp_path: Path) -> None:
    write_overview(tmp_path / "overview.html", **told, **TITLES)
    page = (tmp_path / "overview.html").read_text()
    assert "Mix does best on HARD images: 40 % right (Image 0 %)." in page
    assert "100 % of the same puzzles given as text and 100 % of SIMPLE images" in page
    assert "60 % first go wrong in what they see" in page
    assert "<h3>A figure</h3>" in page
    assert page.count("data:image/png;base64,") == 2  # one right, one wrong
    assert "Converted" not in page  # what was forced is not shown
    assert "http" not in page.replace("http-equiv", "")


def test_model_text_is_shown_and_never_run(told: dict[str, Any], tmp_path: Path) -> None:
    write_overview(tmp_path / "overview.html", **told, **TITLES)
    page = (tmp_path / "overview.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_same_study_has_the_same_page(told: dict[str, Any], tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_overview(tmp_path / name, **told, **TITLES)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_table_that_cannot_be_read_is_named(told: dict[str, Any], tmp_path: Path) -> None:
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"torn\.parquet cannot be read"):
        write_overview(tmp_path / "x", **told | {"tables": told["tables"] | {"costs": torn}}, **TITLES)


def test_the_script_hands_over_what_the_rule_names(told: dict[str, Any], tmp_path: Path) -> None:
    rule = job(
        "write_overview",
        tmp_path,
        inputs={
            **{name: str(path) for name, path in told["tables"].items()},
            "figure": str(told["figures"]["A figure"]),
        }
        | {"scores": told["score_files"]},
        outputs={"page": str(tmp_path / "overview.html")},
        params={"tables": list(told["tables"]), "figures": {"figure": "A figure"}, **TITLES}
        | {name: told[name] for name in ("shards", "config")},
    )
    script = ROOT / "workflow/scripts/write_overview.py"
    runpy.run_path(str(script), init_globals={"snakemake": rule}, run_name="__main__")
    assert "A figure" in (tmp_path / "overview.html").read_text()
