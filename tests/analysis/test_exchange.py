from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from s2h.analysis.exchange import measure_exchange, read_pairs
from s2h.analysis.scores import SET
from s2h.analysis.statistics import wilson_interval
from tests.analysis.generated import frame, run_of, score, whole_study, written

GOLD = ["1", "2", "3", "1", "4", "2"]
"""The right answers of three pairs."""


def _scores(given: list[str], modality: str = "image") -> pl.DataFrame:
    run = run_of(task="visual_analogy")
    rows = [
        score(run, "HARD", modality, place, answer=answer, gold=gold, correct=answer == gold)
        for place, (answer, gold) in enumerate(zip(given, GOLD, strict=False))
    ]
    return frame(rows)


def _pairs(number: int = len(GOLD)) -> pl.DataFrame:
    names = [f"visual_analogy-HARD-eval-{place:07d}" for place in range(number)]
    return pl.DataFrame({"puzzle_id": names, "pair": [place // 2 for place in range(number)]})


def _row(given: list[str]) -> dict[str, Any]:
    return measure_exchange(_scores(given), _pairs()).row(0, named=True)


def test_a_model_that_follows_the_examples_has_both_right():
    row = _row(GOLD)
    assert (row["pairs"], row["accuracy"], row["both_right"], row["same_answer"]) == (3, 1.0, 1.0, 0.0)
    assert (row["ci_low"], row["ci_high"]) == wilson_interval(3, 3)


def test_a_model_that_ignores_the_examples_has_never_both_right():
    row = _row(["1", "1", "1", "1", "3", "3"])
    assert (row["accuracy"], row["both_right"], row["same_answer"]) == (2 / 6, 0.0, 1.0)


def test_two_answers_that_cannot_be_read_are_not_the_same_answer():
    row = _row(["", "", "3", "1", "2", "2"])
    assert (row["both_right"], row["same_answer"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_a_pair_of_which_one_puzzle_was_not_scored_does_not_count():
    found = measure_exchange(_scores(GOLD[:3]), _pairs())
    assert found.select("pairs", "both_right").rows() == [(1, 1.0)]
    assert measure_exchange(_scores(GOLD[:1]), _pairs()).is_empty()


def test_each_set_has_a_row():
    scores = pl.concat([_scores(GOLD), _scores(["1"] * 6, "text")])
    found = measure_exchange(scores, _pairs())
    assert found.columns == [*SET, "pairs", "accuracy", "both_right", "ci_low", "ci_high", "same_answer"]
    assert found.select("modality", "both_right").rows() == [("text", 0.0), ("image", 1.0)]


def test_pairs_stand_beside_each_other_in_the_shards_of_paired_tasks(tmp_path):
    made_from = whole_study(tmp_path, puzzles=4, phases=0, task=["visual_analogy", "grid_navigation"])
    found = read_pairs(made_from.shards, made_from.task_settings).filter(pl.col("puzzle_id").str.contains("HARD"))
    assert found.sort("puzzle_id").rows() == _pairs(4).rows()


def test_the_page_says_what_was_found(tmp_path):
    rows, page = written("exchange", whole_study(tmp_path, puzzles=6, phases=0, task=["visual_analogy"]), tmp_path)
    assert {row["pairs"] for row in rows} == {"3"}
    assert "| Recipe | Set | pairs | accuracy | both right | same answer |\n" in page
    assert "| Text | SIMPLE text | 3 |" in page


def test_a_study_without_pairs_says_so(tmp_path):
    _, page = written("exchange", whole_study(tmp_path, puzzles=2, phases=0, task=["grid_navigation"]), tmp_path)
    assert "No task of this study has evaluation puzzles in pairs." in page
