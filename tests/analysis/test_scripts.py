"""The scripts of the tables, run as Snakemake runs them."""

from __future__ import annotations

import runpy
from types import SimpleNamespace

import polars as pl
import pytest

from tests.analysis.generated import RECIPE_TITLES, TASK_TITLES
from tests.shipped import ROOT


@pytest.mark.parametrize("script", ["measure_gaps", "compare_runs", "explain_failures", "tabulate_metrics"])
def test_the_script_writes_what_its_rule_names(script, score_files, tmp_path):
    output = {name: str(tmp_path / f"{name}.csv") for name in ("csv", "seeds")} | {
        "markdown": str(tmp_path / "page.md")
    }
    rule = SimpleNamespace(
        input=SimpleNamespace(scores=[str(path) for path in score_files]),
        output=SimpleNamespace(**output),
        params=SimpleNamespace(recipe_titles=RECIPE_TITLES, task_titles=TASK_TITLES),
        log=[str(tmp_path / "log")],
    )
    path = ROOT / "workflow/scripts" / f"{script}.py"
    runpy.run_path(str(path), init_globals={"snakemake": rule}, run_name="__main__")
    assert pl.read_csv(output["csv"]).height
    assert (tmp_path / "page.md").read_text().startswith("# ")
    assert (tmp_path / "seeds.csv").exists() == (script == "measure_gaps")
