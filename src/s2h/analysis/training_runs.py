"""Metrics and manifests that the phases of a training run left beside their weights, as the tables read them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from s2h.errors import unreadable

TRAINING = ("trained_on", "recipe", "budget", "model", "seed")
"""The columns that name a training; each of the tasks that were trained together has a run of it."""


def phases_of(models: Mapping[str, Sequence[str]]) -> Iterator[tuple[dict[str, Any], int, str]]:
    """The trained phases.

    Args:
        models: for each run ("task/recipe/budget/model/seed") the folders of its phases' models, in order.

    Yields:
        The columns of ``TRAINING`` with their values, the number of the phase (from 1), its folder.
    """
    for run, folders in models.items():
        trained_on, recipe, budget, model, seed = run.split("/")
        values = (trained_on, recipe, int(budget), model, int(seed))
        for phase, folder in enumerate(folders, 1):
            yield dict(zip(TRAINING, values, strict=True)), phase, folder


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a trained model; raises DataError where it cannot be read."""
    path = Path(folder) / "manifest.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable("file", path, error, remove=path.parent) from None
    return found


def read_steps(folder: str | Path) -> pl.DataFrame:
    """A row for each step of the training of a model: what was measured in it.

    Raises:
        DataError: it cannot be read.
    """
    path = Path(folder) / "metrics.jsonl"
    try:
        return pl.read_ndjson(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable("file", path, error, remove=path.parent) from None
