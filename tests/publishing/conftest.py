"""Puzzles of two tasks, made and checked as the workflow does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from s2h.puzzles.shards import PuzzleSet, write_shard
from s2h.validation.checker_registry import find_checker
from s2h.validation.checks import check_shard
from s2h.validation.task_report import ValidationSettings, report_task, write_report
from tests.contracts.settings import shipped_task

MADE = {"table_readout": "compact", "visual_analogy": "paper"}
"""Tasks and their styles; twelve puzzles of each level and split, of which ten are used."""


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like ``results/`` with puzzles, checks and reports."""
    results = tmp_path_factory.mktemp("results")
    for name, style in MADE.items():
        task = shipped_task(name, style)
        checks: dict[str, dict[str, list[str]]] = {}
        for level in task.settings.levels:
            for split in ("train", "eval"):
                checks.setdefault(level, {})[split] = _make(results, task, PuzzleSet(0, level, split))
        used = {level: {"train": 10, "eval": 10} for level in checks}
        report = results / "validation" / name
        write_report(
            task.title,
            report_task(checks, used),
            ValidationSettings(),
            made_by={level: {"train": "x", "eval": "x"} for level in checks},
            json_path=f"{report}.json",
            markdown_path=f"{report}.md",
        )
    return results


def _make(results: Path, task: Any, which: PuzzleSet) -> list[str]:
    paths = []
    for shard in range(2):
        name = f"{task.name}/{which.level}/{which.split}/shard-{shard:05d}.parquet"
        span = (6 * shard, 6 * shard + 6)
        write_shard(results / "puzzles" / name, task, which, span, progress=lambda done: None)
        check_shard(
            results / "puzzles" / name,
            results / "checks" / name,
            task=task,
            checker=find_checker(task),
            which=which,
            span=span,
            progress=lambda done: None,
        )
        paths.append(str(results / "checks" / name))
    return paths
