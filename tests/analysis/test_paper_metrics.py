from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2h.analysis.paper_metrics import COLUMNS, METRICS, paper_metrics
from s2h.analysis.scores import SET, read_scores
from tests.analysis.generated import frame, from_outside, run_of, score, written

GRID = {"exact_match", "partial_score", "source_dest_score", "avg_num_obstacles", "transcription"} | {
    "fraction_objects_collected_score", "all_fraction_objects_collected_score",
}  # fmt: skip
OURS = ["accuracy", "no_answer", "tolerant"]
walks = st.lists(
    st.integers(1, 5).flatmap(lambda objects: st.tuples(st.integers(0, objects), st.just(objects))), min_size=1
)


def _walks(found, **values) -> pl.DataFrame:
    run = run_of(task="grid_navigation")
    counts = [{"objects_collected": collected, "objects": objects} for collected, objects in found]
    scores = frame([score(run, "HARD", "text", place, **values, **each) for place, each in enumerate(counts)])
    return scores.with_columns(external_eval=pl.lit(None, pl.String))


def _values(scores: pl.DataFrame) -> dict[str, tuple[float | None, int]]:
    return {name: (value, n) for name, value, n in paper_metrics(scores).select("metric", "value", "n").rows()}


def test_a_task_has_its_own_metrics_in_order(score_files):
    found = paper_metrics(read_scores(score_files, COLUMNS, external=True))
    assert found.columns == [*SET, "external_eval", "metric", "value", "n"]
    tables = found.filter(task="table_readout", recipe="mix", seed=0, level="HARD", modality="image")
    assert tables["metric"].to_list() == [*OURS, "exact_match", "cot_exact_match", "transcription"]
    grids = found.filter(task="grid_navigation", recipe="mix", seed=0, level="HARD", modality="image")
    assert grids["metric"].to_list() == [name for name in METRICS if name in {*OURS, *GRID}]


def test_means_are_over_predictions_with_a_value(score_files):
    scores = read_scores(score_files, COLUMNS, external=True)
    cell = {"task": "table_readout", "recipe": "mix", "seed": 0, "level": "SIMPLE", "modality": "image"}
    rows, found = scores.filter(**cell), paper_metrics(scores).filter(**cell)
    for name in ("exact_match", "cot_exact_match", "transcription"):
        assert found.filter(metric=name).select("value", "n").row(0) == (pytest.approx(rows[name].mean()), 20)
    text = paper_metrics(scores).filter(**cell | {"modality": "text"}, metric="transcription")
    assert text.select("value", "n").row(0) == (None, 0)


def test_objects_are_shares_of_puzzles_and_of_all_objects():
    found = _values(_walks([(1, 1), (1, 4), (None, 2), (0, 0)]))
    assert found["fraction_objects_collected_score"] == (pytest.approx(0.625), 2)
    assert found["all_fraction_objects_collected_score"] == (pytest.approx(0.4), 2)


@given(walks)
def test_shares_of_objects_are_shares(found):
    values = _values(_walks(found))
    for name in ("fraction_objects_collected_score", "all_fraction_objects_collected_score"):
        assert 0 <= values[name][0] <= 1
        assert values[name][1] == len(found)
    if len({objects for _, objects in found}) == 1:
        assert values["fraction_objects_collected_score"][0] == pytest.approx(
            values["all_fraction_objects_collected_score"][0]
        )


def test_obstacles_are_counted_over_predictions_that_have_a_count():
    walk, other = _walks([(1, 1)], num_obstacles=3), _walks([(1, 1), (1, 1)]).with_columns(level=pl.lit("SIMPLE"))
    scores = pl.concat([walk, other.with_columns(pl.col("level").cast(walk.schema["level"]))])
    found = paper_metrics(scores).filter(metric="avg_num_obstacles").select("level", "value", "n").rows()
    assert found == [("SIMPLE", None, 0), ("HARD", 3.0, 1)]


def test_walks_that_collect_nothing_known_have_no_share():
    found = _values(_walks([(None, 2)]))
    assert found["fraction_objects_collected_score"] == (None, 0)
    assert found["all_fraction_objects_collected_score"] == (None, 0)


def test_a_metric_of_another_tasks_diagnoser_is_averaged_for_that_task_alone():
    dots, tables = run_of(task="dots"), run_of(task="table_readout")
    scores = frame([score(run, "HARD", "text", place) for run in (dots, tables) for place in range(3)])
    scores = scores.with_columns(
        external_eval=pl.lit(None, pl.String), collisions=pl.Series([1.0, 3.0, None, None, None, None])
    )
    found = paper_metrics(scores, ["collisions"]).filter(metric="collisions").select("task", "value", "n").rows()
    assert found == [("dots", 2.0, 2)]


def test_sets_from_outside_stand_beside_the_studys_own(tmp_path):
    scores = _walks([(1, 2), (2, 2)], exact_match=1.0, correct=True).drop("external_eval")
    from_outside(scores).write_parquet(tmp_path / "a.parquet")
    table, page = written("metrics", [tmp_path / "a.parquet"], tmp_path)
    found = [(row["external_eval"], row["value"], row["n"]) for row in table if row["metric"] == "exact_match"]
    assert found == [("", "1.0000", "2"), ("theirs", "1.0000", "2")]
    both = "1.000 | 0.000 | 0.000 | 1.000 |"
    assert page.index(f"| HARD text | {both}") < page.index(f"| HARD text (theirs) | {both}")


def test_table_and_page_are_written(tmp_path):
    values = {"correct": True, "parsed": False, "tolerant": False, "exact_match": 0.5, "partial_score": 1.0}
    scores = _walks([(1, 2), (2, 2)], **values).drop("external_eval")
    scores.write_parquet(tmp_path / "a.parquet")
    table, page = written("metrics", [tmp_path / "a.parquet"], tmp_path)
    assert [(row["metric"], row["value"], row["n"]) for row in table[:6]] == [
        ("accuracy", "1.0000", "2"), ("no_answer", "1.0000", "2"), ("tolerant", "0.0000", "2"),
        ("exact_match", "0.5000", "2"), ("partial_score", "1.0000", "2"), ("avg_num_obstacles", "", "0"),
    ]  # fmt: skip
    assert "## Grid Navigation\n\n### tiny, budget 30,000, seed 0\n" in page
    assert "| Mix | HARD text | 1.000 | 1.000 | 0.000 | 0.500 | 1.000 | – | 0.750 | 0.750 |" in page
