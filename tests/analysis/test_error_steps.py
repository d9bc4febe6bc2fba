from __future__ import annotations

import polars as pl
import pytest

from s2h.analysis.error_steps import SCHEMA, count_error_steps
from s2h.analysis.failures import COLUMNS
from s2h.analysis.scores import read_scores
from tests.analysis.generated import frame, run_of, score, written


def _prediction(place, correct, error=None, step=None, *, seed=0, level="HARD"):
    told = {"correct": correct, "chain_correct": False, "error": error, "first_error_step": step}
    return score(run_of(seed=seed), level, "image", place, **told)


PREDICTIONS = [
    _prediction(0, True),
    _prediction(1, True, "arithmetic", 1),
    _prediction(2, False, "perception", 2),
    _prediction(3, False, "perception", 0),
    _prediction(4, False, "format"),
    *(_prediction(place, False, "perception", 2, seed=1) for place in range(5)),
    _prediction(0, False, "reasoning", 12, level="SIMPLE"),
    _prediction(1, True, level="SIMPLE"),
]


def test_errors_are_counted_by_their_step_over_all_seeds_whether_the_answer_is_right_or_not():
    found = count_error_steps(frame(PREDICTIONS))
    assert dict(found.schema) == SCHEMA
    hard = found.filter(level="HARD")
    assert hard.select("step", "error", "errors", "right", "predictions", "share").rows() == [
        (0, "perception", 1, 0, 10, 0.1),
        (1, "arithmetic", 1, 1, 10, 0.1),
        (2, "perception", 6, 0, 10, pytest.approx(0.6)),
        (None, "format", 1, 0, 10, 0.1),
    ]


def test_every_error_is_counted_once(score_files):
    scores = read_scores(score_files, COLUMNS)
    found = count_error_steps(scores)
    flawed = scores.filter(pl.col("error").is_not_null())
    assert (found["errors"].sum(), found["right"].sum()) == (flawed.height, flawed["correct"].sum())
    assert found["predictions"].unique().to_list() == [40]


def test_the_page_has_a_column_for_each_step_that_occurs(tmp_path):
    frame(PREDICTIONS).write_parquet(tmp_path / "a.parquet")
    _, page = written("error_steps", [tmp_path / "a.parquet"], tmp_path)
    heads = "predictions | with an error | right | before | step 1 | step 2 | step 9 or later | no step"
    assert f"| Recipe | Set | {heads} |\n" in page
    assert "| Mix | SIMPLE image | 2 | 50 | 0 | 0 | 0 | 0 | 50 | 0 |\n" in page
    assert "| HARD image | 10 | 90 | 10 | 10 | 10 | 60 | 0 | 10 |\n" in page


def test_a_study_without_an_error_says_so(tmp_path):
    frame([_prediction(0, True)]).write_parquet(tmp_path / "a.parquet")
    table, page = written("error_steps", [tmp_path / "a.parquet"], tmp_path)
    assert table == []
    assert "No prediction has an error." in page
