"""While a study runs, its page, tables and figures hold the runs that are scored, and no others."""

from __future__ import annotations

import dataclasses
import multiprocessing
import runpy
from pathlib import Path

import polars as pl
import pytest

from s2h.publishing.so_far import RunFiles, Shown, show_so_far
from tests.publishing.generated import TASK, score_file
from tests.shipped import ROOT, job

RUNS = tuple(f"{TASK}/{recipe}/100/tiny/0" for recipe in ("image", "mix"))


@pytest.fixture
def shown(readout_shards: dict[str, list[str]], tmp_path: Path) -> Shown:
    """Two runs that train nothing, both scored."""
    paths = {level: files[:1] for level, files in readout_shards.items()}
    puzzles = [row for level in paths for row in pl.read_parquet(paths[level][0]).head(10).iter_rows(named=True)]
    runs = {
        run: RunFiles(
            marker=str(tmp_path / "so_far/runs" / f"{run}.txt"),
            tasks=[TASK],
            scores=score_file(tmp_path / f"{right}.parquet", puzzles, run.split("/")[1], right),
            models=[],
            alignments=[],
        )
        for run, right in zip(RUNS, (10, 14), strict=True)
    }
    levels = {"SIMPLE": {"path_length": [1, 5]}, "HARD": {"path_length": [6, 9]}}
    settings = {"style": "compact", "rows": [3, 3], "columns": [5, 5]}
    return Shown(
        folder=str(tmp_path / "so_far"),
        runs=runs,
        tables=["accuracy", "failures", "costs"],
        figures={"budgets": "HARD against the training budget"},
        shards={TASK: paths, "grid_navigation": {"HARD": ["not/made/yet.parquet"]}},
        task_settings={
            TASK: settings | {"levels": {name: level | {"train": 0, "eval": 0} for name, level in levels.items()}}
        },
        config={"a": 1},
        recipe_titles={"image": "Image", "mix": "Mix"},
        task_titles={TASK: "Consecutive Table Readout"},
    )


def recipes(shown: Shown) -> list[str]:
    """The recipes that the table of accuracies holds."""
    return sorted(set(pl.read_parquet(Path(shown.folder) / "tables/accuracy.parquet")["recipe"]))


def test_each_run_that_is_scored_joins_those_before_it(shown: Shown) -> None:
    page = Path(shown.folder) / "index.html"
    assert show_so_far(RUNS[1], shown) == 1
    assert recipes(shown) == ["mix"]
    assert "1 of 2 runs are scored" in page.read_text()
    assert f"<li>{RUNS[0]}</li>" in page.read_text()
    assert 'http-equiv="refresh"' in page.read_text()
    assert show_so_far(RUNS[0], shown) == 2
    assert recipes(shown) == ["image", "mix"]
    assert "2 of 2 runs are scored" in page.read_text()
    assert "refresh" not in page.read_text()


def test_its_links_lead_to_what_is_there(shown: Shown) -> None:
    show_so_far(RUNS[0], shown)
    folder = Path(shown.folder)
    links = [part.split('"')[0] for part in (folder / "index.html").read_text().split('href="')[1:]]
    assert len(links) > 10
    assert all((folder / link).is_file() for link in links)


def test_a_run_without_its_marker_is_not_shown(shown: Shown) -> None:
    show_so_far(RUNS[0], shown)
    Path(shown.runs[RUNS[0]].marker).unlink()
    show_so_far(RUNS[1], shown)
    assert recipes(shown) == ["mix"]


def test_runs_that_end_at_once_are_both_shown(shown: Shown) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=show_so_far, args=(run, shown)) for run in RUNS]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    assert recipes(shown) == ["image", "mix"]


def test_the_script_hands_over_what_the_rule_names(shown: Shown, tmp_path: Path) -> None:
    rule = job(
        "show_so_far",
        tmp_path,
        inputs={"scores": shown.runs[RUNS[0]].scores, "alignments": []},
        outputs={"marker": shown.runs[RUNS[0]].marker},
        params={"run": RUNS[0], "study": dataclasses.asdict(shown)},
    )
    runpy.run_path(str(ROOT / "workflow/scripts/show_so_far.py"), init_globals={"snakemake": rule}, run_name="__main__")
    assert recipes(shown) == ["image"]
