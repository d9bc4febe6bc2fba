"""The registry of diagnosers, and what the package may import."""

from __future__ import annotations

import ast
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from s2h.diagnosis.diagnoser_registry import DIAGNOSERS, METRICS, find_diagnoser
from s2h.diagnosis.diagnosis import Diagnoser
from s2h.errors import ConfigError
from s2h.puzzles.task_registry import TASKS
from tests.shipped import ROOT


def test_the_tasks_of_the_paper_have_their_own_diagnosers() -> None:
    own = {"consecutive_table_readout", "table_readout", "grid_navigation", "visual_analogy"}
    assert set(DIAGNOSERS) == own <= set(TASKS)
    assert all(issubclass(DIAGNOSERS[name], Diagnoser) for name in own)


def test_the_list_of_metrics_is_complete() -> None:
    metrics = [DIAGNOSERS[name].metrics for name in DIAGNOSERS]
    assert {metric for each in [*metrics, Diagnoser.metrics] for metric in each} == set(METRICS)
    for each in metrics:
        assert sorted(each, key=METRICS.index) == list(each)


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
