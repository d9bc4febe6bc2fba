from __future__ import annotations

import pytest

from s2h.analysis.scores import read_scores
from s2h.analysis.seeds import measure_spread
from tests.analysis.generated import answers, frame, run_of, study, written

RIGHT = {("SIMPLE", "text"): [True] * 9 + [False], ("HARD", "text"): [True] * 6 + [False] * 2}


def test_the_spread_is_that_of_the_seeds_accuracies():
    rows = [
        row
        for seed, share in enumerate((1, 2, 3))
        for row in answers(run_of(seed=seed), {("HARD", "text"): [True] * share + [False] * (4 - share)})
    ]
    rows += answers(run_of(seed=7, recipe="text"), {("HARD", "text"): [True, False]})
    found = measure_spread(frame(rows)).select("recipe", "n_seeds", "mean", "sd", "min", "max")
    assert found.row(0) == ("mix", 3, pytest.approx(0.5), pytest.approx(0.25), 0.25, 0.75)
    assert found.row(1) == ("text", 1, 0.5, None, 0.5, 0.5)


def test_runs_of_different_budgets_and_models_are_not_seeds_of_each_other(tmp_path):
    scores = read_scores(study(tmp_path, puzzles=4, budget=[1, 2], model=["a", "b"], seed=[0, 1, 2]), ["correct"])
    found = measure_spread(scores)
    assert found.height == 2 * 2 * 2 * 2 * 4
    assert set(found["n_seeds"]) == {3}


def test_table_and_page_are_written(tmp_path):
    for seed in (0, 1):
        rows = answers(run_of(seed=seed), RIGHT if seed else RIGHT | {("HARD", "text"): [True] * 8})
        frame(rows).write_parquet(tmp_path / f"{seed}.parquet")
    seeds, page = written("seeds", [tmp_path / "0.parquet", tmp_path / "1.parquet"], tmp_path)
    assert [row["sd"] for row in seeds] == ["0.0000", "0.1768"]
    assert page.count("## Table Readout\n") == 1
    assert "### tiny, budget 30,000\n" in page
    assert "| Mix | 90.0 ± 0.0 (90 to 90; 2) | 87.5 ± 17.7 (75 to 100; 2) |" in page


def test_one_seed_has_no_spread_and_what_was_not_scored_no_number(tmp_path):
    frame(answers(run_of(), RIGHT)).write_parquet(tmp_path / "a.parquet")
    frame(answers(run_of(recipe="text"), {("SIMPLE", "text"): [True]})).write_parquet(tmp_path / "b.parquet")
    seeds, page = written("seeds", [tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path)
    assert {row["sd"] for row in seeds} == {""}
    assert "| Text | 100 | – |" in page
    assert "| Mix | 90 | 75 |" in page
