"""The scripts of the tables, run as Snakemake runs them."""

from __future__ import annotations

import runpy

import polars as pl
import pytest

from tests.analysis.generated import RECIPE_TITLES, TASK_TITLES
from tests.shipped import ROOT, job


@pytest.mark.parametrize("script", ["measure_gaps", "compare_runs", "explain_failures", "tabulate_metrics"])
def test_the_script_writes_what_its_rule_names(script, score_files, tmp_path):
    names = ("csv", "seeds") if script == "measure_gaps" else ("csv",)
    output = {name: str(tmp_path / f"{name}.csv") for name in names} | {"markdown": str(tmp_path / "page.md")}
    rule = job(
        script,
        tmp_path,
        inputs={"scores": [str(path) for path in score_files]},
        outputs=output,
        params={"recipe_titles": RECIPE_TITLES, "task_titles": TASK_TITLES},
    )
    path = ROOT / "workflow/scripts" / f"{script}.py"
    runpy.run_path(str(path), init_globals={"snakemake": rule}, run_name="__main__")
    assert pl.read_csv(output["csv"]).height
    assert (tmp_path / "page.md").read_text().startswith("# ")
    records = {path.name for path in (tmp_path / "provenance").glob("*.json")}
    assert records == {f"{name}.csv.json" for name in names} | {"page.md.json"}
