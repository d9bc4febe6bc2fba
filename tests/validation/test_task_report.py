"""The report finds what must not be trained on, and nothing is written for a set that failed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from s2h.errors import DataError
from s2h.puzzles.shards import PuzzleSet, read_shards, write_shard
from s2h.validation.checker_registry import find_checker
from s2h.validation.checks import SCHEMA, check_shard
from s2h.validation.task_report import ValidationSettings, is_validated, report_task, write_report
from tests.contracts.settings import shipped_task

TASK = shipped_task("consecutive_table_readout", "compact")


MADE_BY = {"SIMPLE": {"train": "a", "eval": "b"}, "HARD": {"train": "c", "eval": "d"}}


def checked(folder: Path, split: Any, *, change: Any = None, size: int = 8) -> str:
    """Make a shard, change it on the disk, check it."""
    which, shard = PuzzleSet(0, "SIMPLE", split), folder / f"{split}.parquet"
    write_shard(shard, TASK, which, (0, size), progress=lambda done: None)
    if change is not None:
        change(pl.read_parquet(shard)).write_parquet(shard)
    output = folder / f"{split}-check.parquet"
    check_shard(
        shard, output, task=TASK, checker=find_checker(TASK), which=which, span=(0, 8), progress=lambda done: None
    )
    return str(output)


def report(folder: Path, checks: dict[str, list[str]]) -> list[dict[str, Any]]:
    used = {"SIMPLE": {"train": 8, "eval": 8}}
    paths = {"json_path": str(folder / "report.json"), "markdown_path": str(folder / "report.md")}
    sets, settings = report_task({"SIMPLE": checks}, used), ValidationSettings(duplicates=0.2)
    write_report("A Task", sets, settings, made_by=MADE_BY, **paths)
    found: list[dict[str, Any]] = json.loads((folder / "report.json").read_text())
    return found


def test_good_sets_are_reported(tmp_path: Path) -> None:
    checks = {split: [checked(tmp_path, split)] for split in ("train", "eval")}
    train, evaluation = report(tmp_path, checks)
    assert (train["level"], train["split"], train["puzzles"], train["failures"]) == ("SIMPLE", "train", 8, 0)
    assert (evaluation["duplicates"], evaluation["keys"], evaluation["overlap"]) == (0, 8, 0)
    assert train["bytes"] == (tmp_path / "train.parquet").stat().st_size
    assert "| SIMPLE | eval | 8 | 8 | 0 | 0 | 8 | 0 |" in (tmp_path / "report.md").read_text()
    assert dict(pl.read_parquet_schema(checks["train"][0])) == SCHEMA


def test_a_report_speaks_for_the_shards_that_it_saw_as_they_are(tmp_path: Path) -> None:
    folders = {split: tmp_path / f"SIMPLE/{split}" for split in ("train", "eval")}
    checks = {split: [checked(folder, split)] for split, folder in folders.items()}
    report(tmp_path, checks)
    file, shards = tmp_path / "report.json", [folders[split] / f"{split}.parquet" for split in folders]
    assert is_validated(file, MADE_BY, shards)
    assert is_validated(file, MADE_BY, shards[:1])
    assert is_validated(file, MADE_BY | {"HARD": {"train": "other"}}, shards)
    assert not is_validated(file, MADE_BY | {"SIMPLE": {"train": "other", "eval": "b"}}, shards)
    assert not is_validated(file, MADE_BY, [*shards, folders["train"] / "more.parquet"])
    assert not is_validated(tmp_path / "none.json", MADE_BY, shards)
    (folders["train"] / "more.parquet").write_bytes(shards[0].read_bytes())
    assert not is_validated(file, MADE_BY, [folders["train"] / "more.parquet"])
    os.utime(file, ns=(0, shards[0].stat().st_mtime_ns - 1))
    assert not is_validated(file, MADE_BY, shards)
    file.write_text("[{}")
    assert not is_validated(file, MADE_BY, shards)


def wrong_answer(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(answer=pl.when(pl.col("index") == 3).then(pl.lit("999")).otherwise("answer"))


def test_a_wrong_record_stops_the_task_and_is_named(tmp_path: Path) -> None:
    checks = {"train": [checked(tmp_path, "train", change=wrong_answer)], "eval": [checked(tmp_path, "eval")]}
    with pytest.raises(
        DataError, match=r"1 of 8 puzzles failed.*consecutive_table_readout-SIMPLE-train-0000003: answer"
    ):
        report(tmp_path, checks)
    assert not (tmp_path / "report.json").exists()
    assert not (tmp_path / "report.md").exists()


def test_puzzles_that_come_twice_are_counted_and_limited(tmp_path: Path) -> None:
    checks = {"train": [checked(tmp_path, "train")], "eval": [checked(tmp_path, "eval")]}
    frame = pl.read_parquet(checks["train"][0])
    facts = dict.fromkeys(("shard", "bytes", "sha256"), "0")
    for same, allowed in ((2, True), (3, False)):
        copied = pl.concat([frame.head(8 - same + 1), *[frame.head(1)] * (same - 1)])
        copied.write_parquet(checks["train"][0], metadata=facts)
        if allowed:
            assert report(tmp_path, checks)[0]["duplicates"] == 1
        else:
            with pytest.raises(DataError, match=r"2 of 8 puzzles repeat another.*validation\.duplicates"):
                report(tmp_path, checks)


def test_a_puzzle_shared_by_train_and_eval_stops_the_task(tmp_path: Path) -> None:
    checks = {"train": [checked(tmp_path, "train")], "eval": [checked(tmp_path, "eval")]}
    train = pl.read_parquet(checks["train"][0])
    found = pl.read_parquet(checks["eval"][0])
    shared = found.with_columns(key=pl.concat([found["key"].head(7), train["key"].head(1)]))  # another text, one key
    shared.write_parquet(checks["eval"][0], metadata=dict.fromkeys(("shard", "bytes", "sha256"), "0"))
    with pytest.raises(DataError, match="1 puzzles share all that their answer depends on with"):
        report(tmp_path, checks)


def test_a_shard_with_too_few_records_is_found(tmp_path: Path) -> None:
    checks = {"train": [checked(tmp_path, "train", size=7)], "eval": [checked(tmp_path, "eval")]}
    with pytest.raises(DataError, match="the shard has 7 records, not 8"):
        report(tmp_path, checks)


def test_a_shard_of_another_set_is_found(tmp_path: Path) -> None:
    checks = {split: [checked(tmp_path, split)] for split in ("train", "eval")}
    which = PuzzleSet(0, "HARD", "train")
    check_shard(
        tmp_path / "train.parquet",
        checks["train"][0],
        task=TASK,
        checker=find_checker(TASK),
        which=which,
        span=(0, 8),
        progress=lambda done: None,
    )
    with pytest.raises(DataError, match="8 of 8 puzzles failed"):
        report(tmp_path, checks)
    assert len(list(read_shards([str(tmp_path / "train.parquet")]))) == 8
