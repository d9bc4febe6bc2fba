from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2h.analysis.gaps import LEVEL_GAP, MODALITY_GAP, measure_gaps
from s2h.analysis.scores import RUN, read_scores
from s2h.analysis.statistics import bootstrap_interval, independent_bootstrap_interval
from s2h.errors import DataError
from tests.analysis.generated import answers, frame, run_of, score, written

RIGHT = {
    ("SIMPLE", "text"): [True] * 9 + [False],
    ("SIMPLE", "image"): [True] * 7 + [False] * 2 + [True],
    ("HARD", "text"): [True] * 6 + [False] * 2,
    ("HARD", "image"): [True] * 2 + [False] * 6,
}
columns = st.lists(st.booleans(), min_size=1, max_size=40)


def _gap(found: pl.DataFrame, gap: str, of: str) -> dict[str, object]:
    rows = found.filter(pl.col("gap") == gap, pl.coalesce("level", "modality") == of)
    return rows.row(0, named=True)


def test_the_modality_gap_is_text_minus_image_on_the_same_puzzles():
    found = measure_gaps(frame(answers(run_of(), RIGHT)))
    assert found.columns == [
        *RUN, "gap", "level", "modality", "points", "ci_low", "ci_high", "n_first", "n_second",
    ]  # fmt: skip
    gap = _gap(found, MODALITY_GAP, "SIMPLE")
    assert (gap["modality"], gap["n_first"], gap["n_second"]) == (None, 10, 10)
    assert gap["points"] == pytest.approx(0.1)
    assert (gap["ci_low"], gap["ci_high"]) == bootstrap_interval(2, 1, 10)


def test_the_level_gap_is_simple_minus_hard_on_different_puzzles():
    gap = _gap(measure_gaps(frame(answers(run_of(), RIGHT))), LEVEL_GAP, "image")
    assert (gap["level"], gap["n_first"], gap["n_second"]) == (None, 10, 8)
    assert gap["points"] == pytest.approx(0.8 - 0.25)
    assert (gap["ci_low"], gap["ci_high"]) == independent_bootstrap_interval(8, 10, 2, 8)


def test_each_run_has_its_gaps_in_order(score_files):
    scores = read_scores(score_files, ["correct"])
    found = measure_gaps(scores)
    cells = [(LEVEL_GAP, None, "text"), (LEVEL_GAP, None, "image")]
    cells += [(MODALITY_GAP, "SIMPLE", None), (MODALITY_GAP, "HARD", None)]
    assert found.select("gap", "level", "modality").rows() == cells * 8
    assert found.select(RUN).unique(maintain_order=True).rows() == sorted(scores.select(RUN).unique().rows())
    assert found.equals(measure_gaps(read_scores(score_files[::-1], ["correct"])))


def test_puzzles_that_were_scored_in_one_modality_do_not_count():
    rows = answers(run_of(), {("HARD", "text"): [True, True, False, True], ("HARD", "image"): [False, True]})
    gap = _gap(measure_gaps(frame(rows)), MODALITY_GAP, "HARD")
    assert (gap["points"], gap["n_first"]) == (0.5, 2)


def test_a_gap_with_one_side_has_no_row():
    right = {("SIMPLE", "text"): [True], ("MEDIUM", "text"): [True], ("MEDIUM", "image"): [False]}
    found = measure_gaps(frame(answers(run_of(), right)))
    assert found.select("gap", "level").rows() == [(MODALITY_GAP, "MEDIUM")]


def test_modalities_without_a_puzzle_in_common_are_refused():
    rows = [score(run_of(), "HARD", modality, place, correct=True) for place, modality in enumerate(("text", "image"))]
    with pytest.raises(DataError, match=r"'mix', 30000, 'tiny', 0, 'HARD'\) share no puzzle"):
        measure_gaps(frame(rows))


@settings(max_examples=25, deadline=None)
@given(columns, st.data())
def test_gaps_are_differences_of_accuracy_and_lie_in_their_intervals(text, data):
    image = data.draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    hard = data.draw(columns)
    right = {("SIMPLE", "text"): text, ("SIMPLE", "image"): image, ("HARD", "text"): hard}
    found = measure_gaps(frame(answers(run_of(), right)))
    share = {cell: sum(column) / len(column) for cell, column in right.items()}
    modality, level = _gap(found, MODALITY_GAP, "SIMPLE"), _gap(found, LEVEL_GAP, "text")
    assert modality["points"] == pytest.approx(share["SIMPLE", "text"] - share["SIMPLE", "image"])
    assert level["points"] == pytest.approx(share["SIMPLE", "text"] - share["HARD", "text"])
    for gap in (modality, level):
        assert gap["ci_low"] - 1e-9 <= gap["points"] <= gap["ci_high"] + 1e-9


def test_table_and_page_are_written(tmp_path):
    for seed in (0, 1):
        rows = answers(run_of(seed=seed), RIGHT if seed else RIGHT | {("HARD", "text"): [True] * 8})
        frame(rows).write_parquet(tmp_path / f"{seed}.parquet")
    gaps, page = written("gaps", [tmp_path / "0.parquet", tmp_path / "1.parquet"], tmp_path)
    assert [row["points"] for row in gaps[:4]] == ["-0.1000", "0.5500", "0.1000", "0.7500"]
    assert page.count("## Table Readout\n") == 1
    assert page.index("### tiny, budget 30,000, seed 0") < page.index("### tiny, budget 30,000, seed 1")
    assert "| Recipe | SIMPLE→HARD text | SIMPLE→HARD image | text→image SIMPLE | text→image HARD |" in page
    low, high = (round(100 * end) for end in bootstrap_interval(2, 1, 10))
    assert f"| 10 [{low}, {high}] | 75 [" in page


def test_what_was_not_scored_has_no_number(tmp_path):
    frame(answers(run_of(), RIGHT)).write_parquet(tmp_path / "a.parquet")
    text = answers(run_of(recipe="text"), {("SIMPLE", "text"): [True], ("HARD", "text"): [False]})
    frame(text).write_parquet(tmp_path / "b.parquet")
    _, page = written("gaps", [tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path)
    assert "| Text | 100 [100, 100] | – | – | – |" in page


def test_a_study_without_a_gap_says_so(tmp_path):
    frame(answers(run_of(), {("HARD", "text"): [True]})).write_parquet(tmp_path / "a.parquet")
    table, page = written("gaps", [tmp_path / "a.parquet"], tmp_path)
    assert table == []
    assert page.startswith("# Gaps\n\nNo run was scored on both sides of a gap.\n")
