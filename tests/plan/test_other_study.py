"""What counts as another study in the same results folder, told by records as jobs leave them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s2h.config import load_config
from s2h.overlays import merge, read_values
from s2h.plan.other_study import refuse_another_study
from s2h.plan.plan import Plan
from s2h.provenance.records import Record, record_path
from s2h.puzzles.task import SCENES
from tests.shipped import ROOT

TASK = "grid_navigation"
RUN = {"tasks": [TASK], "recipes": ["mix"], "budgets": [60], "models": ["tiny"], "seeds": [0]}
MODEL = f"models/{TASK}/mix/60/tiny/0/phase-1"
PREDICTIONS = f"predictions/{TASK}/mix/60/tiny/0.parquet"


def plan_of(results: Path, **changes: Any) -> Plan:
    values = merge(merge(read_values("smoke"), {"runs": [RUN], "results": str(results)}), changes)
    return Plan(load_config(values), ROOT / "workflow/scripts")


def leave(results: Path, output: str, inputs: list[str] = [], **params: Any) -> None:  # noqa: B006
    """A result and its record, as the job leaves them that makes it."""
    path = results / output
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    place = record_path(path, results)
    assert place is not None
    place.parent.mkdir(parents=True, exist_ok=True)
    held = {str(results / name): "contents" for name in inputs}
    place.write_text(Record(str(path), "rule", {}, params, "key", held, files={}, job={}).to_json())


def made(results: Path, *, models: bool = True) -> Path:
    """A results folder with the puzzles of a study and, where asked, a model and its predictions."""
    puzzles = plan_of(results).puzzles
    for level, sizes in puzzles.sizes(TASK).items():
        for split in sizes:
            of = SimpleNamespace(task=TASK, level=level, split=split, shard="00000")
            params = {"settings": puzzles.level_settings(of), "span": puzzles.span(of), "seed": puzzles.config.seed}
            leave(results, f"puzzles/{TASK}/{level}/{split}/shard-00000.parquet", code="old", **params)
    if models:
        leave(results, MODEL, [f"puzzles/{TASK}/SIMPLE/train/shard-00000.parquet"])
        leave(results, PREDICTIONS, [MODEL, f"puzzles/{TASK}/HARD/eval/shard-00000.parquet"])
    return results


def levels(**settings: Any) -> dict[str, Any]:
    return {"tasks": {TASK: {"levels": settings}}}


OTHER = {
    "another seed": ({"seed": 5}, "seed: 0 there, 5 in this config", 2),
    "files of another size": ({"shard_size": {"train": 17}}, "shard_size.train: 40 there, 17 in this config", 1),
    "another level of a task": (levels(SIMPLE={"steps": [2, 2]}), f"tasks.{TASK}.levels.SIMPLE.steps: ", 1),
    "another look of a task": ({"tasks": {TASK: {"image_side": 96}}}, f"tasks.{TASK}.image_side: ", 2),
}
SAME = {
    "nothing": {},
    "more puzzles": levels(SIMPLE={"train": 5000, "eval": 70}),
    "fewer puzzles": levels(HARD={"eval": 1}),
    "another task": {"tasks": {"table_readout": {"rows": [9, 9]}}},
    "more runs": {"runs": [RUN, {**RUN, "recipes": ["mix_plus"], "budgets": [30, 60], "seeds": [0, 1]}]},
    "resources, titles and training": {
        "models": {"tiny": {"resources": {"cpus": 7}, "training": {"learning_rate": 0.5}}},
        "recipes": {"mix": {"title": "Another title"}},
    },
    "puzzles from which nothing was made": levels(HARD={"train": 99, "eval": 0}),
}


@pytest.mark.parametrize("name", OTHER)
def test_another_study_is_refused_with_what_differs_and_two_ways_out(name: str, tmp_path: Path) -> None:
    change, difference, count = OTHER[name]
    with pytest.raises(SystemExit) as refused:
        refuse_another_study(plan_of(made(tmp_path), **change).puzzles)
    told = str(refused.value)
    more = " and 1 more" if count == 2 else ""
    assert told.startswith(f"s2h: {tmp_path} holds another study: {tmp_path / MODEL}{more} came from puzzles")
    assert f"\n  {difference}" in told
    assert "--config results=results/NAME" in told
    assert "--config replace=true" in told


@pytest.mark.parametrize("name", OTHER)
def test_it_may_be_replaced_when_asked(name: str, tmp_path: Path) -> None:
    refuse_another_study(plan_of(made(tmp_path), replace=True, **OTHER[name][0]).puzzles)


@pytest.mark.parametrize("name", OTHER)
def test_puzzles_alone_are_no_study(name: str, tmp_path: Path) -> None:
    refuse_another_study(plan_of(made(tmp_path, models=False), **OTHER[name][0]).puzzles)


@pytest.mark.parametrize("name", SAME)
def test_a_study_that_grows_is_the_same(name: str, tmp_path: Path) -> None:
    refuse_another_study(plan_of(made(tmp_path), **SAME[name]).puzzles)


def test_an_empty_folder_holds_none(tmp_path: Path) -> None:
    refuse_another_study(plan_of(tmp_path / "new").puzzles)


def test_a_study_is_known_where_it_was_moved(tmp_path: Path) -> None:
    moved = made(tmp_path / "before").rename(tmp_path / "after")
    refuse_another_study(plan_of(moved).puzzles)
    with pytest.raises(SystemExit):
        refuse_another_study(plan_of(moved, seed=5).puzzles)


def test_what_was_removed_is_no_reason(tmp_path: Path) -> None:
    made(tmp_path)
    for output in (MODEL, PREDICTIONS):
        (tmp_path / output).unlink()
    refuse_another_study(plan_of(tmp_path, seed=5).puzzles)


def test_settings_that_only_one_version_of_the_program_knows_are_no_difference(tmp_path: Path) -> None:
    place = made(tmp_path) / f"provenance/puzzles/{TASK}/SIMPLE/train/shard-00000.parquet.json"
    place.write_text(place.read_text().replace('"style"', '"a_setting_of_before"'))
    refuse_another_study(plan_of(tmp_path).puzzles)


def test_scenes_are_puzzles_too(tmp_path: Path) -> None:
    reader = {"runs": [{**RUN, "models": ["tiny-reader"]}]}
    puzzles = plan_of(tmp_path, **reader).puzzles
    of = SimpleNamespace(task=TASK, level=SCENES, split="train", shard="00000")
    shard = f"puzzles/{TASK}/{SCENES}/train/shard-00000.parquet"
    leave(tmp_path, shard, settings=puzzles.level_settings(of), span=puzzles.span(of), seed=0)
    leave(tmp_path, f"base_models/{TASK}/tiny-reader/0/phase-1", [shard])
    refuse_another_study(plan_of(tmp_path, **reader).puzzles)
    with pytest.raises(SystemExit, match="tiny-reader/0/phase-1 came from"):
        refuse_another_study(plan_of(tmp_path, seed=5, **reader).puzzles)
