"""Guess rates: how often blind baselines are right, which answer without solving the puzzle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from s2h.analysis.pages import Grid, Page, Section, count, parts, percent, share_cell
from s2h.analysis.scores import with_interval
from s2h.analysis.statistics import wilson_interval
from s2h.analysis.study import Study, Table
from s2h.parquet import read_parquet
from s2h.puzzles.record import LEVELS

SCHEMA = {
    "task": pl.String,
    "level": pl.String,
    "baseline": pl.String,  # its name
    "n": pl.Int64,  # evaluation puzzles
    "correct": pl.Int64,  # those whose guessed answer is right
    "accuracy": pl.Float64,
    "ci_low": pl.Float64,  # 95 % Wilson interval
    "ci_high": pl.Float64,
}


def guess_rates(files: Sequence[str | Path]) -> pl.DataFrame:
    """Rows of ``SCHEMA``: of each task its levels in order, of each level its baselines as the task has them.

    Args:
        files: what ``s2h.baselines.measuring.write_baselines`` wrote; a task that is in several counts once.
    """
    counted = [pl.DataFrame(schema={name: SCHEMA[name] for name in ("task", "level", "baseline", "n", "correct")})]
    counted += [read_parquet("file of baselines", path) for path in files]
    order = pl.col("level").cast(pl.Enum(LEVELS))
    frame = pl.concat(counted).unique(["task", "level", "baseline"], maintain_order=True)
    rates = frame.sort("task", order, maintain_order=True).with_columns(accuracy=pl.col("correct") / pl.col("n"))
    return with_interval(rates, wilson_interval, ["correct", "n"]).select(list(SCHEMA))


def best_guesses(rates: pl.DataFrame) -> pl.DataFrame:
    """The rate of the best baseline of each task and level: the columns task, level and guess_rate."""
    return rates.group_by("task", "level", maintain_order=True).agg(guess_rate=pl.col("accuracy").max())


def with_guess_rates(page: Page, study: Study) -> Page:
    """A page that shows accuracies, with a note on what guesses get right in its tasks."""
    shown = {section.task for section in page.sections}
    best = best_guesses(guess_rates(study.baselines)).filter(pl.col("task").is_in(shown))
    if best.is_empty():
        return page
    tasks = [
        f"{study.task_titles.get(str(task), str(task))} "
        + ", ".join(f"{level} {percent(rate)} %" for level, rate in rows.select("level", "guess_rate").iter_rows())
        for (task,), rows in parts(best, ["task"])
    ]
    note = f"Guess rates, of the best blind baseline in baselines.csv: {'; '.join(tasks)}."
    return dataclasses.replace(page, notes=(*page.notes, note))


def to_page(rates: pl.DataFrame, task_titles: Mapping[str, str]) -> Page:
    """The page of what ``guess_rates`` gave: a table for each task, with a row for each level and baseline."""
    sections = (Section(str(task), "guess rates", _grid(rows)) for (task,), rows in parts(rates, ["task"]))
    return Page.of("Blind baselines", sections, note=_NOTE, empty="No baseline has been measured.")


_NOTE = (
    "Right answers (%) of baselines that do not solve the puzzle, with 95 % Wilson intervals over the n evaluation "
    "puzzles, given as text or as images. What a baseline has to learn it learns from 2,000 training puzzles of the "
    "level; docs/metrics.md says what each does."
)


def _grid(rows: pl.DataFrame) -> Grid:
    lines = tuple(
        (row["level"], row["baseline"], count(row["n"]), share_cell(row)) for row in rows.iter_rows(named=True)
    )
    return Grid(("Level", "Baseline"), ("n", "right"), lines, grouped=1)


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    rates = guess_rates(study.baselines)
    return rates, to_page(rates, study.task_titles)


BASELINES_TABLE = Table(make)
