"""Accuracy in the paper's layout: recipes and evaluation sets against budgets, the paper's figures beside ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl

from s2h.analysis.baselines import with_guess_rates
from s2h.analysis.pages import (
    ABSENT,
    EXACT,
    Grid,
    Page,
    by_recipe,
    model_sections,
    parts,
    percent,
    sets_of,
    share_cell,
)
from s2h.analysis.published import KEYS, nearest_budget, read_published
from s2h.analysis.scores import SET, read_scores, with_interval
from s2h.analysis.seeds import ANY_SEED
from s2h.analysis.statistics import wilson_interval
from s2h.analysis.study import Study, Table

SCHEMA = {
    **{name: pl.Int64 if name == "budget" else pl.String for name in ANY_SEED},
    "seeds": pl.Int64,  # number of them
    "n": pl.Int64,  # puzzles
    "accuracy": pl.Float64,  # share of right answers, mean over the seeds
    "ci_low": pl.Float64,  # 95 % Wilson interval of that mean on n puzzles
    "ci_high": pl.Float64,
    "sd": pl.Float64,  # sample standard deviation of accuracy across the seeds; null for one
    "exact_match": pl.Float64,  # mean over the seeds; null for a task that has no such metric
    "exact_ci_low": pl.Float64,  # its interval, likewise
    "exact_ci_high": pl.Float64,
    "published": pl.Float64,  # the paper's figure at the nearest budget within a factor of 2; null where there is none
    "published_metric": pl.String,  # the metric of that figure
    "published_budget": pl.Int64,
    "difference": pl.Float64,  # ours in that metric - published; null where we do not measure it
}


def accuracy_table(scores: pl.DataFrame) -> pl.DataFrame:
    """One row for each training, level and modality, over its seeds.

    Args:
        scores: what ``read_scores`` gave, with the columns correct and exact_match.

    Returns:
        Rows of ``SCHEMA``. A task that was trained together with others has no published figure: the paper's models
        were trained on one.
    """
    puzzles = scores.group_by(ANY_SEED).agg(n=pl.col("puzzle_id").n_unique().cast(pl.Int64))
    means = (
        scores.group_by(SET)
        .agg(correct=pl.col("correct").mean(), exact_match=pl.col("exact_match").mean())
        .sort(SET)  # means of seeds in one order are the same to the last digit
        .group_by(ANY_SEED)
        .agg(
            seeds=pl.len(),
            accuracy=pl.col("correct").mean(),
            sd=pl.col("correct").std(ddof=1),
            exact_match=pl.col("exact_match").mean(),
        )
        .join(puzzles, on=ANY_SEED)
        .sort(ANY_SEED)
        .with_columns(right=pl.col("accuracy") * pl.col("n"), exact=pl.col("exact_match") * pl.col("n"))
    )
    of_answers = with_interval(means, wilson_interval, ["right", "n"])
    with_ours = with_interval(of_answers, wilson_interval, ["exact", "n"], prefix="exact_")
    return with_published(with_ours).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def with_published(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with published, published_metric, published_budget and difference."""
    figures = read_published()
    budgets = {key: part["budget"].to_list() for key, part in figures.partition_by(KEYS, as_dict=True).items()}
    nearest = [
        nearest_budget(row["budget"], budgets.get(tuple(row[key] for key in KEYS), []))
        if row["task"] == row["trained_on"]
        else None
        for row in frame.iter_rows(named=True)
    ]
    equal = pl.when(pl.col("published_metric") == "exact_match").then(pl.col("exact_match"))
    return (
        frame.with_columns(published_budget=pl.Series(nearest, dtype=pl.Int64))
        .join(
            figures.rename({"budget": "published_budget", "value": "published", "metric": "published_metric"}),
            on=[*KEYS, "published_budget"],
            how="left",
            maintain_order="left",
        )
        .with_columns(difference=equal - pl.col("published"))
    )


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``accuracy_table`` gave.

    It has a table for each task and model, with a row for each evaluation set and recipe, and a column for each budget.
    """
    return Page.of("Accuracy", model_sections(frame, partial(_grid, recipe_titles=recipe_titles)), note=_NOTE)


_NOTE = (
    "Answer: share of right answers (%), mean over the seeds, with the 95 % Wilson interval of that mean over puzzles; "
    "after ± the sample standard deviation across seeds, where there are several. Exact match: the same in the paper's "
    "own metric: the values along the path in their order (tables), a valid walk (grids), the whole answer block "
    "(analogies). Paper: the figure that the paper's plots show for the same task, recipe and evaluation set, with its "
    "metric, at the same budget or, where one is named, at the nearest within a factor of two; in brackets ours in the "
    "same metric minus theirs, in points. Their model has 8 billion parameters, and their puzzles have sizes of their "
    f"own. {ABSENT}: not scored, not measured, or not published."
)


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    budgets = {budget: _metrics(rows) for (budget,), rows in parts(part, ["budget"])}
    headers = [head for budget, metrics in budgets.items() for head in _headers(budget, metrics)]
    rows = tuple(
        (*cell, title, *_cells(run, budgets))
        for cell in sets_of(part)
        for title, run in by_recipe(_of(part, *cell), recipe_titles)
    )
    return Grid(("Level", "Modality", "Recipe"), tuple(headers), rows, caption=_caption(part), grouped=2)


def _metrics(rows: pl.DataFrame) -> tuple[str, ...]:
    """The metrics of the published figures beside the rows of a budget."""
    return tuple(sorted(set(rows["published_metric"].drop_nulls())))


def _of(part: pl.DataFrame, level: str, modality: str) -> pl.DataFrame:
    return part.filter(pl.col("level") == level, pl.col("modality") == modality)


def _headers(budget: Any, metrics: Sequence[str]) -> Iterator[str]:
    yield from (f"{budget:,}: answer", "exact match")
    if metrics:
        yield f"paper ({', '.join(metrics).replace('_', ' ')})"


def _cells(run: pl.DataFrame, budgets: Mapping[Any, Sequence[str]]) -> Iterator[str]:
    rows = {row["budget"]: row for row in run.iter_rows(named=True)}
    for budget, metrics in budgets.items():
        yield from (_answers(rows.get(budget)), share_cell(rows.get(budget), EXACT))
        if metrics:
            yield _theirs(rows.get(budget))


def _answers(row: dict[str, Any] | None) -> str:
    return share_cell(row) + ("" if row is None or row["sd"] is None else f" ± {100 * row['sd']:.1f}")


def _theirs(row: dict[str, Any] | None) -> str:
    if row is None or row["published"] is None:
        return ABSENT
    at = "" if row["published_budget"] == row["budget"] else f" at {row['published_budget']:,}"
    return f"{percent(row['published'])}{at}{_difference(row['difference'])}"


def _difference(difference: float | None) -> str:
    if difference is None:
        return ""
    points = round(100 * difference)
    return f" ({'+' if points > 0 else ''}{points})"


def _caption(part: pl.DataFrame) -> str:
    seeds, n = (_range(part, name) for name in ("seeds", "n"))
    return f"n = {n} puzzles for each set; {seeds} seed{'' if seeds == '1' else 's'}."


def _range(part: pl.DataFrame, name: str) -> str:
    values = sorted(set(part[name].to_list()))
    return " to ".join(f"{number:,}" for number in dict.fromkeys((values[0], values[-1])))


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    frame = accuracy_table(read_scores(study.score_files, ["correct"], metrics=["exact_match"]))
    return frame, with_guess_rates(to_page(frame, study.recipe_titles), study)


ACCURACY = Table(make)
