"""Runs that differ in one thing, compared on the same puzzles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from s2h.analysis.baselines import with_guess_rates
from s2h.analysis.pages import ABSENT, Grid, Page, Section, order_of, percent, percent_interval
from s2h.analysis.scores import RUN, pair_scores, read_scores, with_interval
from s2h.analysis.statistics import bootstrap_interval, mcnemar
from s2h.analysis.study import Study, Table
from s2h.errors import DataError

VARIED = ("recipe", "budget", "model")
"""In what two runs may differ to be compared."""

SCHEMA = {
    "task": pl.String,
    "trained_on": pl.String,
    "seed": pl.Int64,
    "differs": pl.String,  # one of VARIED
    "recipe_first": pl.String,
    "recipe_second": pl.String,
    "budget_first": pl.Int64,
    "budget_second": pl.Int64,
    "model_first": pl.String,
    "model_second": pl.String,
    "level": pl.String,
    "modality": pl.String,
    "n": pl.Int64,  # puzzles that both scored
    "left_out": pl.Int64,  # puzzles that one of the two scored
    "accuracy_first": pl.Float64,  # on the n puzzles, as are all below; null where n is 0
    "accuracy_second": pl.Float64,
    "difference": pl.Float64,  # first minus second
    "ci_low": pl.Float64,  # 95 % bootstrap over puzzles, in pairs
    "ci_high": pl.Float64,
    "only_first": pl.Int64,  # right in the first run alone
    "only_second": pl.Int64,
    "mcnemar_p": pl.Float64,
}

Run = tuple[Any, ...]
"""Values of the columns of ``RUN``."""


def compare_runs(scores: pl.DataFrame, recipes: Sequence[str] = ()) -> pl.DataFrame:
    """Every pair of runs of a task, with the same seed, that differ in one of recipe, budget and model.

    Args:
        scores: what ``read_scores`` gave, with the column correct.
        recipes: names of recipes; of a pair that differs in the recipe, the earlier is first. Others follow by name,
            as models do; the smaller budget is first.

    Returns:
        A row of ``SCHEMA`` for each pair, level and modality.

    Raises:
        DataError: two such runs share no puzzle.
    """
    runs: dict[Run, pl.DataFrame] = dict(scores.partition_by(RUN, as_dict=True))
    frames = [_compare(first, second, differs, runs) for first, second, differs in _pairs(runs, recipes)]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *frames])


def _pairs(runs: Mapping[Run, Any], recipes: Sequence[str]) -> list[tuple[Run, Run, str]]:
    """(first, second, what differs), by task, then by what differs."""
    order = order_of(recipes)

    def place(run: Run) -> tuple[Any, ...]:
        task, trained_on, recipe, budget, model, seed = run
        return task, trained_on, seed, model, budget, order(recipe)

    pairs = []
    for first, second in itertools.combinations(sorted(runs, key=place), 2):
        differing = [name for name, a, b in zip(RUN, first, second, strict=True) if a != b]
        if len(differing) == 1 and differing[0] in VARIED:
            pairs.append((first, second, differing[0]))
    return sorted(pairs, key=lambda pair: (pair[0][0], pair[0][1], pair[0][-1], VARIED.index(pair[2])))


def _compare(first: Run, second: Run, differs: str, runs: Mapping[Run, pl.DataFrame]) -> pl.DataFrame:
    pairs = pair_scores(runs[first], runs[second], ["level", "modality"])
    if not pairs["n"].sum():
        raise DataError(
            f"the runs {first} and {second} share no puzzle, so that they cannot be compared: score both on the same "
            "evaluation sets."
        )
    one, other = dict(zip(RUN, first, strict=True)), dict(zip(RUN, second, strict=True))
    names = {name: one[name] for name in ("task", "trained_on", "seed")} | {"differs": differs}
    for name in VARIED:
        names |= {f"{name}_first": one[name], f"{name}_second": other[name]}
    tests = [mcnemar(*counts) for counts in pairs.select("only_first", "only_second").iter_rows()]
    compared = pairs.with_columns(
        **{name: pl.lit(value, SCHEMA[name]) for name, value in names.items()},
        accuracy_first=_share(pl.col("right_first")),
        accuracy_second=_share(pl.col("right_second")),
        difference=_share(pl.col("only_first") - pl.col("only_second")),
        mcnemar_p=pl.Series(tests, dtype=pl.Float64),
    )
    counted = ["only_first", "only_second", "n"]
    return with_interval(compared, bootstrap_interval, counted).select(pl.col(n).cast(t) for n, t in SCHEMA.items())


def _share(count: pl.Expr) -> pl.Expr:
    return pl.when(pl.col("n") > 0).then(count / pl.col("n"))


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``compare_runs`` gave.

    It has a table for each task and what differs, with a row for each pair, level and modality.
    """
    return Page.of("Comparisons", _sections(frame, recipe_titles), note=_NOTE, empty=_EMPTY)


_EMPTY = "This study has no two runs of a task that differ in exactly one of recipe, budget and model."
_NOTE = (
    "Accuracy (%), on the n puzzles that both runs scored (omitted: puzzles that only one of them scored). "
    "Difference: the first minus the second, in percentage points with its 95 % bootstrap interval over puzzles. "
    "Only first, only second: puzzles that one run alone has right. McNemar p: exact, two-sided, not corrected for the "
    f"number of comparisons. {ABSENT}: no puzzle in common."
)


def _sections(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Iterator[Section]:
    keys = ["task", "trained_on", "seed", "differs"]
    for key, part in frame.partition_by(keys, as_dict=True, maintain_order=True).items():
        task, trained_on, seed, differs = map(str, key)
        together = "" if task == trained_on else f", trained on {trained_on}"
        yield Section(task, f"Another {differs}, seed {seed}{together}", _grid(part, differs, recipe_titles))


_ACCURACIES = ("first accuracy", "second accuracy", "difference")
_HEADERS = ("n", "omitted", *_ACCURACIES, "only first", "only second", "McNemar p")


def _grid(part: pl.DataFrame, differs: str, recipe_titles: Mapping[str, str]) -> Grid:
    same = [name for name in VARIED if name != differs]
    words = (*(name.capitalize() for name in same), "First", "Second", "Set")
    lines = []
    for row in part.iter_rows(named=True):
        shown = [_shown(name, row[f"{name}_first"], recipe_titles) for name in same]
        shown += [_shown(differs, row[f"{differs}_{side}"], recipe_titles) for side in ("first", "second")]
        lines.append((*shown, f"{row['level']} {row['modality']}", *_numbers(row)))
    return Grid(words, _HEADERS, tuple(lines))


def _shown(name: str, value: Any, recipe_titles: Mapping[str, str]) -> str:
    if name == "budget":
        return f"{value:,}"
    return recipe_titles.get(value, value) if name == "recipe" else str(value)


def _numbers(row: dict[str, Any]) -> list[str]:
    counts = [f"{row['n']:,}", f"{row['left_out']:,}"]
    if not row["n"]:
        return counts + [ABSENT] * 6
    difference = percent_interval(row["difference"], row["ci_low"], row["ci_high"])
    shares = [percent(row["accuracy_first"]), percent(row["accuracy_second"]), difference]
    return [*counts, *shares, f"{row['only_first']:,}", f"{row['only_second']:,}", f"{row['mcnemar_p']:.2g}"]


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page; the order of the recipes' titles says which recipe of a pair is first."""
    frame = compare_runs(read_scores(study.score_files, ["correct"]), list(study.recipe_titles))
    return frame, with_guess_rates(to_page(frame, study.recipe_titles), study)


COMPARISONS = Table(make, significant={"mcnemar_p": 3})
