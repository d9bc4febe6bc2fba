"""A table in its four files: CSV and Parquet for machines, Markdown and LaTeX for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from s2h.analysis.pages import render_latex, render_markdown
from s2h.analysis.registry import TABLES
from s2h.analysis.study import Study
from s2h.files import whole_file

_DECIMALS = 4


def write_table(
    name: str, study: Study, *, csv: str | Path, parquet: str | Path, markdown: str | Path, latex: str | Path
) -> None:
    """Make a registered table and write it.

    Args:
        name: of the table.
        study: what it is made from.
        csv: file with four decimals, or the significant digits that the table asks for.
        parquet: file with the same columns, unrounded.
        markdown: the page.
        latex: the same.
    """
    table = TABLES[name]
    frame, page = table.make(study)
    write_csv(frame, csv, significant=table.significant)
    write_parquet(frame, parquet)
    write_text(render_markdown(page, study.task_titles), markdown)
    write_text(render_latex(page, study.task_titles, name=name), latex)


def write_csv(frame: pl.DataFrame, path: str | Path, *, significant: Mapping[str, int] | None = None) -> None:
    """Write a table with four decimals; of some columns with so many significant digits."""
    short = [
        pl.Series(name, [None if value is None else f"{value:.{digits}g}" for value in frame[name]], dtype=pl.String)
        for name, digits in (significant or {}).items()
    ]
    with whole_file(path) as temporary:
        frame.with_columns(short).write_csv(temporary, float_precision=_DECIMALS)


def write_parquet(frame: pl.DataFrame, path: str | Path) -> None:
    """Write a table as it is."""
    with whole_file(path) as temporary:
        frame.write_parquet(temporary, compression="zstd")


def write_text(text: str, path: str | Path) -> None:
    """Write a page."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
