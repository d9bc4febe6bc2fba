"""Which rows of a table a figure shows, in which order, and the words that say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import polars as pl

from s2h.analysis.baselines import best_guesses
from s2h.analysis.pages import order_of
from s2h.figures.kinds import Titles

_SETTING = ("task", "trained_on", "model")


class Setting(NamedTuple):
    """The setting of a panel: the scored task, the task or mixture trained on, and the model."""

    task: str
    trained_on: str
    model: str


def at_largest_budget(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of each recipe's largest budget in its setting."""
    return frame.filter(pl.col("budget") == pl.col("budget").max().over(*_SETTING, "recipe"))


def settings_of(frame: pl.DataFrame, titles: Titles) -> dict[Setting, pl.DataFrame]:
    """The rows of each setting; tasks in the order of their titles."""
    parts = frame.partition_by(_SETTING, as_dict=True, maintain_order=True)
    order = order_of(titles.tasks)
    keys = sorted(parts, key=lambda key: (order(str(key[0])), key))
    return {Setting(*map(str, key)): parts[key] for key in keys}


def recipes_of(frame: pl.DataFrame, titles: Titles) -> list[str]:
    """The recipes of a table, in the order of their titles."""
    return sorted(frame["recipe"].unique().to_list(), key=order_of(titles.recipes))


def by_recipe(frame: pl.DataFrame, titles: Titles) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each recipe, in that order."""
    for recipe in recipes_of(frame, titles):
        yield recipe, frame.filter(pl.col("recipe") == recipe)


def setting_title(setting: Setting, settings: Iterable[Setting], titles: Titles) -> str:
    """The task's title; below it the model and what it was trained on, where these do not go without saying."""
    notes = [f"with {setting.trained_on}"] if setting.trained_on != setting.task else []
    if len({each.model for each in settings}) > 1:
        notes.append(setting.model)
    return "\n".join([titles.task(setting.task), *([", ".join(notes)] if notes else [])])


def guess_rate(baselines: pl.DataFrame, tasks: Iterable[str], level: str) -> float | None:
    """The rate of the best blind baseline of a level, mean over the tasks; None where it is not known of all."""
    best = dict(best_guesses(baselines.filter(pl.col("level") == level)).select("task", "guess_rate").iter_rows())
    rates = [best.get(task) for task in tasks]
    known = [rate for rate in rates if rate is not None]
    return sum(known) / len(known) if known and len(known) == len(rates) else None


def budgets_note(frame: pl.DataFrame) -> str:
    """At which budget the recipes of a table are shown."""
    budgets = sorted(frame["budget"].unique().to_list())
    if len(budgets) == 1:
        return f"budget {budgets[0]:,} examples"
    return f"the largest budget of each recipe ({budgets[0]:,} to {budgets[-1]:,} examples)"


def limits(values: pl.Series) -> tuple[float, float]:
    """The least and the largest number of a column that has one."""
    numbers = values.drop_nulls().to_list()
    return float(min(numbers)), float(max(numbers))


def spread(values: pl.Series) -> str:
    """The numbers of a column as words: one, or the least and the largest."""
    low, high = limits(values)
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def seeds_note(frame: pl.DataFrame) -> str:
    """A note on the number of seeds behind the shown means."""
    return "one seed" if limits(frame["seeds"])[1] == 1 else f"means over {spread(frame['seeds'])} seeds"


def short_number(number: float) -> str:
    """A budget as an axis shows it: 30k, 7.5k, 2M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:g}"
