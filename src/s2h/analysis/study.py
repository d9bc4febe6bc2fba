"""The inputs of the tables, and the class of a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from s2h.analysis.pages import Page


@dataclasses.dataclass(frozen=True, slots=True)
class Study:
    """The results of a study, and the names that its pages use.

    A table is given what it reads; the rest may be empty.

    Attributes:
        score_files: Parquet files of the scores.
        models: for each run ("task/recipe/budget/model/seed", the task being what it was trained on) the folders of
            its phases' models, in order; none for a run that trains nothing.
        shards: the evaluation shards of each task and level.
        task_settings: of each task, as a config file holds them.
        baselines: Parquet files of what the blind baselines of each task get right.
        alignments: Parquet files of measured gradient alignment.
        prices: USD per million tokens of ``input`` and of ``output``, of each model that has a price.
        recipe_titles: the paper's names; their order is that of the rows.
        task_titles: the paper's names.
    """

    score_files: Sequence[str]
    models: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    shards: Mapping[str, Mapping[str, Sequence[str]]] = dataclasses.field(default_factory=dict)
    task_settings: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    baselines: Sequence[str] = ()
    alignments: Sequence[str] = ()
    prices: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    recipe_titles: Mapping[str, str] = dataclasses.field(default_factory=dict)
    task_titles: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A kind of table; what it reads beside the scores stands in ``table_registry``.

    Attributes:
        make: gives the table for machines and the page for people.
        significant: columns that the CSV file holds with so many significant digits, not with four decimals.
    """

    make: Callable[[Study], tuple[pl.DataFrame, Page]]
    significant: Mapping[str, int] = dataclasses.field(default_factory=dict)
