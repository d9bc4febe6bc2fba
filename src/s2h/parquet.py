"""Parquet files that the workflow has written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from s2h.errors import unreadable


def read_parquet(what: str, path: str | Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The rows of a file.

    Args:
        what: kind of file, for the error, e.g. ``mixture``.
        path: of the file.
        columns: those that are read; all by default.

    Raises:
        DataError: the file is missing, torn or lacks a column; the message says what to delete.
    """
    try:
        return pl.read_parquet(path, columns=list(columns) if columns else None, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable(what, path, error) from None
