from __future__ import annotations

import polars as pl
import pytest

from s2h.analysis.alignment import SCHEMA, read_alignments
from s2h.analysis.study import Study
from s2h.errors import DataError
from s2h.training.alignment import SCHEMA as MEASURED
from tests.analysis.generated import RECIPE_TITLES, TASK_TITLES, aligned, study, written

RUN = "table_readout/mix/30000/tiny/0"


def _written(folder, *files: str) -> tuple[list[dict[str, str]], str]:
    scores = study(folder, puzzles=2, task=["table_readout"], recipe=["mix"], seed=[0])
    made_from = Study([str(file) for file in scores], alignments=files, recipe_titles=RECIPE_TITLES)
    return written("alignment", made_from, folder)


def test_the_columns_are_those_that_are_measured():
    assert list(SCHEMA.items()) == list(MEASURED.items())


def test_all_phases_stand_in_one_table_whatever_the_order_of_files(tmp_path):
    files = [aligned(tmp_path / name, RUN.replace("/0", f"/{name}")) for name in ("7", "3")]
    found = read_alignments(files)
    assert dict(found.schema) == SCHEMA
    assert found["seed"].to_list() == [3] * 4 + [7] * 4
    assert found.equals(read_alignments(files[::-1]))


def test_the_page_sums_up_a_phase_and_the_csv_keeps_small_numbers(tmp_path):
    table, page = _written(tmp_path, aligned(tmp_path / "a", RUN), aligned(tmp_path / "b", RUN.replace("/0", "/1")))
    assert table[0]["inner_product"] == "1e-06"
    line = "| SIMPLE text | HARD image | 1 | 2 | 0.175 | 0.25 | 0.2 | 0.2 | 0.1 | 0.008 | 0.25 |"
    assert line in page
    assert TASK_TITLES["table_readout"] not in page


def test_without_the_optimizers_moments_nothing_is_preconditioned(tmp_path):
    table, page = _written(tmp_path, aligned(tmp_path / "a", RUN, moments=False))
    assert {row["preconditioned_cosine"] for row in table} == {""}
    assert "| 0.175 | 0.25 | – | – |" in page


def test_a_study_that_measured_none_says_how_it_would(tmp_path):
    table, page = _written(tmp_path)
    assert table == []
    assert "No alignment was measured: with training.snapshots of a model above 0" in page


def test_a_file_that_is_no_alignment_is_refused(tmp_path):
    pl.DataFrame({"step": [1]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet cannot be read"):
        read_alignments([str(tmp_path / "a.parquet")])
