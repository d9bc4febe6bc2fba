"""A table in its five files: CSV and Parquet for machines; Markdown, LaTeX and HTML for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from s2h.analysis.pages import Page, render_latex, render_markdown
from s2h.analysis.study import Study
from s2h.analysis.table_registry import TABLES
from s2h.files import atomic_file
from s2h.templates import open_template

TEMPLATE = Path(__file__).with_name("page.html")

Files = Mapping[str, str | Path]
"""The files of a table: csv (four decimals), parquet (unrounded), markdown, latex and html (the page)."""

ENDINGS = {"csv": "csv", "parquet": "parquet", "markdown": "md", "latex": "tex", "html": "html"}
"""How the names of these files end."""

_DECIMALS = 4


def write_table(name: str, study: Study, files: Files) -> None:
    """Make a registered table and write it.

    Args:
        name: of the table.
        study: what it is made from.
        files: where to.
    """
    table = TABLES[name]
    frame, page = table.make(study)
    write_files(name, frame, page, files, task_titles=study.task_titles, significant=table.significant)


def write_files(
    name: str,
    frame: pl.DataFrame,
    page: Page,
    files: Files,
    *,
    task_titles: Mapping[str, str],
    significant: Mapping[str, int],
) -> None:
    """Write a table and its page.

    Args:
        name: of the table.
        frame: for machines.
        page: for people.
        files: where to.
        task_titles: the paper's names.
        significant: columns that the CSV file holds with so many significant digits, not with four decimals.
    """
    with atomic_file(files["csv"]) as temporary:
        _shortened(frame, significant).write_csv(temporary, float_precision=_DECIMALS)
    with atomic_file(files["parquet"]) as temporary:
        frame.write_parquet(temporary, compression="zstd")
    texts = {
        "markdown": render_markdown(page, task_titles),
        "latex": render_latex(page, task_titles, name=name),
        "html": render_html(page, task_titles),
    }
    for kind, text in texts.items():
        with atomic_file(files[kind]) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _shortened(frame: pl.DataFrame, significant: Mapping[str, int]) -> pl.DataFrame:
    short = [
        pl.Series(name, [None if value is None else f"{value:.{digits}g}" for value in frame[name]], dtype=pl.String)
        for name, digits in significant.items()
    ]
    return frame.with_columns(short)


def render_html(page: Page, task_titles: Mapping[str, str]) -> str:
    """The page as a file of HTML that needs nothing beside it."""
    return open_template(TEMPLATE).render(page=page, task_titles=task_titles)
