"""Sets and shards: one meaning for a seed, however a set is cut, wherever it is made."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from s2h.errors import DataError
from s2h.puzzles import shards
from s2h.puzzles.record import SCHEMA, Record, descriptions
from s2h.puzzles.shards import (
    PuzzleSet,
    content_digest,
    draw_puzzle,
    image_places,
    make_record,
    read_shards,
    shard_count,
    shard_range,
    split_of,
    write_shard,
)
from s2h.puzzles.table_task import Table
from s2h.puzzles.task import Task
from s2h.puzzles.task_registry import make_task
from tests.contracts.settings import CASES, SCENE_CASES, shipped_task
from tests.shipped import ROOT

GOLDEN = ROOT / "tests/golden/records.json"


def digest(name: str, style: str, level: Any, split: Any = "train", index: int = 0) -> str:
    record = dataclasses.asdict(make_record(shipped_task(name, style), PuzzleSet(0, level, split), index))
    picture = hashlib.sha256(record["image"].pop("bytes")).hexdigest()
    return hashlib.sha256(f"{picture} {json.dumps(record, sort_keys=True)}".encode()).hexdigest()


def digests() -> dict[str, str]:
    """A digest of a record, image included, for every task, style and level."""
    return {"/".join(case): digest(*case) for case in CASES}


def test_a_seed_has_one_meaning_on_every_machine() -> None:
    """Mend, after a change that is meant to change puzzles, with: python -m tests.puzzles.test_shards."""
    assert digests() == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("hash_seed", ["1", "77"])
def test_a_seed_has_one_meaning_for_every_hash_seed(hash_seed: str) -> None:
    code = "import json; from tests.puzzles.test_shards import digests; print(json.dumps(digests()))"
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout) == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("split", ["train", "eval"])
@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_a_set_is_the_same_however_it_is_cut(name: str, style: str, level: Any, split: Any, tmp_path: Path) -> None:
    task, which = shipped_task(name, style), PuzzleSet(3, level, split)
    whole = tmp_path / "whole.parquet"
    write_shard(whole, task, which, (0, 6), progress=lambda done: None)
    parts = [tmp_path / "b.parquet", tmp_path / "a.parquet"]
    for path, span in zip(parts, ((4, 6), (0, 4)), strict=True):  # the later one is made alone, and first
        write_shard(path, task, which, span, progress=lambda done: None)
    assert list(read_shards([str(whole)])) == list(read_shards([str(path) for path in reversed(parts)]))
    again = tmp_path / "again.parquet"
    write_shard(again, task, which, (0, 6), progress=lambda done: None)
    assert again.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("level", ["SIMPLE", "HARD"])
def test_evaluation_puzzles_of_a_paired_task_differ_in_their_examples_two_by_two(level: Any) -> None:
    task = shipped_task("visual_analogy", "compact")
    drawn = [draw_puzzle(task, PuzzleSet(0, level, "eval"), index)[0] for index in range(6)]
    for one, two in zip(drawn[::2], drawn[1::2], strict=True):
        assert (one.query, one.options) == (two.query, two.options)
        assert task.answer(one) != task.answer(two)
    assert len({puzzle.query for puzzle in drawn}) == 3
    trained = [draw_puzzle(task, PuzzleSet(0, level, "train"), index)[0] for index in range(6)]
    assert len({puzzle.query for puzzle in trained}) == 6


@given(st.integers(1, 10**6), st.integers(1, 10**4), st.integers(0, 10**6))
def test_shards_are_whole_and_hold_all_puzzles(puzzles: int, size: int, more: int) -> None:
    spans = [shard_range(shard, size) for shard in range(min(shard_count(puzzles, size), 50))]
    assert all(stop - start == size for start, stop in spans)
    assert [start for start, _ in spans] == [stop - size for _, stop in spans]
    last = shard_range(shard_count(puzzles, size) - 1, size)
    assert last[0] < puzzles <= last[1]
    # A set that grows keeps its shards: the same numbers stand for the same spans.
    assert shard_count(puzzles + more, size) >= shard_count(puzzles, size)


@given(st.text())
def test_every_key_belongs_to_one_split(key: str) -> None:
    assert split_of(key) == ("train" if content_digest(key) % 5 else "eval")


@hypothesis_settings(max_examples=20, deadline=None)
@given(st.sampled_from(CASES), st.integers(0, 2**32), st.sampled_from(["train", "eval"]))
def test_puzzles_are_of_their_split(case: tuple[str, str, Any], seed: int, split: Any) -> None:
    name, style, level = case
    task = shipped_task(name, style)
    assert split_of(task.split_key(draw_puzzle(task, PuzzleSet(seed, level, split), 0)[0])) == split


@pytest.mark.parametrize(("name", "style"), sorted({case[:2] for case in CASES}))
def test_sets_share_no_puzzle(name: str, style: str) -> None:
    sets = [
        PuzzleSet(seed, level, split)
        for seed in (0, 1)
        for level in shipped_task(name, style).settings.levels
        for split in ("train", "eval")
    ]
    contents = [make_record(shipped_task(name, style), which, index).text for which in sets for index in range(15)]
    assert len(set(contents)) == len(contents)


def test_evaluation_shares_no_path_with_its_values_with_training() -> None:
    """Paths of one cell in the smallest table: 120 keys, so that every one of them comes up."""
    task = make_task("consecutive_table_readout", SMALLEST)
    train, evaluation = (
        {(table.path, tuple(table.path_values())) for table in first_puzzles(task, split, 600)}
        for split in ("train", "eval")
    )
    assert not train & evaluation
    assert (len(train), len(evaluation)) == (98, 22)


def test_neither_names_nor_cells_beside_the_path_nor_its_direction_make_another_key() -> None:
    task = shipped_task("table_readout", "paper")
    table = draw_puzzle(task, PuzzleSet(0, "SIMPLE", "train"), 0)[0]
    beside = {divmod(place, len(table.column_names)) for place in range(70)} - {*table.path}
    row, column = min(beside)
    values = [list(cells) for cells in table.values]
    values[row][column] = (values[row][column] + 1) % 10
    changed = dataclasses.replace(table, values=tuple(map(tuple, values)), row_names=table.row_names[::-1])
    assert task.to_text(changed) != task.to_text(table)
    assert task.split_key(changed) == task.split_key(table)
    assert task.split_key(dataclasses.replace(table, path=table.path[::-1])) == task.split_key(table)
    assert task.split_key(dataclasses.replace(table, path=table.path[1:])) != task.split_key(table)


def test_the_smallest_puzzles_are_as_frequent_in_evaluation_as_in_training() -> None:
    """Paths of one cell have few keys, of which each split gets some: no more than chance makes of it."""
    task = shipped_task("consecutive_table_readout", "compact")
    least, most = task.settings.levels["SIMPLE"].path_length
    for split in ("train", "eval"):
        lengths = Counter(len(table.path) for table in first_puzzles(task, split, 1200))
        wanted = 1200 / (most - least + 1)
        assert all(0.8 * wanted < lengths[length] < 1.2 * wanted for length in range(least, most + 1)), (split, lengths)


def first_puzzles(task: Task[Table], split: Any, number: int) -> list[Table]:
    return [draw_puzzle(task, PuzzleSet(0, "SIMPLE", split), index)[0] for index in range(number)]


SMALLEST = {
    "style": "compact",
    "rows": [3, 3],
    "columns": [4, 4],
    "levels": {"SIMPLE": {"path_length": [1, 1], "train": 0, "eval": 0}},
}


def test_settings_without_room_for_a_split_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_EVAL_PART", 2**70)  # no key at all is left for evaluation
    monkeypatch.setattr(shards, "_TRIES", 50)
    with pytest.raises(DataError, match=r"no eval puzzle among 50 draws.*widen"):
        make_record(shipped_task("grid_navigation", "compact"), PuzzleSet(0, "SIMPLE", "eval"), 0)


def test_the_record_and_its_schema_are_one() -> None:
    fields = {field.name: field.type for field in dataclasses.fields(Record)}
    kinds = {"str": pa.string(), "int": pa.int64()}
    assert list(fields) == SCHEMA.names == list(descriptions())
    for name, kind in fields.items():
        if str(kind) in kinds:
            assert SCHEMA.field(name).type == kinds[str(kind)]


def test_a_torn_shard_is_never_read_as_whole(tmp_path: Path) -> None:
    path = tmp_path / "shard.parquet"
    write_shard(
        path,
        shipped_task("grid_navigation", "compact"),
        PuzzleSet(0, "SIMPLE", "train"),
        (0, 3),
        progress=lambda done: None,
    )
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="delete it and run again"):
        list(read_shards([str(path)]))


def test_an_error_leaves_no_file_behind(tmp_path: Path) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(
            tmp_path / "shard.parquet",
            shipped_task("grid_navigation", "compact"),
            PuzzleSet(0, "SIMPLE", "train"),
            (0, 3),
            progress=stop,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("style", ["compact", "paper"])
def test_every_image_can_be_read_alone(style: str, tmp_path: Path) -> None:
    path = tmp_path / "shard.parquet"
    which = PuzzleSet(0, "SIMPLE", "train")
    write_shard(path, shipped_task("visual_analogy", style), which, (0, 1100), progress=lambda done: None)
    places = image_places(path)
    data = path.read_bytes()
    images = [record["image"]["bytes"] for record in read_shards([str(path)])]
    assert [data[offset : offset + size] for offset, size in places] == images
    frame = pl.read_parquet(path)
    frame.write_parquet(path)  # another program compresses images too, so they cannot be read alone
    with pytest.raises(DataError, match=r"delete it and run again"):
        image_places(path)


def test_images_are_not_compressed_again_in_vain(tmp_path: Path) -> None:
    path = tmp_path / "shard.parquet"
    write_shard(
        path,
        shipped_task("table_readout", "paper"),
        PuzzleSet(0, "HARD", "train"),
        (0, 20),
        progress=lambda done: None,
    )
    images = sum(len(record["image"]["bytes"]) for record in read_shards([str(path)]))
    assert path.stat().st_size < 1.25 * images
    assert pq.read_metadata(path).num_rows == 20


@pytest.mark.parametrize(("name", "style"), SCENE_CASES)
def test_scenes_are_the_same_however_they_are_cut(name: str, style: str, tmp_path: Path) -> None:
    task, which = shipped_task(name, style), PuzzleSet(3, "SCENES", "train")
    for path, span in (("whole", (0, 6)), ("b", (4, 6)), ("a", (0, 4))):
        write_shard(tmp_path / path, task, which, span, progress=lambda done: None)
    whole, a, b = (list(read_shards([str(tmp_path / path)])) for path in ("whole", "a", "b"))
    assert whole == [*a, *b]
    assert {record["level"] for record in whole} == {"SCENES"}


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(digests(), indent=2) + "\n")
