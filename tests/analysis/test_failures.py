from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2h.analysis.failures import COLUMNS, ERRORS, OUTCOMES, count_errors, explain_failures
from s2h.analysis.scores import SET, read_scores
from s2h.errors import DataError
from tests.analysis.generated import frame, run_of, score, written


def prediction(correct, chain_correct, error=None, kind=None, step=None):
    return {
        "correct": correct, "chain_correct": chain_correct, "error": error, "error_detail": kind,
        "first_error_step": step,
    }  # fmt: skip


PREDICTIONS = [
    prediction(True, True),
    prediction(True, False),
    prediction(True, False, "arithmetic", "sum", 4),
    prediction(False, False, "perception", "value", 2),
    prediction(False, False, "perception", "value", 3),
    prediction(False, False, "perception", "row", 0),
    prediction(False, False, "format"),
    prediction(False, False, "unexplained"),
]
predictions = st.one_of(
    st.just(prediction(True, True)),
    st.builds(prediction, st.just(True), st.just(False), st.none() | st.sampled_from(ERRORS)),
    st.builds(prediction, st.just(False), st.just(False), st.sampled_from(ERRORS), st.sampled_from(["a", None])),
)


def _scores(found, modality="text") -> pl.DataFrame:
    return frame([score(run_of(), "HARD", modality, place, **values) for place, values in enumerate(found)])


def test_predictions_are_counted_by_what_becomes_of_them():
    found = explain_failures(_scores(PREDICTIONS))
    assert found.columns == [*SET, "n", *OUTCOMES, "mean_first_error_step", "most_frequent"]
    [row] = found.rows(named=True)
    assert row["n"] == 8
    assert [8 * row[name] for name in OUTCOMES] == [1, 0, 1, 1, 1, 3, 0, 0, 0, 1]
    assert row["mean_first_error_step"] == 2.25
    assert row["most_frequent"] == "perception: value (2), arithmetic: sum (1), format (1)"


@given(st.lists(predictions, min_size=1, max_size=50))
def test_shares_add_up_to_one(found):
    row = explain_failures(_scores(found)).row(0, named=True)
    assert sum(row[name] for name in OUTCOMES) == pytest.approx(1)
    right = sum(row[name] for name in OUTCOMES if name.startswith("correct"))
    assert right == pytest.approx(sum(each["correct"] for each in found) / len(found))
    assert row["correct_valid_cot"] == sum(each["chain_correct"] for each in found) / len(found)


def test_permuted_values_are_counted_apart_whether_the_answer_is_right_or_not():
    permuted = [prediction(correct, False, "permuted", "value", 1) for correct in (True, True, False)]
    [row] = explain_failures(_scores([*permuted, prediction(True, False, "perception", "value", 1)])).rows(named=True)
    assert {name: row[name] for name in OUTCOMES if row[name]} == {
        "correct_permuted_cot": 0.5, "correct_invalid_cot": 0.25, "permuted": 0.25,
    }  # fmt: skip
    assert row["most_frequent"] == "permuted: value (3), perception: value (1)"


def test_shares_add_up_to_one_for_every_run(score_files):
    found = explain_failures(read_scores(score_files, COLUMNS))
    assert found.height == 8 * 4
    assert found.select(pl.sum_horizontal(OUTCOMES)).to_series().to_list() == pytest.approx([1.0] * 32)


def test_pairs_are_counted_most_frequent_first():
    found = count_errors(_scores(PREDICTIONS)).select("error", "error_detail", "count").rows()
    assert found[0] == ("perception", "value", 2)
    assert sorted(found[1:], key=str) == [
        ("arithmetic", "sum", 1), ("format", None, 1), ("perception", "row", 1), ("unexplained", None, 1),
    ]  # fmt: skip


def test_nothing_wrong_has_no_step_and_no_pair():
    row = explain_failures(_scores([prediction(True, True)])).row(0, named=True)
    assert row["mean_first_error_step"] is row["most_frequent"] is None


@pytest.mark.parametrize("error", [None, "tiredness"])
def test_a_wrong_prediction_needs_a_known_error(error):
    with pytest.raises(DataError, match=rf"'HARD', 'text'\) has the error {error}, expected one of format"):
        explain_failures(_scores([prediction(True, True), prediction(False, False, error)]))


def test_table_and_page_are_written(tmp_path):
    scores = pl.concat([_scores(PREDICTIONS), _scores([prediction(True, True)], modality="image")])
    scores.write_parquet(tmp_path / "a.parquet")
    table, page = written("failures", [tmp_path / "a.parquet"], tmp_path)
    assert [table[0][name] for name in ("correct_valid_cot", "perception", "mean_first_error_step")] == [
        "0.1250", "0.3750", "2.2500",
    ]  # fmt: skip
    assert "## Table Readout\n\n### tiny, budget 30,000, seed 0\n" in page
    assert "| Mix | HARD text | 8 | 12 | 0 | 12 | 12 | 12 | 38 | 0 | 0 | 0 | 12 | 2.2 | perception: value (2), " in page
    assert "| HARD image | 1 | 100 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | – | – |" in page
