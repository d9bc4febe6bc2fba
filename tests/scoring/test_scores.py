"""Files of scores have the same columns for all tasks, and behind them those that a task has of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl

from s2h.diagnosis.diagnoser_registry import METRICS
from s2h.scoring.score_record import SCHEMA, Score, write_scores


def score(metrics: dict[str, float | None]) -> Score:
    values = {"str": "", "int": 0, "bool": False, "float": 0.0}
    fields = {field.name: values.get(str(field.type).partition(" |")[0]) for field in dataclasses.fields(Score)}
    return Score(**fields | {"metrics": metrics})  # type: ignore[arg-type]


def test_metrics_of_the_task_are_columns_behind_those_of_the_paper(tmp_path: Path) -> None:
    write_scores(tmp_path / "a.parquet", [score({"exact_match": 1.0}), score({"collisions": 2.0, "exact_match": None})])
    found = pl.read_parquet(tmp_path / "a.parquet")
    assert found.columns == [*SCHEMA, "collisions"]
    assert found.select("exact_match", "collisions").rows() == [(1.0, None), (None, 2.0)]
    assert found.select(set(METRICS) - {"exact_match"}).null_count().row(0) == (2,) * (len(METRICS) - 1)
