from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2h.analysis.learning import SCHEMA, binned, learning_curves
from tests.analysis.generated import trained, whole_study, written

RUN = "table_readout/mix/30000/tiny/0"


def _steps(count: int) -> pl.DataFrame:
    steps = pl.DataFrame({"step": range(1, count + 1)})
    columns = {"loss": 1 / pl.col("step"), "tokens": 10 * pl.col("step"), "seconds": pl.col("step") / 2}
    return steps.with_columns(**columns, gradient_norm=pl.lit(1.0), learning_rate=pl.lit(0.1))


@given(st.integers(1, 1000))
def test_bins_hold_every_step_once_and_are_of_equal_size(count):
    found = binned(_steps(count))
    last = found["step"].to_list()
    sizes = [end - start for start, end in zip([0, *last], last, strict=False)]
    assert len(sizes) <= 100
    assert len(set(sizes[:-1])) <= 1
    assert 0 < sizes[-1] <= sizes[0]
    assert last[-1] == count
    assert sum(size * loss for size, loss in zip(sizes, found["loss"], strict=True)) == pytest.approx(
        sum(1 / step for step in range(1, count + 1))
    )
    assert found["tokens_per_second"].to_list() == pytest.approx([20] * found.height)


def test_a_curve_tells_of_each_phase(tmp_path):
    found = learning_curves({RUN: [trained(tmp_path / "1"), trained(tmp_path / "2", steps=3)]})
    assert dict(found.schema) == SCHEMA
    first, second = found.filter(phase=1), found.filter(phase=2)
    assert first["step"].to_list() == [*range(3, 250, 3), 250]
    assert set(first["steps"]) == {250}
    assert first["examples"].to_list()[-2:] == [2490, 2495]
    assert second.select("step", "examples", "loss").rows() == [
        (1, 10, 1.0),
        (2, 20, 0.5),
        (3, 25, pytest.approx(1 / 3)),
    ]
    assert found.select("task", "trained_on").unique().rows() == [("table_readout", "table_readout")]


def test_tasks_that_were_trained_together_have_one_curve(tmp_path):
    found = learning_curves(whole_study(tmp_path, puzzles=3, trained_on=["both"], seed=[0]).models)
    assert set(found["task"]) == {"both"}
    assert not found.select("recipe", "phase", "step").is_duplicated().any()


def test_the_page_has_a_row_for_each_recipe_and_phase(tmp_path):
    table, page = written("learning", whole_study(tmp_path, puzzles=3, phases=2), tmp_path)
    assert table[0]["learning_rate"] == "0.001"
    assert table[-1]["loss"] == f"{1 / 250:.6g}"
    assert "## Table Readout\n\n### tiny, budget 30,000, seed 0\n" in page
    losses = "0.611 | 0.004 | 0.004 | 0.5 | 250 |"
    assert f"| Text | 1 | 250 | 2,495 | {losses}\n| Text | 2 | 250 | 2,495 | {losses}\n| Mix | 1 |" in page


def test_a_study_that_trains_nothing_says_so(tmp_path):
    table, page = written("learning", whole_study(tmp_path, puzzles=3, phases=0), tmp_path)
    assert table == []
    assert "No run of this study was trained." in page
