"""The live view of a study: tables, figures and a page of the runs that are scored by now (``s2h watch``)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from markupsafe import Markup

from s2h.analysis.study import Study
from s2h.analysis.table_registry import TABLES
from s2h.analysis.writing import ENDINGS, write_table
from s2h.errors import DataError
from s2h.figures.figure_files import write_figure
from s2h.figures.figure_registry import FIGURES
from s2h.figures.kinds import Titles
from s2h.files import atomic_file
from s2h.provenance.records import read_record, record_path
from s2h.publishing.overview import render_overview
from s2h.templates import open_template

TEMPLATE = Path(__file__).with_name("live.html")


@dataclasses.dataclass(frozen=True, slots=True)
class RunFiles:
    """The files of a run.

    Attributes:
        tasks: what it is scored on.
        scores: a Parquet file.
        models: folders of its phases' models, in order.
        alignments: Parquet files of its gradient alignment.
    """

    tasks: Sequence[str]
    scores: str
    models: Sequence[str]
    alignments: Sequence[str]


@dataclasses.dataclass(frozen=True, slots=True)
class LiveStudy:
    """A study that may still run, and the names that its page uses.

    Attributes:
        results: folder of everything that the workflow makes; ``live/`` below it gets tables, figures and the page.
        runs: all that the study will have, by name.
        tables: names of those that the first page reads.
        figures: titles of those that the first page shows, by name.
        shards: the evaluation shards of each task and level.
        task_settings: of each task, as a config file holds them.
        baselines: Parquet files of the blind baselines of each task.
        config: of the workflow, as it is shown.
        recipe_titles: the paper's names.
        task_titles: the paper's names.
        prices: of the models' tokens, as a ``Study`` has them.
    """

    results: str
    runs: Mapping[str, RunFiles]
    tables: Sequence[str]
    figures: Mapping[str, str]
    shards: Mapping[str, Mapping[str, Sequence[str]]]
    task_settings: Mapping[str, Mapping[str, Any]]
    baselines: Mapping[str, str]
    config: Mapping[str, Any]
    recipe_titles: Mapping[str, str]
    task_titles: Mapping[str, str]
    prices: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The output folder of the live view."""
        return Path(self.results) / "live"

    @property
    def page(self) -> Path:
        """The HTML page of the live view."""
        return self.folder / "index.html"


def watch(study: LiveStudy, *, seconds: float, say: Callable[[str], None], until_done: bool = True) -> None:
    """Write the live view now, and again whenever a run has been scored, until all are.

    It reads what jobs have finished and writes below ``live/`` alone, so it may run beside the workflow or without it.

    Args:
        study: what is watched.
        seconds: between two looks, after which a browser reads the page again, too.
        say: shows a line to the user.
        until_done: whether to look again until every run is scored; False looks once.
    """
    shown: dict[str, str] | None = None
    while True:
        ready = scored_runs(study)
        if ready != shown:
            write_live_view(study, ready, seconds=seconds)
            say(f"{len(ready)} of {len(study.runs)} runs are scored: {study.page}")
            shown = ready
        if not until_done or len(ready) == len(study.runs):
            return
        time.sleep(seconds)


def scored_runs(study: LiveStudy) -> dict[str, str]:
    """The runs whose scores are finished, with the keys of their jobs: a run that is made again is not among them."""
    keys = {name: _finished(files.scores, study.results) for name, files in study.runs.items()}
    return {name: key for name, key in keys.items() if key}


def _finished(output: str, results: str) -> str | None:
    """The key of the job that made an output; None where it is not there or not whole."""
    place = record_path(output, results)
    try:
        return read_record(place).key if place and Path(output).exists() else None
    except DataError:
        return None


def write_live_view(study: LiveStudy, ready: Collection[str], *, seconds: float) -> None:
    """Write tables, figures and the page of the named runs.

    Args:
        study: the whole study.
        ready: names of the runs to show; without any the page says what is to come.
        seconds: after which a browser reads the page again, while runs are missing.
    """
    runs = {name: files for name, files in study.runs.items() if name in ready}
    shown = _study_of(runs, study)
    tables = {name: _write_table(study.folder, name, shown) for name in (TABLES if runs else ())}
    figures = {name: _write_figure(study.folder, name, tables, shown) for name in (FIGURES if runs else ())}
    with atomic_file(study.page) as temporary:
        temporary.write_text(_page(study, shown, tables, figures, ready=runs, seconds=seconds), encoding="utf-8")


def write_summary(study: LiveStudy, ready: Collection[str]) -> Path:
    """Write the summary table of the named runs, one or more, in all its files; gives the one to read."""
    runs = {name: files for name, files in study.runs.items() if name in ready}
    return _write_table(study.folder, "summary", _study_of(runs, study)).with_suffix(".md")


def _study_of(ready: Mapping[str, RunFiles], study: LiveStudy) -> Study:
    """The study as if these runs were all; the puzzles of tasks that none of them is scored on may not be made yet."""
    tasks = {task for files in ready.values() for task in files.tasks}
    return Study(
        score_files=[files.scores for files in ready.values()],
        models={name: files.models for name, files in ready.items()},
        shards={task: levels for task, levels in study.shards.items() if task in tasks},
        task_settings={task: settings for task, settings in study.task_settings.items() if task in tasks},
        baselines=[path for task, path in study.baselines.items() if task in tasks and _finished(path, study.results)],
        alignments=[
            path
            for path in chain.from_iterable(files.alignments for files in ready.values())
            if _finished(path, study.results)
        ],
        prices=study.prices,
        recipe_titles=study.recipe_titles,
        task_titles=study.task_titles,
    )


def _write_table(folder: Path, name: str, study: Study) -> Path:
    """A table in all its files; gives that for machines."""
    files = {kind: folder / "tables" / f"{name}.{ending}" for kind, ending in ENDINGS.items()}
    write_table(name, study, files)
    return files["parquet"]


def _write_figure(folder: Path, name: str, tables: Mapping[str, Path], study: Study) -> Path:
    """A figure as the page shows it."""
    file = folder / "figures" / f"{name}.svg"
    read = {table: tables[table] for table in FIGURES.reads(name)}
    write_figure(FIGURES[name], read, Titles(study.recipe_titles, study.task_titles), outputs={"svg": file})
    return file


def _page(
    study: LiveStudy,
    shown: Study,
    tables: Mapping[str, Path],
    figures: Mapping[str, Path],
    *,
    ready: Collection[str],
    seconds: float,
) -> str:
    """The report's first page of these runs, with what is missing above it."""
    return open_template(TEMPLATE).render(
        overview=Markup(_overview(study, shown, tables, figures)) if ready else "",
        ready=len(ready),
        missing=[name for name in study.runs if name not in ready],
        seconds=round(seconds),
        tables=list(tables),
        figures=list(figures),
    )


def _overview(study: LiveStudy, shown: Study, tables: Mapping[str, Path], figures: Mapping[str, Path]) -> str:
    return render_overview(
        tables={name: tables[name] for name in study.tables},
        figures={title: figures[name] for name, title in study.figures.items()},
        score_files=shown.score_files,
        shards=shown.shards,
        config=study.config,
        recipe_titles=study.recipe_titles,
        task_titles=study.task_titles,
    )
