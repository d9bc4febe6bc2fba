"""Accuracy in the paper's layout: recipes and evaluation sets against budgets, the paper's figures beside ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import polars as pl

from s2h.analysis.pages import ABSENT, Grid, Page, by_recipe, model_sections, parts, percent, percent_interval, sets_of
from s2h.analysis.published import KEYS, nearest_budget, read_published
from s2h.analysis.scores import SET, read_scores, with_interval
from s2h.analysis.seeds import ANY_SEED
from s2h.analysis.statistics import wilson_interval
from s2h.analysis.study import Study, Table

SCHEMA = {
    **{name: pl.Int64 if name == "budget" else pl.String for name in ANY_SEED},
    "seeds": pl.Int64,  # number of them
    "n": pl.Int64,  # puzzles
    "accuracy": pl.Float64,  # mean over the seeds
    "ci_low": pl.Float64,  # 95 % Wilson interval of that mean on n puzzles
    "ci_high": pl.Float64,
    "sd": pl.Float64,  # sample standard deviation across the seeds; null for one
    "published": pl.Float64,  # the paper's figure at the nearest budget within a factor of 2; null where there is none
    "published_budget": pl.Int64,
    "difference": pl.Float64,  # accuracy - published
}


def accuracy_table(scores: pl.DataFrame) -> pl.DataFrame:
    """One row for each training, level and modality, over its seeds.

    Args:
        scores: what ``read_scores`` gave, with the column correct.

    Returns:
        Rows of ``SCHEMA``. A task that was trained together with others has no published figure: the paper's models
        were trained on one.
    """
    puzzles = scores.group_by(ANY_SEED).agg(n=pl.col("puzzle_id").n_unique().cast(pl.Int64))
    means = (
        scores.group_by(SET)
        .agg(correct=pl.col("correct").mean())
        .sort(SET)  # means of seeds in one order are the same to the last digit
        .group_by(ANY_SEED)
        .agg(seeds=pl.len(), accuracy=pl.col("correct").mean(), sd=pl.col("correct").std(ddof=1))
        .join(puzzles, on=ANY_SEED)
        .sort(ANY_SEED)
        .with_columns(right=pl.col("accuracy") * pl.col("n"))
    )
    with_ours = with_interval(means, wilson_interval, ["right", "n"])
    return with_published(with_ours).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def with_published(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with published, published_budget and difference."""
    figures = read_published()
    budgets = {key: part["budget"].to_list() for key, part in figures.partition_by(KEYS, as_dict=True).items()}
    nearest = [
        nearest_budget(row["budget"], budgets.get(tuple(row[key] for key in KEYS), []))
        if row["task"] == row["trained_on"]
        else None
        for row in frame.iter_rows(named=True)
    ]
    return (
        frame.with_columns(published_budget=pl.Series(nearest, dtype=pl.Int64))
        .join(
            figures.rename({"budget": "published_budget", "accuracy": "published"}),
            on=[*KEYS, "published_budget"],
            how="left",
            maintain_order="left",
        )
        .with_columns(difference=pl.col("accuracy") - pl.col("published"))
    )


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``accuracy_table`` gave.

    It has a table for each task and model, with a row for each evaluation set and recipe, and a column for each budget.
    """
    return Page.of("Accuracy", model_sections(frame, partial(_grid, recipe_titles=recipe_titles)), note=_NOTE)


_NOTE = (
    "Accuracy (%), mean over the seeds, with the 95 % Wilson interval of that mean over puzzles; after ± "
    "the sample standard deviation across seeds, where there are several. Paper: the figure that the paper's plots "
    "show for the same task, recipe and evaluation set, at the same budget or, where one is named, at the nearest "
    "within a factor of two; in brackets ours minus theirs, in points. Their model has 8 billion parameters, and their "
    f"puzzles have sizes of their own. {ABSENT}: not scored, or not published."
)


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    budgets = {budget: _is_published(rows) for (budget,), rows in parts(part, ["budget"])}
    headers = [head for budget, published in budgets.items() for head in _headers(budget, published)]
    rows = tuple(
        (*cell, title, *_cells(run, budgets))
        for cell in sets_of(part)
        for title, run in by_recipe(_of(part, *cell), recipe_titles)
    )
    return Grid(("Level", "Modality", "Recipe"), tuple(headers), rows, caption=_caption(part), grouped=2)


def _is_published(rows: pl.DataFrame) -> bool:
    return rows["published"].null_count() < rows.height


def _of(part: pl.DataFrame, level: str, modality: str) -> pl.DataFrame:
    return part.filter(pl.col("level") == level, pl.col("modality") == modality)


def _headers(budget: Any, published: bool) -> Iterator[str]:
    yield f"{budget:,}"
    if published:
        yield "paper"


def _cells(run: pl.DataFrame, budgets: Mapping[Any, bool]) -> Iterator[str]:
    rows = {row["budget"]: row for row in run.iter_rows(named=True)}
    for budget, published in budgets.items():
        yield _ours(rows.get(budget))
        if published:
            yield _theirs(rows.get(budget))


def _ours(row: dict[str, Any] | None) -> str:
    if row is None:
        return ABSENT
    spread = "" if row["sd"] is None else f" ± {100 * row['sd']:.1f}"
    return percent_interval(row["accuracy"], row["ci_low"], row["ci_high"]) + spread


def _theirs(row: dict[str, Any] | None) -> str:
    if row is None or row["published"] is None:
        return ABSENT
    at = "" if row["published_budget"] == row["budget"] else f" at {row['published_budget']:,}"
    points = 100 * row["difference"]
    return f"{percent(row['published'])}{at} ({'+' if round(points) > 0 else ''}{round(points)})"


def _caption(part: pl.DataFrame) -> str:
    seeds, n = (_range(part, name) for name in ("seeds", "n"))
    return f"n = {n} puzzles for each set; {seeds} seed{'' if seeds == '1' else 's'}."


def _range(part: pl.DataFrame, name: str) -> str:
    values = sorted(set(part[name].to_list()))
    return " to ".join(f"{number:,}" for number in dict.fromkeys((values[0], values[-1])))


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    frame = accuracy_table(read_scores(study.score_files, ["correct"]))
    return frame, to_page(frame, study.recipe_titles)


ACCURACY = Table(make, reads=frozenset({"published"}))
