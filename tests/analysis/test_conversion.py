from __future__ import annotations

import pytest

from s2h.analysis.conversion import SCHEMA, measure_conversion
from s2h.analysis.scores import read_scores
from s2h.analysis.statistics import wilson_interval
from tests.analysis.generated import frame, run_of, score, written

CONVERTED, DIRECT = "Converted to text:\n\nn a:7", "n a 7 = 7\nAnswer: 7\n\nConverted to text:"


def _response(puzzle, prediction, correct, *, modality="image", seed=0, **values):
    return score(
        run_of(seed=seed),
        "HARD",
        modality,
        puzzle,
        prediction=prediction,
        correct=correct,
        chain_correct=False,
        **values,
    )


RESPONSES = [
    _response(0, CONVERTED, True, tokens=30, transcription=1.0),
    _response(1, f"\n {CONVERTED}", False, tokens=20, transcription=0.9),
    _response(2, "Converted  to\ntext: n a:7", True, tokens=34, transcription=1.0),
    _response(3, DIRECT, False, tokens=16),
    _response(0, CONVERTED, True, modality="text", tokens=500),
    *(_response(puzzle, CONVERTED, True, conversion="forced", transcription=1.0) for puzzle in range(4)),
    *(_response(puzzle, DIRECT, puzzle == 0, conversion="forbidden", tokens=10) for puzzle in range(4)),
]


def test_responses_that_convert_are_told_from_the_others():
    found = measure_conversion(frame(RESPONSES))
    assert dict(found.schema) == SCHEMA
    assert found["n"].to_list() == [4, 4, 4]
    free, forced, forbidden = found.rows(named=True)
    assert [row["conversion"] for row in (free, forced, forbidden)] == ["free", "forced", "forbidden"]
    assert (free["converted"], free["tokens"], free["accuracy"]) == (0.75, 25, 0.5)
    assert (free["ci_low"], free["ci_high"]) == pytest.approx(wilson_interval(2, 4))
    assert (free["accuracy_converted"], free["accuracy_direct"]) == (pytest.approx(2 / 3), 0)
    assert free["transcription_exact"] == pytest.approx(2 / 3)
    assert (forced["converted"], forced["tokens"], forced["accuracy_direct"]) == (1, None, None)
    assert (forbidden["converted"], forbidden["accuracy_converted"], forbidden["transcription_exact"]) == (
        0,
        None,
        None,
    )
    assert (forbidden["accuracy_direct"], forbidden["accuracy"]) == (0.25, 0.25)


def test_other_tables_read_the_free_conversion_alone(tmp_path):
    frame(RESPONSES).write_parquet(tmp_path / "a.parquet")
    assert read_scores([tmp_path / "a.parquet"], ["correct"]).height == 5
    rows, _ = written("summary", [tmp_path / "a.parquet"], tmp_path)
    assert {(row["modality"], row["n"]) for row in rows} == {("text", "1"), ("image", "4")}
    rows, _ = written("costs", [tmp_path / "a.parquet"], tmp_path)
    assert [row["predictions"] for row in rows] == ["13"]


def test_the_page_averages_over_seeds(tmp_path):
    second = [_response(puzzle, CONVERTED, True, seed=1, tokens=41, transcription=1.0) for puzzle in range(4)]
    frame([*RESPONSES, *second]).write_parquet(tmp_path / "a.parquet")
    rows, page = written("conversion", [tmp_path / "a.parquet"], tmp_path)
    assert [(row["seed"], row["conversion"]) for row in rows] == [
        ("0", "free"), ("0", "forced"), ("0", "forbidden"), ("1", "free"),
    ]  # fmt: skip
    low, high = (round(100 * end) for end in wilson_interval(3, 4))
    assert f"| Mix | HARD | free | 88 | 33 | 75 [{low}, {high}] ± 35.4 | 83 | 0 | 83 |\n" in page
    assert "|  |  | forced | 100 | – | 100 [51, 100] | 100 | – | 100 |\n" in page


def test_a_study_without_images_says_so(tmp_path):
    frame([_response(0, DIRECT, True, modality="text")]).write_parquet(tmp_path / "a.parquet")
    rows, page = written("conversion", [tmp_path / "a.parquet"], tmp_path)
    assert rows == []
    assert "No run was scored on images." in page
