"""What a study shows while it runs: tables, figures and a page of the runs that are scored so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from markupsafe import Markup

from s2h.analysis.registry import TABLES
from s2h.analysis.study import Study
from s2h.analysis.writing import ENDINGS, write_table
from s2h.exclusive import exclusive
from s2h.figures.files import write_figure
from s2h.figures.kinds import Titles
from s2h.figures.registry import FIGURES
from s2h.files import whole_file
from s2h.publishing.story import tell_story
from s2h.templates import open_template

TEMPLATE = Path(__file__).with_name("so_far.html")

_REFRESHED = 30  # seconds after which a browser reads the page again


@dataclasses.dataclass(frozen=True, slots=True)
class RunFiles:
    """What a run leaves.

    Attributes:
        marker: a file that is there once the run is shown.
        tasks: what it is scored on.
        scores: a Parquet file.
        models: folders of its phases' models, in order.
        alignments: Parquet files of its gradient alignment.
    """

    marker: str
    tasks: Sequence[str]
    scores: str
    models: Sequence[str]
    alignments: Sequence[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """What is shown, and under which names.

    Attributes:
        folder: gets ``tables/``, ``figures/`` and ``index.html``.
        runs: all that the study will have, by name.
        tables: names of those that the first page reads.
        figures: titles of those that the first page shows, by name.
        shards: the evaluation shards of each task and level.
        task_settings: of each task, as a config file holds them.
        config: of the workflow, as it is shown.
        recipe_titles: the paper's names.
        task_titles: the paper's names.
    """

    folder: str
    runs: Mapping[str, RunFiles]
    tables: Sequence[str]
    figures: Mapping[str, str]
    shards: Mapping[str, Mapping[str, Sequence[str]]]
    task_settings: Mapping[str, Mapping[str, Any]]
    config: Mapping[str, Any]
    recipe_titles: Mapping[str, str]
    task_titles: Mapping[str, str]


def show_so_far(run: str, shown: Shown) -> int:
    """Write the tables, the figures and the page anew, with a run that has just been scored; then its marker.

    Runs that end at the same time wait for each other, so that the last one shows all of them.

    Args:
        run: its name.
        shown: the study.

    Returns:
        How many runs are shown.
    """
    folder = Path(shown.folder)
    with exclusive(folder / ".lock"):
        ready = {name: files for name, files in shown.runs.items() if name == run or Path(files.marker).exists()}
        study = _study_of(ready, shown)
        tables = {name: _write_table(folder, name, study) for name in TABLES}
        figures = {name: _write_figure(folder, name, tables, study) for name in FIGURES}
        with whole_file(folder / "index.html") as temporary:
            temporary.write_text(_page(ready, shown, study, tables, figures), encoding="utf-8")
        with whole_file(ready[run].marker) as temporary:
            temporary.write_text(f"{run}\n", encoding="utf-8")
    return len(ready)


def _study_of(ready: Mapping[str, RunFiles], shown: Shown) -> Study:
    """The study as if these runs were all; the puzzles of tasks that none of them is scored on may not be made yet."""
    tasks = {task for files in ready.values() for task in files.tasks}
    return Study(
        score_files=[files.scores for files in ready.values()],
        models={name: files.models for name, files in ready.items()},
        shards={task: levels for task, levels in shown.shards.items() if task in tasks},
        task_settings={task: settings for task, settings in shown.task_settings.items() if task in tasks},
        alignments=list(chain.from_iterable(files.alignments for files in ready.values())),
        recipe_titles=shown.recipe_titles,
        task_titles=shown.task_titles,
    )


def _write_table(folder: Path, name: str, study: Study) -> Path:
    """A table in all its files; gives that for machines."""
    files = {kind: folder / "tables" / f"{name}.{ending}" for kind, ending in ENDINGS.items()}
    write_table(name, study, files)
    return files["parquet"]


def _write_figure(folder: Path, name: str, tables: Mapping[str, Path], study: Study) -> Path:
    """A figure as the page shows it."""
    file = folder / "figures" / f"{name}.svg"
    write_figure(FIGURES[name], tables, Titles(study.recipe_titles, study.task_titles), outputs={"svg": file})
    return file


def _page(
    ready: Mapping[str, RunFiles],
    shown: Shown,
    study: Study,
    tables: Mapping[str, Path],
    figures: Mapping[str, Path],
) -> str:
    """The report's first page of these runs, with what is missing above it."""
    story = tell_story(
        tables={name: tables[name] for name in shown.tables},
        figures={title: figures[name] for name, title in shown.figures.items()},
        score_files=study.score_files,
        shards=study.shards,
        config=shown.config,
        recipe_titles=shown.recipe_titles,
        task_titles=shown.task_titles,
    )
    return open_template(TEMPLATE).render(
        story=Markup(story),
        ready=len(ready),
        missing=[name for name in shown.runs if name not in ready],
        seconds=_REFRESHED,
        tables=list(tables),
        figures=list(figures),
    )
