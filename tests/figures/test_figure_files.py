"""Figures are written whole, and a table that does not do is named."""

from __future__ import annotations

import runpy
from pathlib import Path

import polars as pl
import pytest

from s2h.errors import DataError
from s2h.figures.figure_files import FORMATS, write_figure
from s2h.figures.figure_registry import FIGURES
from tests.figures.generated import TITLES, study
from tests.shipped import ROOT, job


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    """The tables that the figure budgets reads."""
    found = {name: tmp_path / f"{name}.parquet" for name in sorted(FIGURES.reads("budgets"))}
    made = study()
    for name, path in found.items():
        made[name].write_parquet(path)
    return found


def outputs(folder: Path) -> dict[str, str]:
    return {kind: str(folder / f"figures/budgets.{kind}") for kind in FORMATS}


def test_a_table_that_cannot_be_read_is_named(tables: dict[str, Path], tmp_path: Path) -> None:
    tables["accuracy"].write_bytes(b"torn")
    with pytest.raises(DataError, match=r"accuracy.parquet cannot be read .*; delete it and run again"):
        write_figure(FIGURES["budgets"], tables, TITLES, outputs=outputs(tmp_path))


def test_a_table_that_lacks_a_column_is_named(tables: dict[str, Path], tmp_path: Path) -> None:
    pl.read_parquet(tables["accuracy"]).drop("level").write_parquet(tables["accuracy"])
    with pytest.raises(DataError, match=r"accuracy.parquet or .*baselines.parquet lacks what the figure shows .*level"):
        write_figure(FIGURES["budgets"], tables, TITLES, outputs=outputs(tmp_path))
    assert not (tmp_path / "figures").exists()


def test_the_script_writes_what_its_rule_names(tables: dict[str, Path], tmp_path: Path) -> None:
    written = outputs(tmp_path)
    titles = {"recipe_titles": dict(TITLES.recipes), "task_titles": dict(TITLES.tasks)}
    rule = job(
        "draw_figure",
        tmp_path,
        inputs={name: str(path) for name, path in tables.items()},
        outputs=written,
        params=titles,
        wildcards={"figure": "budgets"},
    )
    script = ROOT / "workflow/scripts/draw_figure.py"
    runpy.run_path(str(script), init_globals={"snakemake": rule}, run_name="__main__")
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {f"budgets.{kind}" for kind in FORMATS}
