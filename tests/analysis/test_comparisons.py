from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2h.analysis.comparisons import SCHEMA, compare_runs
from s2h.analysis.scores import read_scores
from s2h.analysis.statistics import bootstrap_interval, mcnemar
from s2h.errors import DataError
from tests.analysis.generated import answers, frame, run_of, score, study, written

FIRST = [True, True, True, False, False, True]
SECOND = [True, False, False, True, False, False]


def _two(first=FIRST, second=SECOND, **change) -> pl.DataFrame:
    """Runs with these answers on HARD text; the second is changed so."""
    cell = ("HARD", "text")
    return frame(answers(run_of(), {cell: first}) + answers(run_of(**(change or {"recipe": "text"})), {cell: second}))


def test_pairs_differ_in_exactly_one_thing(tmp_path):
    files = study(tmp_path, puzzles=3, task=["table_readout"], budget=[1, 2, 3], model=["a", "b"])
    found = compare_runs(read_scores(files, ["correct"]))
    pairs = found.filter(level="HARD", modality="text")
    assert Counter(pairs["differs"]) == {"recipe": 2 * 3 * 2, "budget": 2 * 2 * 2 * 3, "model": 2 * 2 * 3}
    assert found.height == 4 * pairs.height
    for row in pairs.rows(named=True):
        differing = [name for name in ("recipe", "budget", "model") if row[f"{name}_first"] != row[f"{name}_second"]]
        assert differing == [row["differs"]]
    assert (pairs["budget_first"] <= pairs["budget_second"]).all()


def test_seeds_tasks_and_joint_trainings_are_not_set_against_each_other():
    right = {("HARD", "text"): FIRST}
    runs = [run_of(), run_of(seed=1), run_of(trained_on="both"), run_of(task="grid_navigation")]
    found = compare_runs(frame([row for run in runs for row in answers(run, right)]))
    assert found.height == 0
    assert dict(found.schema) == SCHEMA


def test_counts_shares_interval_and_test():
    found = compare_runs(_two())
    assert dict(found.schema) == SCHEMA
    [row] = found.rows(named=True)
    assert (row["differs"], row["recipe_first"], row["recipe_second"]) == ("recipe", "mix", "text")
    assert (row["n"], row["left_out"], row["only_first"], row["only_second"]) == (6, 0, 3, 1)
    assert (row["accuracy_first"], row["accuracy_second"]) == pytest.approx((4 / 6, 2 / 6))
    assert row["difference"] == pytest.approx(2 / 6)
    assert (row["ci_low"], row["ci_high"]) == bootstrap_interval(3, 1, 6)
    assert row["mcnemar_p"] == mcnemar(3, 1)


def test_recipes_stand_in_the_order_that_is_given():
    [row] = compare_runs(_two(), ["text", "mix"]).rows(named=True)
    assert (row["recipe_first"], row["only_first"], row["only_second"]) == ("text", 1, 3)
    [row] = compare_runs(_two(budget=10)).rows(named=True)
    assert (row["differs"], row["budget_first"], row["budget_second"]) == ("budget", 10, 30000)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_a_pair_turned_round_is_its_mirror_image(both):
    scores = _two(*zip(*both, strict=True))
    [there], [back] = (compare_runs(scores, order).rows(named=True) for order in (["mix", "text"], ["text", "mix"]))
    assert there["difference"] == pytest.approx(-back["difference"])
    assert there["difference"] == pytest.approx(there["accuracy_first"] - there["accuracy_second"])
    assert (there["only_first"], there["only_second"]) == (back["only_second"], back["only_first"])
    assert there["mcnemar_p"] == back["mcnemar_p"]
    assert there["ci_low"] - 1e-9 <= there["difference"] <= there["ci_high"] + 1e-9


def test_puzzles_that_one_run_scored_are_left_out_and_counted():
    [row] = compare_runs(_two(FIRST[:4], SECOND)).rows(named=True)
    assert (row["n"], row["left_out"]) == (4, 2)
    assert (row["accuracy_first"], row["accuracy_second"]) == (0.75, 0.5)


def test_runs_without_a_puzzle_in_common_are_refused():
    rows = [
        score(run_of(recipe=recipe), "HARD", "text", place, correct=True)
        for place, recipe in enumerate(("mix", "text"))
    ]
    with pytest.raises(DataError, match=r"'mix', .*'text', .* share no puzzle"):
        compare_runs(frame(rows))


def test_a_level_without_a_puzzle_in_common_has_no_numbers(tmp_path):
    rows = answers(run_of(), {("SIMPLE", "text"): [True], ("HARD", "text"): [True]})
    rows += answers(run_of(recipe="text"), {("SIMPLE", "text"): [True]})
    row = compare_runs(frame(rows)).row(1, named=True)
    assert (row["level"], row["n"], row["left_out"]) == ("HARD", 0, 1)
    assert row["accuracy_first"] is row["accuracy_second"] is row["difference"] is None
    assert (row["ci_low"], row["ci_high"], row["mcnemar_p"]) == (-1, 1, 1)
    frame(rows).write_parquet(tmp_path / "a.parquet")
    _, page = written("comparisons", [tmp_path / "a.parquet"], tmp_path)
    assert "| HARD text | 0 | 1 | – | – | – | – | – | – |" in page


def test_the_page_has_a_table_for_each_thing_that_differs(tmp_path):
    rows = _two([True] * 40, [True] * 10 + [False] * 30)
    rows = pl.concat([rows, frame(answers(run_of(budget=60000), {("HARD", "text"): [True] * 40}))])
    rows = pl.concat([rows, rows.with_columns(trained_on=pl.lit("both"))])
    rows.write_parquet(tmp_path / "a.parquet")
    table, page = written("comparisons", [tmp_path / "a.parquet"], tmp_path)
    assert [(row["differs"], row["trained_on"]) for row in table] == [
        ("recipe", "both"), ("budget", "both"), ("recipe", "table_readout"), ("budget", "table_readout"),
    ]  # fmt: skip
    assert (table[0]["difference"], table[0]["mcnemar_p"]) == ("-0.7500", "1.86e-09")
    assert page.count("## Table Readout\n") == 1
    assert "### Another recipe, seed 0\n" in page
    assert "### Another budget, seed 0, trained on both\n" in page
    heads = "| Budget | Model | First | Second | Set | n | omitted | first accuracy | second accuracy | difference |"
    assert heads in page
    low, high = (round(100 * end) for end in bootstrap_interval(0, 30, 40))
    numbers = f"40 | 0 | 25 | 100 | -75 [{low}, {high}] | 0 | 30 | 1.9e-09"
    assert f"| 30,000 | tiny | Text | Mix | HARD text | {numbers} |" in page
    assert "| Mix | tiny | 30,000 | 60,000 | HARD text | 40 | 0 | 100 | 100 | 0 [0, 0] | 0 | 0 | 1 |" in page


def test_a_study_of_one_run_has_nothing_to_compare(tmp_path):
    files = study(tmp_path, puzzles=2, task=["table_readout"], recipe=["mix"], seed=[0])
    table, page = written("comparisons", files, tmp_path)
    assert table == []
    assert page.startswith("# Comparisons\n\nThis study has no two runs of a task that differ in exactly one")
