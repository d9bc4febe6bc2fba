"""What docs/findings.md and the README show of real runs: python -m docs.findings results results/sweep.

The first folder holds the default study, the second the sweep, both with all their tables and figures. Tables go into
the page as they are, figures into docs/images/findings/, and the README gets its picture and its table.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from docs.blocks import block_names, fill_block
from docs.pictures import record
from s2h.analysis.pages import percent
from s2h.figures.selection import guess_rate
from s2h.figures.style import NORMAL, SMALL, draw_guess_rate, look, recipe_styles
from s2h.overlays import read_config
from s2h.puzzles.task import Level

ROOT = Path(__file__).parents[1]
PAGE, README = ROOT / "docs/findings.md", ROOT / "README.md"
IMAGES = ROOT / "docs/images/findings"
PICTURE = ROOT / "docs/images/finding.png"

_TASK = "consecutive_table_readout"
_SHOWN: tuple[tuple[Level, int, str], ...] = (
    ("SIMPLE", 2, "SIMPLE\ntrained as image and text"),
    ("HARD", 0, "HARD\ntrained as text alone"),
)
"""Levels, the number of the puzzle, and what stands above it."""
_MODALITIES = {"text": (0.18, "given as text"), "image": (-0.18, "given as image")}
"""Where a share lies above a recipe's line, and how it is called."""
_TABLE = (80, 64)  # pixels of the image that the table fills
_SIZE = (6.75, 1.75)  # inches


def table(folder: Path, name: str) -> str:
    """A table for people, its headings three levels down, without its title."""
    lines = (folder / f"tables/{name}.md").read_text().split("\n")
    body = [line for line in lines if not line.startswith("# ")]
    return re.sub(r"^(#+)", r"##\1", "\n".join(body).strip(), flags=re.MULTILINE)


def finding(accuracy: pl.DataFrame, baselines: pl.DataFrame) -> Figure:
    """The README's picture: a puzzle of each level, and how often each recipe answers HARD ones.

    A stroke is the share of exact matches, a dotted line the rate of the best guess.
    """
    figure = Figure(figsize=_SIZE)
    for number, (level, index, title) in enumerate(_SHOWN):
        axes = figure.add_axes((0.005 + 0.225 * number, 0.02, 0.21, 0.8))
        _draw_puzzle(axes, level, index, title)
    axes = figure.add_axes((0.55, 0.12, 0.435, 0.69))
    _draw_recipes(axes, accuracy.filter(pl.col("level") == "HARD"))
    draw_guess_rate(axes, guess_rate(baselines, [_TASK], "HARD"), upright=True)
    return figure


def _draw_puzzle(axes: Axes, level: Level, index: int, title: str) -> None:
    puzzle = record(read_config(), _TASK, level, index)
    image = Image.open(io.BytesIO(puzzle["image"]["bytes"])).convert("RGB")
    axes.imshow(image.crop((0, 0, *_TABLE)), interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=NORMAL)


def _draw_recipes(axes: Axes, hard: pl.DataFrame) -> None:
    titles = {name: recipe.title for name, recipe in read_config().recipes.items() if name in set(hard["recipe"])}
    styles = recipe_styles(titles)
    for place, recipe in enumerate(reversed(titles)):
        for modality, (above, words) in _MODALITIES.items():
            row = hard.filter(recipe=recipe, modality=modality).row(0, named=True)
            _draw_share(axes, row, place + above, styles[recipe].colour, words)
    axes.set_yticks(range(len(titles)), list(reversed(titles.values())), fontsize=NORMAL)
    axes.set_ylim(-0.5, len(titles) - 0.5)
    axes.set_xlim(-3, 103)
    axes.set_xticks(range(0, 101, 25), [f"{share} %" for share in range(0, 101, 25)])
    axes.grid(axis="y", visible=False)
    axes.set_title(
        "Accuracy on HARD puzzles, by recipe\nstroke: exact match; dotted: best blind guess", fontsize=NORMAL
    )


def _draw_share(axes: Axes, row: Mapping[str, Any], height: float, colour: str, words: str) -> None:
    """A share of right answers with its interval, and its number where there is room."""
    share, low, high = (100 * row[name] for name in ("accuracy", "ci_low", "ci_high"))
    shape = "o" if row["modality"] == "image" else "s"
    axes.hlines(height, low, high, colors=colour, linewidth=1.0, alpha=0.7)
    axes.plot(share, height, shape, color=colour, markerfacecolor=colour if shape == "o" else "white")
    axes.plot(100 * row["exact_match"], height, "|", color=colour, markersize=6, markeredgewidth=1.2, alpha=0.6)
    left = high > 60
    axes.annotate(
        f"{percent(row['accuracy'])} % {words}",
        (low if left else high, height),
        xytext=(-4 if left else 4, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=SMALL,
    )


def filled(page: str, studies: Mapping[str, Path]) -> str:
    """A page with its tables as they are in the studies' folders; a place is called study/table.

    Places of a study that is not given stay as they are.
    """
    for name in block_names(page):
        study, found = name.split("/")
        if study in studies:
            page = fill_block(page, name, table(studies[study], found))
    return page


def main() -> None:
    """Write both pages and their pictures."""
    parser = argparse.ArgumentParser(prog="python -m docs.findings", description="Show what real runs found.")
    parser.add_argument("default", type=Path, help="results of config/config.yaml")
    parser.add_argument(
        "sweep", type=Path, nargs="?", help="results of config/sweep.yaml; what it showed stays without"
    )
    studies = {name: folder for name, folder in vars(parser.parse_args()).items() if folder}
    pages = {page: filled(page.read_text(), studies) for page in (PAGE, README)}
    for study, figure in re.findall(r"\(images/findings/(\w+)-(\w+)\.svg\)", pages[PAGE]):
        if study in studies:
            shutil.copyfile(studies[study] / f"figures/{figure}.svg", IMAGES / f"{study}-{figure}.svg")
    with look():
        tables = (pl.read_parquet(studies["default"] / f"tables/{name}.parquet") for name in ("accuracy", "baselines"))
        finding(*tables).savefig(PICTURE, dpi=250)
    for page, text in pages.items():
        page.write_text(text)


if __name__ == "__main__":
    main()
