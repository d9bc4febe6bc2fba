from __future__ import annotations

import itertools

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2h.analysis.difficulty import SCHEMA, difficulty_curves, read_measures, with_bins
from s2h.analysis.scores import read_scores
from s2h.analysis.seeds import ANY_SEED
from s2h.errors import DataError
from tests.analysis.generated import answers, frame, run_of, whole_study, written


def _measures(values: list[int], level: str = "HARD") -> pl.DataFrame:
    names = [f"table_readout-{level}-eval-{place:07d}" for place in range(len(values))]
    return pl.DataFrame({"puzzle_id": names, "value": values}).with_columns(
        task=pl.lit("table_readout"), level=pl.lit(level), measure=pl.lit("turns")
    )


@given(st.lists(st.integers(0, 500), min_size=1, max_size=60))
def test_bins_hold_every_puzzle_once_and_are_few_and_of_equal_width(values):
    found = with_bins(_measures(values))
    assert found.height == len(values)
    assert (found["value"].is_between(found["low"], found["high"])).all()
    bins = found.select("low", "high").unique().sort("low").rows()
    assert len(bins) <= 12
    assert len({high - low for low, high in bins}) == 1
    assert all(high < low for (_, high), (low, _) in itertools.pairwise(bins))
    if max(values) - min(values) < 12:
        assert all(low == high for low, high in bins)


def test_right_answers_are_counted_in_their_bins():
    scores = frame(answers(run_of(), {("HARD", "text"): [True, True, False], ("HARD", "image"): [True, False, False]}))
    found = difficulty_curves(scores, _measures([3, 5, 5]))
    assert dict(found.schema) == SCHEMA
    assert found.select("modality", "low", "high", "n", "accuracy").rows() == [
        ("text", 3, 3, 1, 1.0), ("text", 5, 5, 2, 0.5), ("image", 3, 3, 1, 1.0), ("image", 5, 5, 2, 0.0),
    ]  # fmt: skip
    assert ((found["ci_low"] <= found["accuracy"]) & (found["accuracy"] <= found["ci_high"])).all()


def test_puzzles_that_nobody_scored_do_not_count():
    scores = frame(answers(run_of(), {("HARD", "text"): [True, False]}))
    found = difficulty_curves(scores, _measures([3, 4, 400]))
    assert found.select("low", "high").rows() == [(3, 3), (4, 4)]


def test_a_puzzle_that_no_shard_holds_is_refused():
    scores = frame(answers(run_of(), {("HARD", "text"): [True, False]}))
    with pytest.raises(DataError, match="table_readout-HARD-eval-0000001 was scored, but the evaluation shards"):
        difficulty_curves(scores, _measures([3]))


def test_each_measure_of_a_task_has_all_of_its_puzzles(tmp_path):
    made_from = whole_study(tmp_path, phases=0)
    measures = read_measures(made_from.shards, made_from.task_settings)
    assert set(measures.filter(task="table_readout")["measure"]) == {"path length", "turns"}
    found = difficulty_curves(read_scores(made_from.score_files, ["correct"]), measures)
    assert set(found.group_by(*ANY_SEED, "measure").agg(pl.col("n").sum())["n"]) == {20}


def test_the_page_has_a_row_for_each_bin_and_a_column_for_each_recipe(tmp_path):
    _, page = written("difficulty", whole_study(tmp_path, phases=0), tmp_path)
    assert "## Table Readout\n\n### tiny, budget 30,000, by path length\n" in page
    assert "| Set | turns | n | Text | Mix |\n" in page
    table = page.partition("by turns")[2]
    assert table.index("| SIMPLE text | 0 |") < table.index("| HARD text |") < table.index("| SIMPLE image |")


def test_a_task_without_measures_says_so(tmp_path):
    _, page = written("difficulty", whole_study(tmp_path, puzzles=2, phases=0, task=["visual_analogy"]), tmp_path)
    assert "No task of this study measures its puzzles." in page
