from __future__ import annotations

from typing import get_args

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2h.analysis import failures, paper_metrics
from s2h.analysis.scores import SET, pair_scores, read_scores
from s2h.diagnosis.diagnoser_registry import METRICS
from s2h.diagnosis.diagnosis import Error
from s2h.errors import DataError
from s2h.scoring.score_record import SCHEMA as WRITTEN
from tests.analysis.generated import SCHEMA, answers, frame, from_outside, run_of, score

results = st.dictionaries(st.integers(0, 30), st.booleans(), min_size=1)


def _results(found: dict[int, bool]) -> pl.DataFrame:
    return frame([score(run_of(), "HARD", "text", puzzle, correct=right) for puzzle, right in found.items()])


def test_only_the_columns_that_are_needed_are_read(score_files):
    found = read_scores(score_files, ["correct"])
    assert found.columns == [*SET, "puzzle_id", "correct"]
    assert found.height == 8 * 20 * 4


def test_levels_and_modalities_sort_in_their_order(score_files):
    cells = read_scores(score_files, []).select("level", "modality").unique().sort("level", "modality")
    assert cells.rows() == [("SIMPLE", "text"), ("SIMPLE", "image"), ("HARD", "text"), ("HARD", "image")]


def test_sets_from_outside_are_left_out_unless_asked_for(tmp_path, score_files):
    own = pl.DataFrame(answers(run_of(seed=9), {("HARD", "text"): [True, False]}), schema=SCHEMA)
    from_outside(own).write_parquet(tmp_path / "a.parquet")
    files = [tmp_path / "a.parquet", *score_files[:1]]
    found = read_scores(files, ["correct"])
    assert found.filter(seed=9)["puzzle_id"].to_list() == own["puzzle_id"].to_list()
    assert "external_eval" not in found.columns
    every = read_scores(files, ["correct"], external=True)
    assert every.filter(seed=9)["external_eval"].to_list() == [None, None, "theirs", "theirs"]
    assert every.filter(seed=0)["external_eval"].is_null().all()


def test_columns_without_a_value_in_one_file_meet_those_with_values(tmp_path):
    one, other = (pl.DataFrame(answers(run_of(seed=seed), {("HARD", "text"): [True]})) for seed in (0, 1))
    one.write_parquet(tmp_path / "0.parquet")  # its columns of nulls have no type
    other.with_columns(transcription=pl.lit(0.5)).write_parquet(tmp_path / "1.parquet")
    files = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    assert read_scores(files, ["transcription"])["transcription"].to_list() == [None, 0.5]


def test_a_metric_that_a_file_lacks_is_null(tmp_path):
    one, other = (pl.DataFrame(answers(run_of(seed=seed), {("HARD", "text"): [True]}), SCHEMA) for seed in (0, 1))
    one.write_parquet(tmp_path / "0.parquet")
    other.with_columns(collisions=pl.lit(0.5)).write_parquet(tmp_path / "1.parquet")
    files = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    assert read_scores(files, [], metrics=["collisions"])["collisions"].to_list() == [None, 0.5]


def test_bad_inputs_are_refused(score_files, tmp_path):
    with pytest.raises(DataError, match=r"'grid_navigation', .* more than once: give each score file once"):
        read_scores([score_files[4], score_files[4]], ["correct"])
    with pytest.raises(DataError, match="at least one score file"):
        read_scores([], ["correct"])
    with pytest.raises(DataError, match=r"0\.parquet cannot be read"):
        read_scores(score_files, ["no_such_column"])
    with pytest.raises(DataError, match=r"none\.parquet cannot be read .* run again"):
        read_scores([tmp_path / "none.parquet"], ["correct"])
    row = score(run_of(), "EASY", "text", 0, correct=True)
    pl.DataFrame([row], schema=SCHEMA).write_parquet(tmp_path / "easy.parquet")
    with pytest.raises(DataError, match="EASY"):
        read_scores([tmp_path / "easy.parquet"], ["correct"])


@given(results, results)
def test_pairs_are_counted_puzzle_by_puzzle(first, second):
    [found] = pair_scores(_results(first), _results(second), ["level"]).rows(named=True)
    shared = first.keys() & second.keys()
    assert found == {
        "level": "HARD",
        "scored_first": len(first),
        "scored_second": len(second),
        "n": len(shared),
        "left_out": len(first.keys() ^ second.keys()),
        "right_first": sum(first[puzzle] for puzzle in shared),
        "right_second": sum(second[puzzle] for puzzle in shared),
        "only_first": sum(first[puzzle] and not second[puzzle] for puzzle in shared),
        "only_second": sum(second[puzzle] and not first[puzzle] for puzzle in shared),
    }


@given(results, results)
def test_pairs_turned_round_are_the_same_counts(first, second):
    there, back = (pair_scores(_results(a), _results(b), ["level"]) for a, b in ((first, second), (second, first)))
    turned = {
        name: name.replace("first", "x").replace("second", "first").replace("x", "second") for name in there.columns
    }
    assert back.rename(turned).select(there.columns).equals(there)


def test_a_group_of_one_result_has_no_shared_puzzle():
    first, second = (frame([score(run_of(), level, "text", 0, correct=True)]) for level in ("SIMPLE", "HARD"))
    found = pair_scores(first, second, ["level"])
    assert found.select("level", "n", "left_out", "scored_first").rows() == [("SIMPLE", 0, 1, 1), ("HARD", 0, 1, 0)]


def test_the_columns_that_tables_read_are_those_that_scorings_write():
    others = ("puzzle_id", "external", "set_name", "conversion", "prediction", "tokens")
    for name in (*SET, *others, *failures.COLUMNS, *paper_metrics.COLUMNS):
        assert name in WRITTEN
    assert {name: WRITTEN[name] for name in SCHEMA} == SCHEMA
    assert get_args(Error) == failures.ERRORS
    assert set(paper_metrics.COLUMNS) == {"correct", "parsed", "tolerant", *METRICS}
