"""What holds for the baselines of every task, and how often those of the paper's tasks are right."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from s2h.baselines.baseline_registry import BASELINES, find_baselines
from s2h.baselines.measuring import SCHEMA, measure_baselines, write_baselines
from s2h.puzzles.shards import PuzzleSet, draw_puzzle, write_shard
from s2h.puzzles.task_registry import TASKS
from tests.contracts.settings import CASES, shipped_task, task_settings
from tests.shipped import PAPER_TASKS


@cache
def rates(name: str, style: str, level: str, training: int = 300) -> dict[str, float]:
    """The share of 300 evaluation puzzles that each baseline gets right."""
    task = shipped_task(name, style)
    puzzles = [draw_puzzle(task, PuzzleSet(0, level, "eval"), index)[0] for index in range(300)]  # type: ignore[arg-type]
    rows = measure_baselines(task, level, puzzles, 0, learned_from=training)  # type: ignore[arg-type]
    assert all(row[:2] == (name, level) and row[3] == 300 for row in rows)
    return {row[2]: row[4] / 300 for row in rows}


def test_the_papers_tasks_have_baselines_of_their_own() -> None:
    assert set(PAPER_TASKS) <= set(BASELINES) <= set(TASKS)


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_a_baseline_answers_in_the_form_of_its_task(name: str, style: str, level: Any) -> None:
    task = shipped_task(name, style)
    train, evaluation = (
        [draw_puzzle(task, PuzzleSet(0, level, split), index)[0] for index in range(20)]  # type: ignore[arg-type]
        for split in ("train", "eval")
    )
    baselines = find_baselines(task)
    assert next(iter(baselines)) == "constant answer"
    for learn in baselines.values():
        guess = learn(train)
        answers = [guess(puzzle) for puzzle in evaluation]
        assert all(task.judge(puzzle, f"Answer: {answers[0]}").parsed for puzzle in evaluation)
        assert answers == [learn(train)(puzzle) for puzzle in evaluation]


@pytest.mark.parametrize("name", ["consecutive_table_readout", "table_readout"])
def test_sums_are_seldom_guessed(name: str) -> None:
    for level in ("SIMPLE", "HARD"):
        found = rates(name, "compact", level)
        assert list(found) == ["constant answer", "length of the path"]
        assert max(found.values()) < 0.12


def test_one_cell_has_ten_answers_of_which_few_are_guessed() -> None:
    """Values that are frequent among the few keys for training are rare among those for evaluation."""
    settings = task_settings("consecutive_table_readout", "compact")
    settings["levels"] = {"SIMPLE": settings["levels"]["SIMPLE"] | {"path_length": [1, 1]}}
    task = TASKS["consecutive_table_readout"](TASKS["consecutive_table_readout"].settings_type.model_validate(settings))
    puzzles = [draw_puzzle(task, PuzzleSet(0, "SIMPLE", "eval"), index)[0] for index in range(500)]
    for _, _, _, n, correct in measure_baselines(task, "SIMPLE", puzzles, 0):
        assert correct / n < 0.2


def test_straight_walks_solve_few_of_the_shipped_grids() -> None:
    for level in ("SIMPLE", "HARD"):
        found = rates("grid_navigation", "compact", level, 20)
        assert len(found) == 4
        assert found.pop("constant answer") < 0.05
        assert all(rate < 0.25 for rate in found.values())
    assert max(found.values()) > 0  # some are left


def test_files_hold_a_row_for_each_baseline_and_only_the_puzzles_that_are_used(tmp_path: Path) -> None:
    name = "grid_navigation"
    task, shard = shipped_task(name, "compact"), tmp_path / "shard.parquet"
    write_shard(shard, task, PuzzleSet(0, "HARD", "eval"), (0, 12), progress=lambda done: None)
    sets = {"settings": task_settings(name, "compact"), "shards": {"HARD": [str(shard)]}, "puzzles": {"HARD": 9}}
    write_baselines(tmp_path / "baselines.parquet", {name: sets}, 0)
    found = pl.read_parquet(tmp_path / "baselines.parquet")
    assert dict(found.schema) == SCHEMA
    assert found["baseline"].to_list() == list(find_baselines(task))
    assert set(found["n"]) == {9}
    puzzles = [draw_puzzle(task, PuzzleSet(0, "HARD", "eval"), index)[0] for index in range(9)]
    assert found.rows() == measure_baselines(task, "HARD", puzzles, 0)
