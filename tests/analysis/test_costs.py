from __future__ import annotations

import json

import polars as pl
import pytest

from s2h.analysis.costs import SCHEMA, measure_costs, to_page, training_costs
from s2h.analysis.pages import render_markdown
from s2h.errors import DataError
from tests.analysis.generated import from_outside, study, trained, whole_study, written

RUN = "table_readout/mix/30000/tiny/0"


def _one(folder, models) -> dict[str, object]:
    files = study(folder, puzzles=5, task=["table_readout"], recipe=["mix"], seed=[0])
    found = measure_costs([str(file) for file in files], models)
    assert dict(found.schema) == SCHEMA
    [row] = found.rows(named=True)
    return row


def test_phases_are_added_up(tmp_path):
    row = _one(tmp_path, {RUN: [trained(tmp_path / "1"), trained(tmp_path / "2", steps=50, gpus=4, parameters=2000)]})
    assert (row["phases"], row["parameters"], row["processes"], row["gpus"]) == (2, 2000, 2, 4)
    assert (row["examples"], row["tokens"], row["target_tokens"], row["steps"]) == (2990, 150_000, 60_000, 300)
    assert row["training_hours"] == pytest.approx(600 / 3600)
    assert row["gpu_hours"] == pytest.approx((500 * 2 + 100 * 4) / 3600)
    assert row["process_hours"] == pytest.approx(1200 / 3600)
    assert row["examples_per_second"] == pytest.approx(2990 / 600)
    assert row["tokens_per_second"] == pytest.approx(250)


def test_predictions_cost_tokens_and_seconds(tmp_path):
    row = _one(tmp_path, {RUN: [trained(tmp_path / "1")]})
    scores = pl.read_parquet(tmp_path / "0.parquet")
    assert (row["predictions"], row["prediction_tokens"]) == (20, scores["tokens"].sum())
    assert row["decoding_hours"] == pytest.approx(scores["seconds"].sum() / 3600)
    assert row["predictions_per_second"] == pytest.approx(20 / scores["seconds"].sum())


def test_predictions_to_sets_from_outside_cost_too(tmp_path):
    [file] = study(tmp_path, puzzles=5, task=["table_readout"], recipe=["mix"], seed=[0])
    from_outside(pl.read_parquet(file)).write_parquet(file)
    assert measure_costs([str(file)], {})["predictions"].to_list() == [40]


def test_what_was_not_trained_has_no_cost_of_training(tmp_path):
    row = _one(tmp_path, {RUN: []})
    assert row["phases"] == 0
    assert {row[name] for name in list(SCHEMA)[7:21]} == {None}
    assert row["predictions"] == 20


def test_a_manifest_of_before_gpus_were_counted_has_none(tmp_path):
    row = _one(tmp_path, {RUN: [trained(tmp_path / "1", gpus=None)]})
    assert (row["gpus"], row["gpu_hours"]) == (0, 0)


def test_speeds_are_means_over_time_and_memory_a_peak(tmp_path):
    first = {"tflops_per_second": 100.0, "mfu": 0.1, "data_wait": 0.5, "peak_memory_gb": 60.0}
    second = {"tflops_per_second": 400.0, "mfu": 0.4, "peak_memory_gb": 40.0}
    row = _one(
        tmp_path,
        {RUN: [trained(tmp_path / "1", measured=first), trained(tmp_path / "2", steps=500, measured=second)]},
    )
    assert row["tflops_per_second"] == pytest.approx((100 + 2 * 400) / 3)
    assert row["mfu"] == pytest.approx((0.1 + 2 * 0.4) / 3)
    assert (row["data_wait"], row["peak_memory_gb"]) == (0.5, 60)


def test_a_training_that_went_on_with_newer_code_has_the_speed_of_its_newer_steps(tmp_path):
    folder = trained(tmp_path / "1")
    metrics = tmp_path / "1/metrics.jsonl"
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    lines[200:] = [line | {"mfu": 0.4} for line in lines[200:]]
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    row = _one(tmp_path, {RUN: [folder]})
    assert row["mfu"] == pytest.approx(0.4)
    assert row["tflops_per_second"] is row["data_wait"] is row["peak_memory_gb"] is None


def test_a_model_that_does_not_count_its_tokens_has_none(tmp_path):
    [file] = study(tmp_path, puzzles=5, task=["table_readout"], recipe=["mix"], seed=[0])
    scores = pl.read_parquet(file).with_columns(tokens=pl.lit(None, pl.Int64), seconds=pl.lit(0.0))
    scores.write_parquet(file)
    [row] = measure_costs([str(file)], {}).rows(named=True)
    assert row["prediction_tokens"] is row["predictions_per_second"] is None


def test_replies_have_tokens_endings_and_a_price(tmp_path):
    [file] = study(tmp_path, puzzles=5, task=["table_readout"], recipe=["mix"], seed=[0], budget=[0])
    scores = pl.read_parquet(file)
    ends = ["length"] * 3 + ["content_filter"] * 2 + ["refused"] + ["stop"] * 14
    scores.with_columns(
        tokens=100, prompt_tokens=1000, reasoning_tokens=pl.lit(40), finish=pl.Series(ends)
    ).write_parquet(file)
    [row] = measure_costs([str(file)], {}, {"tiny": {"input": 2.0, "output": 10.0}}).rows(named=True)
    assert (row["prompt_tokens"], row["prediction_tokens"], row["reasoning_tokens"]) == (20_000, 2000, 800)
    assert [row[name] for name in ("truncated", "filtered", "refused", "failed")] == [3, 2, 1, 0]
    assert row["usd"] == pytest.approx((20_000 * 2 + 2000 * 10) / 1e6)
    assert measure_costs([str(file)], {})["usd"].to_list() == [None]
    frame = measure_costs([str(file)], {}, {"tiny": {"input": 2.0, "output": 10.0}})
    page = render_markdown(to_page(frame, {"mix": "Mix"}), {"table_readout": "Table Readout"})
    assert "| prompt tokens | reasoning tokens | truncated | filtered | refused | failed | USD |" in page
    assert "| 20,000 | 800 | 3 | 2 | 1 | 0 | 0.06 |" in page


def test_scores_of_before_replies_were_counted_have_none(tmp_path):
    row = _one(tmp_path, {RUN: []})
    assert {row[name] for name in list(SCHEMA)[-7:]} == {None}


def test_tasks_that_were_trained_together_have_the_same_training(tmp_path):
    made_from = whole_study(tmp_path, puzzles=3, trained_on=["both"], seed=[0])
    assert training_costs(made_from.models)["trained_on"].to_list() == ["both", "both"]
    costs = measure_costs(made_from.score_files, made_from.models)
    assert costs.select("task", "recipe", "examples").rows() == [
        ("grid_navigation", "mix", 2495), ("grid_navigation", "text", 2495),
        ("table_readout", "mix", 2495), ("table_readout", "text", 2495),
    ]  # fmt: skip


def test_what_cannot_be_read_is_refused(tmp_path):
    folder = trained(tmp_path / "phase-1")
    (tmp_path / "phase-1/manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"manifest\.json cannot be read .* delete .*phase-1 and run again"):
        training_costs({RUN: [folder]})
    other = trained(tmp_path / "phase-2")
    (tmp_path / "phase-2/metrics.jsonl").unlink()
    with pytest.raises(DataError, match=r"metrics\.jsonl cannot be read .* delete .*phase-2"):
        training_costs({RUN: [other]})


def test_the_page_has_a_row_for_each_run_and_times_with_units(tmp_path):
    _, page = written("costs", whole_study(tmp_path, puzzles=3, phases=2, budget=[100, 30000]), tmp_path)
    assert (
        "### tiny: training\n\n| Recipe | budget | seed | phases | parameters | examples | tokens | training |" in page
    )
    line = "| Text | 30,000 | 1 | 2 | 1,000 | 4,990 | 250,000 | 16.7 min | 33.3 min | 4.99 | 250 | – | – | – | – |"
    assert page.count(line) == 2
    assert "### tiny: decoding\n\n| Recipe | budget | seed | predictions | tokens | decoding | predictions/s |" in page
    assert page.count("| Text | 30,000 | 1 | 12 | ") == 2


def test_speeds_are_shown_with_their_units(tmp_path):
    measured = {"tflops_per_second": 412.345, "mfu": 0.4168, "data_wait": 0.012, "peak_memory_gb": 71.234}
    models = {RUN: [trained(tmp_path / "1", measured=measured)]}
    files = study(tmp_path, puzzles=5, task=["table_readout"], recipe=["mix"], seed=[0])
    page = render_markdown(to_page(measure_costs([str(file) for file in files], models), {}), {})
    assert "| TFLOP/s | MFU | waiting | memory |\n" in page
    assert "| 412 | 42 % | 1 % | 71.2 GB |\n" in page
