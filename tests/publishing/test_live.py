"""The live view of a study holds the runs that are scored by now, and no others."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import polars as pl
import pytest

from s2h.config import load_config
from s2h.jobs import run_job
from s2h.overlays import read_values
from s2h.plan.live_study import live_study
from s2h.plan.plan import Plan
from s2h.publishing.live import LiveStudy, RunFiles, scored_runs, watch
from tests.publishing.generated import TASK, score_file
from tests.shipped import ROOT, job

RUNS = tuple(f"{TASK}/{recipe}/100/tiny/0" for recipe in ("image", "mix"))


@pytest.fixture
def study(readout_shards: dict[str, list[str]], tmp_path: Path) -> LiveStudy:
    """Two runs that train nothing, neither of which is scored."""
    levels = {"SIMPLE": {"path_length": [1, 5]}, "HARD": {"path_length": [6, 9]}}
    settings = {"style": "compact", "rows": [3, 3], "columns": [5, 5]}
    return LiveStudy(
        results=str(tmp_path),
        runs={run: RunFiles([TASK], str(tmp_path / f"scores/{run}.parquet"), [], []) for run in RUNS},
        tables=["accuracy", "failures", "costs"],
        figures={"budgets": "HARD against the training budget"},
        shards={
            TASK: {level: files[:1] for level, files in readout_shards.items()},
            "grid_navigation": {"HARD": ["not/made/yet.parquet"]},
        },
        task_settings={
            TASK: settings | {"levels": {name: level | {"train": 0, "eval": 0} for name, level in levels.items()}}
        },
        baselines={TASK: "not/made/yet.parquet"},
        config={"a": 1},
        recipe_titles={"image": "Image", "mix": "Mix"},
        task_titles={TASK: "Consecutive Table Readout"},
    )


def score(study: LiveStudy, run: str, correct: int = 10) -> None:
    """Score a run as its job does, with a record."""
    shards = study.shards[TASK]
    puzzles = [row for level in shards for row in pl.read_parquet(shards[level][0]).head(10).iter_rows(named=True)]
    output = Path(study.runs[run].scores)
    output.parent.mkdir(parents=True, exist_ok=True)
    rule = job("score_model", Path(study.results), inputs={}, outputs={"scores": str(output)}, params={"n": correct})
    run_job(rule, lambda: Path(score_file(output, puzzles, run.split("/")[1], correct)).exists())


def recipes(study: LiveStudy) -> list[str]:
    """The recipes that the table of accuracies holds."""
    return sorted(set(pl.read_parquet(study.folder / "tables/accuracy.parquet")["recipe"]))


def look(study: LiveStudy) -> list[str]:
    """Look once; gives what the user is told."""
    said: list[str] = []
    watch(study, seconds=7, say=said.append, until_done=False)
    return said


def test_before_any_run_is_scored_the_page_says_what_is_to_come(study: LiveStudy) -> None:
    assert look(study) == [f"0 of 2 runs are scored: {study.page}"]
    assert all(f"<li>{run}</li>" in study.page.read_text() for run in RUNS)
    assert not (study.folder / "tables").exists()


def test_each_run_that_is_scored_joins_those_before_it(study: LiveStudy) -> None:
    score(study, RUNS[1])
    look(study)
    assert recipes(study) == ["mix"]
    page = study.page.read_text()
    assert "1 of 2 runs are scored" in page
    assert f"<li>{RUNS[0]}</li>" in page
    assert 'http-equiv="refresh" content="7"' in page
    score(study, RUNS[0])
    look(study)
    assert recipes(study) == ["image", "mix"]
    assert "refresh" not in study.page.read_text()


def test_its_links_lead_to_what_is_there(study: LiveStudy) -> None:
    score(study, RUNS[0])
    look(study)
    links = [part.split('"')[0] for part in study.page.read_text().split('href="')[1:]]
    assert len(links) > 10
    assert all((study.folder / link).is_file() for link in links)


def test_a_run_that_is_made_again_is_not_shown_with_what_it_was_before(study: LiveStudy) -> None:
    for run in RUNS:
        score(study, run)
    record = Path(study.results) / f"provenance/scores/{RUNS[0]}.parquet.json"
    assert record.is_file()
    record.write_text("")  # as a job that makes it again does first
    look(study)
    assert recipes(study) == ["mix"]


def test_it_ends_once_all_runs_are_scored(study: LiveStudy) -> None:
    score(study, RUNS[0])
    said: list[str] = []
    watching = Thread(target=watch, args=(study,), kwargs={"seconds": 0.1, "say": said.append}, daemon=True)
    watching.start()
    score(study, RUNS[1])
    watching.join(120)
    assert not watching.is_alive()
    assert said[-1].startswith("2 of 2 runs are scored")
    assert recipes(study) == ["image", "mix"]


def test_it_writes_nothing_outside_its_folder(study: LiveStudy) -> None:
    score(study, RUNS[0])
    before = {path for path in Path(study.results).rglob("*") if path.is_file()}
    look(study)
    new = {path for path in Path(study.results).rglob("*") if path.is_file()} - before
    assert new
    assert all(path.is_relative_to(study.folder) for path in new)


def test_the_study_of_a_plan_has_all_its_runs() -> None:
    config = load_config(read_values() | {"results": "nowhere"})
    study = live_study(Plan(config, ROOT / "workflow/scripts").report)
    assert set(study.runs) == {run.name for run in config.all_runs()}
    assert scored_runs(study) == {}
