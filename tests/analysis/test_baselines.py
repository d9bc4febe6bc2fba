"""The table of blind baselines, and the note below the tables that show accuracy."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from s2h.analysis.baselines import SCHEMA, best_guesses, guess_rates
from s2h.analysis.statistics import wilson_interval
from s2h.analysis.study import Study
from s2h.baselines import measuring
from tests.analysis.generated import RECIPE_TITLES, TASK_TITLES, study, written

ROWS = [
    ("table_readout", "HARD", "constant answer", 50, 2),
    ("table_readout", "HARD", "length of the path", 50, 5),
    ("table_readout", "SIMPLE", "constant answer", 50, 4),
    ("table_readout", "SIMPLE", "length of the path", 50, 3),
]


def measured(path: Path, rows: list[tuple[str, str, str, int, int]] = ROWS) -> str:
    pl.DataFrame(rows, schema=measuring.SCHEMA, orient="row").write_parquet(path)
    return str(path)


def test_rates_are_in_the_order_of_levels_and_of_the_tasks_baselines(tmp_path: Path) -> None:
    found = guess_rates([measured(tmp_path / "a.parquet")] * 2)  # a mixture's file holds the tasks of others
    assert dict(found.schema) == SCHEMA
    assert found.select("level", "baseline", "correct").rows() == [
        ("SIMPLE", "constant answer", 4), ("SIMPLE", "length of the path", 3),
        ("HARD", "constant answer", 2), ("HARD", "length of the path", 5),
    ]  # fmt: skip
    assert found.row(0, named=True)["accuracy"] == 0.08
    assert found.select("ci_low", "ci_high").row(0) == pytest.approx(wilson_interval(4, 50))
    assert best_guesses(found).rows() == [("table_readout", "SIMPLE", 0.08), ("table_readout", "HARD", 0.1)]


def test_nothing_measured_is_an_empty_table(tmp_path: Path) -> None:
    assert dict(guess_rates([]).schema) == SCHEMA
    rows, page = written("baselines", study(tmp_path), tmp_path)
    assert not rows
    assert "No baseline has been measured." in page


@pytest.mark.parametrize("name", ["summary", "accuracy", "seeds", "comparisons"])
def test_the_tables_that_show_accuracy_name_the_best_guess_of_their_tasks(name: str, tmp_path: Path) -> None:
    scores = [str(path) for path in study(tmp_path, task=["table_readout"])]
    grids = [("grid_navigation", "HARD", "straight walk", 50, 20)]
    baselines = [measured(tmp_path / "tables.baselines"), measured(tmp_path / "grids.baselines", grids)]
    names = {"recipe_titles": RECIPE_TITLES, "task_titles": TASK_TITLES}
    _, page = written(name, Study(scores, baselines=baselines, **names), tmp_path)
    note = "Guess rates, of the best blind baseline in baselines.csv: Table Readout SIMPLE 8 %, HARD 10 %."
    assert page.count(note) == 1
    assert "Grid Navigation" not in page
    _, without = written(name, Study(scores, **names), tmp_path)
    assert "Guess rates" not in without
