from __future__ import annotations

import itertools
from pathlib import Path

import polars as pl
import pytest

from s2h.analysis.study import Study
from s2h.analysis.summary import summarise
from s2h.errors import DataError
from tests.analysis.generated import written

RIGHT = {("SIMPLE", "text"): 20, ("SIMPLE", "image"): 19, ("HARD", "text"): 15, ("HARD", "image"): 2}
TITLES = {"text_only": "Text", "mix": "Mix", "align_mix": "Align-Mix"}
TASKS = {"table_readout": "Table Readout"}


def _scores(
    path: Path,
    *,
    recipe="mix",
    budget=30000,
    seed=0,
    task="table_readout",
    right=RIGHT,
    n=20,
    joint=None,
    unread=0,
    tolerant=0,
):
    rows = [
        {
            "puzzle_id": f"{task}-{level}-{i}",
            "task": task,
            "trained_on": joint or task,
            "recipe": recipe,
            "budget": budget,
            "model": "tiny",
            "seed": seed,
            "level": level,
            "modality": modality,
            "parsed": i < n - unread,
            "tolerant": i < tolerant,
            "correct": i < successes,
            "chain_correct": i < successes // 2,
            "exact_match": float(i < successes // 2 + 1),
            "set_name": f"{task}-{level}-{modality}",
            "external": False,
            "conversion": "free",
        }
        for (level, modality), successes in right.items()
        for i in range(n)
    ]
    pl.DataFrame(rows).sample(fraction=1, shuffle=True, seed=0).write_parquet(path)
    return path


def _write(files, folder: Path) -> tuple[list[dict[str, str]], str]:
    made_from = Study([str(file) for file in files], recipe_titles=TITLES, task_titles=TASKS)
    return written("summary", made_from, folder / "tables")


def test_counts_shares_and_intervals(tmp_path):
    frame = summarise([_scores(tmp_path / "a.parquet")])
    expected = ["task", "trained_on", "recipe", "budget", "model", "seed", "level", "modality", "n", "correct"]
    exact = ["exact_match", "exact_ci_low", "exact_ci_high"]
    assert frame.columns == [
        *expected,
        "accuracy",
        "ci_low",
        "ci_high",
        *exact,
        "chain_accuracy",
        "no_answer",
        "tolerant",
    ]
    hard = frame.filter(pl.col("level") == "HARD", pl.col("modality") == "text").row(0, named=True)
    assert (hard["n"], hard["correct"], hard["accuracy"], hard["chain_accuracy"]) == (20, 15, 0.75, 0.35)
    assert (hard["ci_low"], hard["ci_high"]) == pytest.approx((0.5313, 0.8881), abs=1e-4)
    assert hard["exact_match"] == 0.4
    assert (hard["exact_ci_low"], hard["exact_ci_high"]) == pytest.approx((0.2188, 0.6134), abs=1e-4)


def test_predictions_without_an_answer_are_shown_and_so_are_answers_in_another_dress(tmp_path):
    right = {("HARD", "text"): 3, ("HARD", "image"): 3}
    files = [
        _scores(tmp_path / "a.parquet", right=right, unread=5, tolerant=2),
        _scores(tmp_path / "b.parquet", right=right, recipe="text_only"),
    ]
    rows, page = _write(files, tmp_path)
    assert {(row["recipe"], row["no_answer"], row["tolerant"]) for row in rows} == {
        ("mix", "0.2500", "2"),
        ("text_only", "0.0000", "0"),
    }
    assert page.count("|  | no answer | 25 | 25 |\n") == 1
    assert (
        "No answer: predictions without an answer that can be read, which count as wrong. 4 answers were only" in page
    )
    _, page = _write(files[1:], tmp_path)
    assert "no answer" not in page.lower()
    assert "tolerant" not in page


def test_a_task_without_the_papers_metric_has_no_exact_match(tmp_path):
    scores = pl.read_parquet(_scores(tmp_path / "a.parquet")).drop("exact_match")
    scores.write_parquet(tmp_path / "a.parquet")
    rows, page = _write([tmp_path / "a.parquet"], tmp_path)
    assert {row["exact_match"] for row in rows} == {row["exact_ci_low"] for row in rows} == {""}
    assert "| Mix | answer |" in page
    assert "| exact match |" not in page


def test_rows_are_in_order_whatever_the_order_of_the_files(tmp_path):
    right = {(level, modality): 1 for level in ("HARD", "MEDIUM", "SIMPLE") for modality in ("image", "text")}
    files = [_scores(tmp_path / f"{r}.parquet", recipe=r, right=right) for r in TITLES]
    frame = summarise(files)
    assert frame.equals(summarise(files[::-1]))
    cells = list(itertools.product(("SIMPLE", "MEDIUM", "HARD"), ("text", "image")))
    assert list(frame.filter(pl.col("recipe") == "mix").select("level", "modality").iter_rows()) == cells


def test_csv_has_four_decimals(tmp_path):
    rows, _ = _write([_scores(tmp_path / "a.parquet")], tmp_path)
    assert [row["accuracy"] for row in rows] == ["1.0000", "0.9500", "0.7500", "0.1000"]
    assert rows[0]["n"] == "20"


def test_page_has_a_table_for_each_budget_and_a_row_for_each_recipe(tmp_path):
    files = [
        _scores(tmp_path / "mix.parquet"),
        _scores(tmp_path / "text.parquet", recipe="text_only", right={("SIMPLE", "text"): 10}),
        _scores(tmp_path / "other.parquet", recipe="my_own"),
        _scores(tmp_path / "large.parquet", budget=60000, n=40),
    ]
    _, page = _write(files, tmp_path)
    assert page.count("## Table Readout\n") == 1
    assert page.index("### tiny, budget 30,000\n") < page.index("### tiny, budget 60,000\n")
    table = [line for line in page.split("### tiny, budget 60")[0].splitlines() if line.startswith("|")]
    assert table[0] == "| Recipe | Score | SIMPLE text | SIMPLE image | HARD text | HARD image |"
    answers = "answer | 100 [84, 100] | 95 [76, 99] | 75 [53, 89] | 10 [3, 30] |"
    exact = "exact match | 55 [34, 74] | 50 [30, 70] | 40 [22, 61] | 10 [3, 30] |"
    assert table[2] == "| Text | answer | 50 [30, 70] | – | – | – |"
    assert table[3] == "|  | exact match | 30 [15, 52] | – | – | – |"
    assert table[4:] == [f"| Mix | {answers}", f"|  | {exact}", f"| my_own | {answers}", f"|  | {exact}"]
    assert "n = 20 new puzzles" in page
    assert "n = 40 new puzzles" in page


def test_several_seeds_stand_one_below_the_other(tmp_path):
    files = [_scores(tmp_path / f"{seed}.parquet", seed=seed) for seed in (1, 0)]
    _, page = _write([*files, _scores(tmp_path / "text.parquet", recipe="text_only")], tmp_path)
    table = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("|")]
    found = [tuple(cell.strip() for cell in row) for row in table]
    assert found[0] == ("Recipe", "Seed", "Score")
    text, mix = [("Text", "0", "answer")], [("Mix", "0", "answer"), ("Mix", "1", "answer")]
    assert [row for row in found if row[2] == "answer"] == text + mix


def test_columns_that_were_not_scored_are_left_out(tmp_path):
    _, page = _write([_scores(tmp_path / "a.parquet", right={("SIMPLE", "text"): 5, ("MEDIUM", "text"): 5})], tmp_path)
    assert "| Recipe | Score | SIMPLE text | MEDIUM text |\n" in page


def test_bad_inputs_are_refused(tmp_path):
    path = _scores(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="more than once"):
        summarise([path, path])
    with pytest.raises(DataError, match="no scores"):
        summarise([])
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"torn\.parquet"):
        summarise([tmp_path / "torn.parquet"])


def test_tasks_trained_together_stand_beside_those_trained_alone(tmp_path):
    files = [_scores(tmp_path / "alone.parquet"), _scores(tmp_path / "joint.parquet", joint="all_tasks")]
    rows, page = _write(files, tmp_path)
    assert {row["trained_on"] for row in rows} == {"table_readout", "all_tasks"}
    assert len(rows) == 8
    assert "| Mix | answer |" in page
    assert "| Mix (all_tasks) | answer |" in page
