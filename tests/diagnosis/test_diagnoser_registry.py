"""The registry of diagnosers, and what the package may import."""

from __future__ import annotations

import ast
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from s2h.diagnosis.diagnoser_registry import DIAGNOSERS, METRICS, find_diagnoser, other_metrics
from s2h.diagnosis.diagnosis import Diagnoser
from s2h.errors import ConfigError
from s2h.puzzles.task_registry import TASKS
from tests.shipped import PAPER_TASKS, ROOT


def test_the_tasks_of_the_paper_have_their_own_diagnosers() -> None:
    assert set(PAPER_TASKS) <= set(DIAGNOSERS) <= set(TASKS)
    assert all(issubclass(DIAGNOSERS[name], Diagnoser) for name in DIAGNOSERS)


def test_the_metrics_of_the_papers_tasks_are_all_listed_and_in_order() -> None:
    metrics = [DIAGNOSERS[name].metrics for name in PAPER_TASKS]
    assert {metric for each in [*metrics, Diagnoser.metrics] for metric in each} == set(METRICS)
    assert len(set(METRICS)) == len(METRICS)
    for each in metrics:
        assert sorted(each, key=METRICS.index) == list(each)


def test_metrics_of_another_diagnoser_come_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Diagnoser[Any]):
        metrics = ("exact_match", "collisions", "transcription")

    monkeypatch.setattr(sys.modules[__name__], "Own", Own, raising=False)
    monkeypatch.setattr(DIAGNOSERS, "_places", {**DIAGNOSERS._places, "own": f"{__name__}:Own"})
    assert other_metrics()[-1:] == ["collisions"]


def test_a_task_without_a_diagnoser_gets_the_default() -> None:
    task: Any = SimpleNamespace(name="dot")
    assert type(find_diagnoser(task)) is Diagnoser
    with pytest.raises(ConfigError, match="table_readout"):
        DIAGNOSERS["table_readouts"]


def test_the_names_of_metrics_load_no_diagnoser() -> None:
    loaded = "{'s2h.diagnosis.grid_diagnoser', 'torch'} & set(sys.modules)"
    code = f"import sys, s2h.diagnosis.diagnoser_registry; sys.exit(bool({loaded}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_diagnoses_rest_on_puzzles_alone() -> None:
    allowed = {"s2h.puzzles", "s2h.supervision", "s2h.registry", "s2h.errors", "s2h.diagnosis"}
    for path in (ROOT / "src/s2h/diagnosis").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("s2h"):
                assert ".".join(node.module.split(".")[:2]) in allowed, path
