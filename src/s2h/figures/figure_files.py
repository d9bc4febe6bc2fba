"""A figure as SVG, PDF and PNG: the same tables give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from s2h.errors import DataError
from s2h.figures.kinds import FigureKind, Titles
from s2h.figures.style import look
from s2h.files import atomic_file
from s2h.parquet import read_parquet

FORMATS = ("svg", "pdf", "png")
"""Kinds of files that a figure can be written as."""

_METADATA: dict[str, dict[str, str | None]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {},
}  # what would differ from one time to the next is left out


def write_figure(
    kind: FigureKind, tables: Mapping[str, str | Path], titles: Titles, *, outputs: Mapping[str, str | Path]
) -> None:
    """Draw a figure and write it.

    Args:
        kind: which figure.
        tables: Parquet files of the tables that it reads, by name.
        titles: the paper's names.
        outputs: the files by their kinds, some of ``FORMATS``.

    Raises:
        DataError: a table cannot be read, or lacks a column.
    """
    frames = {name: read_parquet("table", path) for name, path in tables.items()}
    with look():
        try:
            figure = kind.draw(frames, titles)
        except pl.exceptions.ColumnNotFoundError as error:
            read = " or ".join(map(str, tables.values()))
            raise DataError(f"{read} lacks what the figure shows ({error}); delete it and run again.") from None
        for file_format, path in outputs.items():
            _write(figure, path, file_format, title=kind.title)


def _write(figure: Figure, path: str | Path, file_format: str, *, title: str) -> None:
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format=file_format, metadata={"Title": title} | _METADATA[file_format])
