"""The paper's figures: what its model reached, to compare with ours."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from s2h.puzzles.record import LEVELS, MODALITIES

PUBLISHED = Path(__file__).with_name("published.csv")
"""A value by task, recipe, budget, level and modality, from the vector data of the paper's plots (version 1).

The metric is named as in our scores: the paper's plots show exact match throughout.
"""

KEYS = ["task", "recipe", "level", "modality"]
"""The columns that name a curve over budgets."""

_FURTHEST = 2.0  # largest ratio of two budgets whose figures stand beside each other


def read_published() -> pl.DataFrame:
    """The figures: the columns of ``KEYS``, budget (examples), metric and value (0 to 1)."""
    ordered = pl.col("level").cast(pl.Enum(LEVELS)), pl.col("modality").cast(pl.Enum(MODALITIES))
    return pl.read_csv(PUBLISHED, schema_overrides={"value": pl.Float64}).with_columns(ordered)


def nearest_budget(budget: int, published: Iterable[int]) -> int | None:
    """The published budget nearest to ours by ratio; the smaller where two are equally near.

    Args:
        budget: of our run, 0 or more.
        published: budgets of the paper.

    Returns:
        None where none is within a factor of two.
    """
    near = [other for other in published if other <= _FURTHEST * budget and budget <= _FURTHEST * other]
    return min(near, key=lambda other: (_apart(budget, other), other), default=None)


def _apart(one: int, other: int) -> float:
    """The ratio of two budgets as a distance; rounded, so that equal ratios are equal."""
    return round(abs(math.log(one / other)), 9)
