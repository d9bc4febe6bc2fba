"""What holds of every figure, whatever the study."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from s2h.analysis.table_registry import TABLES
from s2h.figures.figure_files import FORMATS, write_figure
from s2h.figures.figure_registry import FIGURES
from s2h.figures.style import PAGE_WIDTH, look
from tests.figures.generated import TASKS, TITLES, study

FIVE = ("text", "image", "mix", "mix_plus", "align_mix_plus")
TWELVE = (
    "image_via_text", "text", "image", "image_three_epochs", "image_text", "mix", "mix_plus", "align_mix_plus",
    "image_via_text_plus", "mix_plus_medium", "mix_no_chain", "mix_plus_no_chain",
)  # fmt: skip
STUDIES: dict[str, dict[str, Any]] = {
    "empty": {"recipes": ()},
    "one run": {},
    "one budget": {"recipes": FIVE},
    "untrained": {"recipes": ("untrained",), "budgets": (0,)},
    "joint": {"tasks": TASKS[1:3], "recipes": ("mix", "of_my_own"), "trained_on": "both"},
    "four tasks": {"tasks": TASKS, "recipes": FIVE, "budgets": (7_500, 30_000), "seeds": (0, 1)},
    "many recipes": {"tasks": TASKS[:2], "recipes": TWELVE, "models": ("tiny", "qwen2.5-vl-3b")},
}
OF_TRAININGS = {"learning", "alignment"}
OF_SCORES = {"budgets", "modalities", "error_steps", "difficulty"}
WITHOUT_RECIPES = {"empty", "untrained"}

CASES = list(itertools.product(FIGURES, STUDIES))


@cache
def tables_of(name: str) -> Mapping[str, pl.DataFrame]:
    return study(**STUDIES[name])


@cache
def drawn(figure: str, name: str) -> tuple[Figure, Any]:
    """A figure as it is written, and what measured it."""
    with look():
        page = FIGURES[figure].draw(tables_of(name), TITLES)
        canvas = FigureCanvasAgg(page)
        canvas.draw()
    return page, canvas.get_renderer()


def boxes(figure: str, name: str) -> dict[tuple[str, str], Bbox]:
    """Where the words of a figure and the parts of its panels stand, in pixels; what belongs together comes first."""
    page, renderer = drawn(figure, name)
    parts: dict[tuple[str, str], Any] = {("text", text.get_text()): text for text in page.texts}
    parts |= {("legend", str(number)): legend for number, legend in enumerate(page.legends)}
    for number, axes in enumerate(page.axes):
        words = [child for child in axes.get_children() if isinstance(child, Text) and child.get_text()]
        parts |= {(f"panel {number}", text.get_text()): text for text in words}
        parts |= {(f"panel {number}", axis.axis_name): axis for axis in (axes.xaxis, axes.yaxis)}
        parts[f"panel {number}", "frame"] = axes.patch
    with look():  # which decides the ticks
        found = {place: part.get_tightbbox(renderer) for place, part in parts.items()}
    return {place: box for place, box in found.items() if box is not None}


@pytest.mark.parametrize("figure", FIGURES)
def test_reads_tables_that_there_are(figure: str) -> None:
    assert FIGURES[figure].title
    assert all(table in TABLES for table in FIGURES.reads(figure))
    assert all(path.is_file() for path in FIGURES.data(figure))


@pytest.mark.parametrize(("figure", "name"), CASES)
def test_nothing_stands_outside_or_on_something_else(figure: str, name: str) -> None:
    found = boxes(figure, name)
    page = drawn(figure, name)[0].bbox
    for part, box in found.items():
        assert min(box.x0 - page.x0, box.y0 - page.y0, page.x1 - box.x1, page.y1 - box.y1) >= -0.5, part
    apart = [pair for pair in itertools.combinations(found, 2) if pair[0][0] != pair[1][0] or "text" in pair[0]]
    for one, other in apart:
        first, second = found[one], found[other]
        width = min(first.x1, second.x1) - max(first.x0, second.x0)
        height = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert min(width, height) < 1, (one, other)


@pytest.mark.parametrize(("figure", "name"), CASES)
def test_fits_a_page_and_names_every_recipe(figure: str, name: str) -> None:
    page, _ = drawn(figure, name)
    assert page.get_size_inches()[0] <= PAGE_WIDTH
    legends = [text.get_text() for legend in page.legends for text in legend.get_texts()]
    beside = [label.get_text() for axes in page.axes for label in axes.get_yticklabels()]
    if name not in WITHOUT_RECIPES:
        assert {TITLES.recipe(recipe) for recipe in STUDIES[name].get("recipes", ("mix",))} <= {*legends, *beside}


@pytest.mark.parametrize("figure", FIGURES)
def test_says_what_is_missing(figure: str) -> None:
    empty, untrained = (drawn(figure, name)[0] for name in ("empty", "untrained"))
    assert not empty.axes
    for page in (empty, untrained):
        assert page.axes or any(text.get_text().startswith("No ") for text in page.texts)
    assert not untrained.axes or figure not in OF_TRAININGS
    assert untrained.axes or figure not in OF_SCORES


@pytest.mark.parametrize("figure", FIGURES)
def test_writes_the_same_bytes_twice_from_the_tables_that_it_says_it_reads(figure: str, tmp_path: Path) -> None:
    tables = {table: tmp_path / f"{table}.parquet" for table in FIGURES.reads(figure)}
    for table, path in tables.items():
        tables_of("one budget")[table].write_parquet(path)
    written = []
    for time in ("first", "second"):
        outputs = {kind: tmp_path / f"{time}.{kind}" for kind in FORMATS}
        write_figure(FIGURES[figure], tables, TITLES, outputs=outputs)
        written.append({kind: path.read_bytes() for kind, path in outputs.items()})
    assert written[0] == written[1]
    assert written[0]["svg"].startswith(b"<?xml")
    assert written[0]["pdf"].startswith(b"%PDF")
    assert round(Image.open(tmp_path / "first.png").info["dpi"][0]) == 200
