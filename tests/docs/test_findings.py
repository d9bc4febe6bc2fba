"""What the pages show of real runs is of one piece."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from docs.blocks import block_names, read_block
from docs.findings import PAGE, README, filled, finding
from s2h.analysis.table_registry import TABLES
from s2h.figures.figure_registry import FIGURES
from s2h.figures.style import PALE, look

STUDIES = {"default": "config/config.yaml", "sweep": "config/sweep.yaml"}


def rows(text: str) -> list[list[str]]:
    """The cells of a page's tables, without their heads; a word that is said once for several rows stands in each."""
    found: list[list[str]] = []
    for line in (line for line in text.split("\n") if line[:2] == "| " and line[:5] != "| ---"):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found.append([cell or above for cell, above in zip(cells, found[-1] if found else cells, strict=False)])
    return [line for line in found if line[0] not in ("Recipe", "Level")]


def test_both_pages_name_studies_tables_and_figures_that_there_are() -> None:
    for page in (PAGE, README):
        names = [name.split("/") for name in block_names(page.read_text())]
        assert names
        assert all(study in STUDIES and table in TABLES for study, table in names)
        assert all(read_block(page.read_text(), "/".join(name)).count("\n|") > 3 for name in names)
    shown = re.findall(r"\(images/findings/(\w+?)-(\w+)\.svg\)", PAGE.read_text())
    assert shown
    assert all(study in STUDIES and figure in FIGURES for study, figure in shown)


def test_the_first_page_says_what_the_findings_say() -> None:
    """Its table is one of answers, seed by seed; that of the findings is their mean."""
    sets = ("SIMPLE text", "SIMPLE image", "HARD text", "HARD image")
    first: dict[tuple[str, ...], list[float]] = {}
    for recipe, _, score, *cells in rows(read_block(README.read_text(), "default/summary")):
        for name, cell in zip(sets, cells, strict=False):
            if score == "answer":
                first.setdefault((*name.split(), recipe), []).append(_percent(cell))
    found = {tuple(row[:3]): _percent(row[3]) for row in rows(read_block(PAGE.read_text(), "default/accuracy"))}
    assert len(first) >= 12
    assert {name: sum(shares) / len(shares) for name, shares in first.items()} == {
        name: pytest.approx(found[name], abs=1) for name in first
    }


def _percent(cell: str) -> float:
    return float(cell.partition(" ")[0])


def test_a_table_stands_in_its_place_with_lower_headings(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/gaps.md").write_text("# Gaps\n\n## A task\n\n### tiny\n\n| a |\n")
    page = "x\n<!-- sweep/gaps: begin -->\n\nold\n\n<!-- sweep/gaps: end -->\ny\n"
    once = filled(page, {"sweep": tmp_path})
    assert (
        once == "x\n<!-- sweep/gaps: begin -->\n\n#### A task\n\n##### tiny\n\n| a |\n\n<!-- sweep/gaps: end -->\ny\n"
    )
    assert filled(once, {"sweep": tmp_path}) == once


def test_the_picture_shows_the_shares_of_the_table() -> None:
    shares = {("image", "text"): 0.0, ("image", "image"): 0.02, ("mix", "text"): 0.97, ("mix", "image"): 0.08}
    table = pl.DataFrame(
        [
            {"recipe": recipe, "level": "HARD", "modality": modality, "accuracy": share}
            | {"ci_low": max(share - 0.01, 0), "ci_high": share + 0.01, "exact_match": share / 2}
            for (recipe, modality), share in shares.items()
        ]
    )
    guesses = pl.DataFrame(
        {"task": "consecutive_table_readout", "level": "HARD", "baseline": name, "accuracy": rate}
        for name, rate in (("constant answer", 0.04), ("length of the path", 0.06))
    )
    with look():
        *_, axes = finding(table, guesses).axes
    strokes = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "|"]
    assert sorted(strokes) == pytest.approx([50 * share for share in sorted(shares.values())])
    assert [list(line.get_xdata()) for line in axes.lines if line.get_color() == PALE] == [[6, 6]]
    assert {text.get_text() for text in axes.texts} == {
        "0 % given as text", "2 % given as image", "97 % given as text", "8 % given as image",
    }  # fmt: skip
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Mix", "Image"]
