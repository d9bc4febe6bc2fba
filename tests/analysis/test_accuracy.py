from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2h.analysis.accuracy import SCHEMA, accuracy_table
from s2h.analysis.scores import read_scores
from s2h.analysis.statistics import wilson_interval
from s2h.analysis.summary import summarise
from tests.analysis.generated import answers, frame, run_of, study, written

HARD = ("HARD", "image")


def _row(*runs: tuple[dict[str, object], list[bool]], exact: bool | None = None) -> dict[str, object]:
    rows = [row for run, right in runs for row in answers(run_of(**run), {HARD: right}, exact)]
    found = accuracy_table(frame(rows))
    assert dict(found.schema) == SCHEMA
    [row] = found.rows(named=True)
    return row


def test_one_seed_is_what_the_summary_says(tmp_path):
    files = study(tmp_path, seed=[3])
    found, summary = accuracy_table(read_scores(files, ["correct"], metrics=["exact_match"])), summarise(files)
    columns = ["task", "recipe", "level", "modality", "n", "accuracy", "exact_match"]
    assert found.select(columns).equals(summary.select(columns))
    for name in ("ci_low", "ci_high", "exact_ci_low", "exact_ci_high"):
        assert found[name].to_list() == pytest.approx(summary[name].to_list())
    assert set(found["sd"]) == {None}


def test_seeds_are_averaged_over_the_same_puzzles():
    row = _row(({"seed": 0}, [True] * 3 + [False]), ({"seed": 1}, [True] + [False] * 3))
    assert (row["seeds"], row["n"], row["accuracy"]) == (2, 4, 0.5)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(wilson_interval(2, 4))
    assert row["sd"] == pytest.approx(0.125**0.5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=4))
def test_the_mean_lies_in_its_interval(seeds):
    row = _row(*(({"seed": seed}, right) for seed, right in enumerate(seeds)))
    assert row["accuracy"] == pytest.approx(sum(map(sum, seeds)) / 7 / len(seeds))
    assert 0 <= row["ci_low"] <= row["accuracy"] + 1e-9
    assert row["accuracy"] - 1e-9 <= row["ci_high"] <= 1


@pytest.mark.parametrize(
    ("run", "published", "budget"),
    [
        ({"budget": 30000}, 0.0, 30000),
        ({"budget": 45000}, 0.11, 60000),
        ({"budget": 240000}, 0.294, 240000),
        ({"budget": 480000}, 0.294, 240000),
        ({"budget": 480001}, None, None),
        ({"budget": 0}, None, None),
        ({"recipe": "image_text"}, None, None),
        ({"trained_on": "both"}, None, None),
    ],
)
def test_the_papers_figure_stands_beside_ours_in_the_same_metric(run, published, budget):
    row = _row((run, [True, False]), exact=True)
    metric = None if published is None else "exact_match"
    assert (row["published"], row["published_metric"], row["published_budget"]) == (published, metric, budget)
    assert (row["accuracy"], row["exact_match"]) == (0.5, 1)
    assert row["difference"] == (None if published is None else pytest.approx(1 - published))


def test_there_is_no_difference_to_a_metric_that_is_not_measured():
    row = _row(({}, [True, False]))
    assert row["published"] is not None
    assert (row["exact_match"], row["exact_ci_low"], row["exact_ci_high"], row["difference"]) == (None,) * 4


def test_the_page_has_a_row_for_each_set_and_recipe_and_a_column_for_each_budget(tmp_path):
    runs = [run_of(), run_of(budget=45000), run_of(budget=100), run_of(recipe="text"), run_of(trained_on="both")]
    cells = {("SIMPLE", "text"): [True] * 4, HARD: [True, False, False, False]}
    rows = [row for run in runs for row in answers(run, cells, exact=False)]
    frame([*rows, *answers(run_of(seed=1), {HARD: [True] * 4}, exact=True)]).write_parquet(tmp_path / "a.parquet")
    table, page = written("accuracy", [tmp_path / "a.parquet"], tmp_path)
    assert len(table) == 10
    heads = ["100: answer", "exact match", "30,000: answer", "exact match", "paper (exact match)"]
    heads += ["45,000: answer", "exact match", "paper (exact match)"]
    assert f"## Table Readout\n\n### tiny\n\n| Level | Modality | Recipe | {' | '.join(heads)} |\n" in page
    assert "| SIMPLE | text | Text | – | – | 100 [51, 100] | 0 [0, 49] | – | – | – | – |\n" in page
    assert (
        "| HARD | image | Text | – | – | 25 [5, 70] | 0 [0, 49] | – | – | – | – |\n"
        "|  |  | Mix (both) | – | – | 25 [5, 70] | 0 [0, 49] | – | – | – | – |\n"
        "|  |  | Mix | 25 [5, 70] | 0 [0, 49] | 62 [22, 91] ± 53.0 | 50 [15, 85] | 0 (+50) | 25 [5, 70] | 0 [0, 49] |"
        " 11 at 60,000 (-11) |\n"
    ) in page
    assert "\nn = 4 puzzles for each set; 1 to 2 seeds.\n" in page


def test_the_table_does_not_depend_on_the_order_of_files(tmp_path):
    files = study(tmp_path, budget=[30000, 60000])
    one, other = (
        accuracy_table(read_scores(given, ["correct"], metrics=["exact_match"])) for given in (files, files[::-1])
    )
    assert one.equals(other)
    assert one.select(pl.struct("task", "recipe", "budget").rle_id().n_unique()).item() == 8
