"""The main results: accuracy of each run on each evaluation set, and the gaps between these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from s2h.analysis.baselines import with_guess_rates
from s2h.analysis.pages import (
    ABSENT,
    ANSWER,
    EXACT,
    EXACT_NOTE,
    Cell,
    Grid,
    Page,
    budget_sections,
    by_recipe,
    parts,
    percent,
    sets_of,
    share_cell,
)
from s2h.analysis.scores import SET, read_scores, with_interval
from s2h.analysis.statistics import wilson_interval
from s2h.analysis.study import Study, Table

_SCORES = {"answer": ANSWER, "exact match": EXACT}
_OTHERS = ("chain_accuracy", "no_answer", "tolerant")


def summarise(score_files: Sequence[str | Path]) -> pl.DataFrame:
    """One row for each run, level and modality.

    Returns:
        The columns of ``SET``, n, correct (a count), accuracy, ci_low and ci_high (95 % Wilson interval), exact_match
        with its interval (the paper's own metric; null for a task that has none), chain_accuracy (share with a
        chain of thought that is right from end to end; 0 by nature for predictions without one), no_answer (share
        without an answer that can be read; they count as wrong) and tolerant (a count: answers, right or wrong, that
        do not stand as the question asks, and that only the tolerant reader found). Runs are in the order of their
        names, levels SIMPLE, MEDIUM, HARD, text before image.

    Raises:
        DataError: a file cannot be read, or a puzzle is scored twice for a run and modality.
    """
    exact = pl.col("exact_match")
    frame = (
        read_scores(score_files, ["correct", "chain_correct", "parsed", "tolerant"], metrics=["exact_match"])
        .group_by(SET)
        .agg(
            n=pl.len().cast(pl.Int64),
            correct=pl.col("correct").sum().cast(pl.Int64),
            accuracy=pl.col("correct").mean(),
            exact_match=exact.mean(),
            exact=pl.when(exact.count() > 0).then(exact.sum()),
            chain_accuracy=pl.col("chain_correct").mean(),
            no_answer=(~pl.col("parsed")).mean(),
            tolerant=pl.col("tolerant").sum().cast(pl.Int64),
        )
        .sort(SET)
        .with_columns(pl.col("level", "modality").cast(pl.String))
    )
    of_answers = with_interval(frame, wilson_interval, ["correct", "n"])
    return with_interval(of_answers, wilson_interval, ["exact", "n"], prefix="exact_").select(
        *SET, "n", "correct", "accuracy", "ci_low", "ci_high", *EXACT, *_OTHERS
    )


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``summarise`` gave.

    It has a table for each task, model and budget, with two rows for each recipe and seed: answers and exact match.
    Where some predictions have no answer that can be read, a third row gives their share. If several tasks were trained
    together, their name stands behind the recipe.
    """
    return Page("Results", tuple(budget_sections(frame, partial(_grid, recipe_titles=recipe_titles))))


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    """A column for each set that was scored; one for the seeds, where there are several."""
    cells = sets_of(part)
    several = part["seed"].n_unique() > 1
    lines = [
        (title, *[str(seed)] * several, *line)
        for title, runs in by_recipe(part, recipe_titles)
        for (seed,), run in parts(runs, ["seed"])
        for line in _lines(run, cells)
    ]
    words = ("Recipe", *["Seed"] * several, "Score")
    numbers = tuple(" ".join(cell) for cell in cells)
    return Grid(words, numbers, tuple(lines), caption=_caption(part), grouped=1 + several)


def _lines(run: pl.DataFrame, cells: Sequence[Cell]) -> Iterator[tuple[str, ...]]:
    """The scores of a run, each with its name."""
    rows = {(row["level"], row["modality"]): row for row in run.iter_rows(named=True)}
    for name, columns in _SCORES.items():
        if run[columns[0]].null_count() < run.height:
            yield name, *(share_cell(rows.get(cell), columns) for cell in cells)
    if _has_unread(run):
        yield "no answer", *(percent(rows[cell]["no_answer"]) if cell in rows else ABSENT for cell in cells)


def _has_unread(part: pl.DataFrame) -> bool:
    """Whether predictions without an answer are as many as would be shown."""
    return bool((part["no_answer"] >= 0.005).any())


def _caption(part: pl.DataFrame) -> str:
    sizes = sorted(set(part["n"].to_list()))
    n = " to ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1])))
    notes = [EXACT_NOTE]
    if _has_unread(part):
        notes.append("No answer: predictions without an answer that can be read, which count as wrong.")
    if part["tolerant"].sum():
        notes.append(f"{part['tolerant'].sum():,} answers were only found by the tolerant reader.")
    return (
        f"Shares (%) with 95 % Wilson intervals, on n = {n} new puzzles for each level, given as text and as images. "
        f"{' '.join(notes)} {ABSENT}: not scored."
    )


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    frame = summarise(study.score_files)
    return frame, with_guess_rates(to_page(frame, study.recipe_titles), study)


SUMMARY = Table(make)
