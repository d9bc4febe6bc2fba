"""What holds for every registered table."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from docs.blocks import read_block
from s2h.analysis.study import Study
from s2h.analysis.table_registry import TABLES
from s2h.analysis.writing import write_table
from tests.analysis.generated import ENDINGS, whole_study
from tests.analysis.test_pages import rows_of, tabulars
from tests.shipped import ROOT

METRICS = (ROOT / "docs/metrics.md").read_text()
STUDIES: dict[str, dict[str, Any]] = {
    "one run": {"task": ["grid_navigation"], "recipe": ["mix"], "seed": [0]},
    "one run, untrained": {"task": ["visual_analogy"], "recipe": ["mix"], "seed": [0], "budget": [0], "phases": 0},
    "many runs": {"budget": [100, 30000], "model": ["tiny", "large_one"], "phases": 2},
    "tasks trained together": {"trained_on": ["both"], "seed": [0, 1, 2]},
}


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Study]:
    return {name: whole_study(tmp_path_factory.mktemp("study"), puzzles=6, **grid) for name, grid in STUDIES.items()}


@pytest.mark.parametrize("name", list(TABLES))
def test_the_page_of_the_metrics_has_a_line_on_each_table(name):
    assert re.search(rf"^\| `{name}\.csv` \| [^|]+ \| [^|]+ \|$", METRICS, re.MULTILINE)


def _write(name: str, study: Study, folder: Path) -> dict[str, Path]:
    paths = {kind: folder / f"{name}.{end}" for kind, end in ENDINGS.items()}
    write_table(name, study, paths)
    return paths


def documented(name: str) -> list[str]:
    """The columns that docs/metrics.md lists for a table."""
    found = re.search(rf"^{name}: (.+?)(?=^\S|\Z)", read_block(METRICS, "columns"), re.MULTILINE | re.DOTALL)
    assert found, f"docs/metrics.md lists no columns of {name}: run python -m docs"
    return re.split(r",\s+", found[1].strip())


@pytest.mark.parametrize("made_from", STUDIES)
@pytest.mark.parametrize("name", list(TABLES))
def test_a_table_is_written_in_its_files(name, made_from, studies, tmp_path):
    paths = _write(name, studies[made_from], tmp_path)
    frame = pl.read_parquet(paths["parquet"])
    assert frame.columns == documented(name)
    assert not any(kind in (pl.Null, pl.Categorical) or isinstance(kind, pl.Enum) for kind in frame.dtypes)
    assert not frame.is_duplicated().any()
    assert pl.read_csv(paths["csv"], infer_schema=False).shape == frame.shape
    assert paths["markdown"].read_text().startswith("# ")
    sections = tabulars(paths["latex"].read_text())
    assert len(sections) == paths["markdown"].read_text().count("\n### ")
    for section in sections:
        assert len(set(rows_of(section))) == 1
        assert len(rows_of(section)) > 1
    html = paths["html"].read_text()
    assert html.count("<table>") == len(sections)
    assert html.count("<tr") == sum(len(rows_of(section)) for section in sections)


@pytest.mark.parametrize("name", list(TABLES))
def test_a_table_is_the_same_bytes_twice(name, studies, tmp_path):
    study = studies["many runs"]
    turned = Study(
        **{field: getattr(study, field) for field in Study.__slots__} | {"score_files": study.score_files[::-1]}
    )
    one, other = _write(name, study, tmp_path / "one"), _write(name, turned, tmp_path / "other")
    assert [one[kind].read_bytes() for kind in ENDINGS] == [other[kind].read_bytes() for kind in ENDINGS]


@pytest.mark.parametrize("name", list(TABLES))
def test_a_table_reads_what_it_says_and_no_more(name, studies, tmp_path):
    study, reads = studies["many runs"], TABLES.reads(name)
    assert reads <= {"models", "shards", "baselines", "alignments", "prices"}
    bare = Study(
        study.score_files,
        models=study.models if "models" in reads else {},
        shards=study.shards if "shards" in reads else {},
        task_settings=study.task_settings if "shards" in reads else {},
        baselines=study.baselines if "baselines" in reads else (),
        alignments=study.alignments if "alignments" in reads else (),
        prices=study.prices if "prices" in reads else {},
        recipe_titles=study.recipe_titles,
        task_titles=study.task_titles,
    )
    one, other = _write(name, study, tmp_path / "one"), _write(name, bare, tmp_path / "other")
    assert [one[kind].read_bytes() for kind in ENDINGS] == [other[kind].read_bytes() for kind in ENDINGS]


def test_listing_tables_and_figures_and_what_they_read_imports_none():
    code = (
        "import sys; from s2h.analysis.table_registry import TABLES; from s2h.figures.figure_registry import FIGURES;"
        "found = {known.module(name): known.reads(name) for known in (TABLES, FIGURES) for name in known};"
        "sys.exit(len(found) < 20 or bool({*found} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
