"""One look for all figures: sizes, fonts, and a colour, marker and dash pattern for each recipe."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import matplotlib
import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

COLUMN_WIDTH, PAGE_WIDTH = 3.3, 6.75
"""Of a paper's column and page, in inches."""

SMALL, NORMAL, LARGE = 6.0, 7.0, 8.5
"""Sizes of type, in points."""

INK, PALE, GRID = "#333333", "#8a8a8a", "#dddddd"
"""Colours of what is no data."""

ABSENT = "–"
"""The mark of a missing number, as in the tables."""

_COLOURS = ("#f0b429", "#1a1a1a", "#b85c9e", "#009e73", "#56b4e9", "#005b94", "#d55e00", "#7a4a12")
_MARKERS = ("s", "o", "P", "X", "D", "^", "v", "<", ">")
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 1.5), (1.2, 1.2), (5, 1.2, 1.2, 1.2), (8, 2, 1.2, 2, 1.2, 2))

_SHIPPED = (
    "text", "image", "image_via_text", "image_text", "mix", "mix_plus", "align_mix_plus", "image_via_text_plus",
    "untrained", "image_three_epochs", "mix_plus_medium", "align_via_text_mix_plus",
)  # fmt: skip
_STYLE_COUNT = len(_MARKERS) * len(
    _DASHES
)  # by marker and dashes alone; both turn with the number, and share no factor


@dataclasses.dataclass(frozen=True, slots=True)
class RecipeStyle:
    """How a recipe is drawn in every figure.

    Attributes:
        colour: of Okabe and Ito's palette, which the colour-blind tell apart, or near to it.
        marker: as matplotlib names it.
        dashes: lengths of dashes and gaps in units of the line width; empty for a solid line.
    """

    colour: str
    marker: str
    dashes: tuple[float, ...]

    def line(self, **changes: Any) -> dict[str, Any]:
        """Arguments of ``Axes.plot`` and ``Line2D``."""
        dashes = (0, self.dashes) if self.dashes else "solid"
        return {"color": self.colour, "marker": self.marker, "linestyle": dashes, "markeredgewidth": 0.7} | changes


def recipe_styles(recipes: Iterable[str]) -> dict[str, RecipeStyle]:
    """A style for each of the study's recipes.

    The paper's recipes always have the same. Another one has the same as long as no other of the study's recipes
    would take it; up to 45 recipes differ in marker or dashes, so that they are distinguishable without colours.
    """
    names = sorted(set(recipes))
    numbers = {name: _SHIPPED.index(name) for name in names if name in _SHIPPED}
    free = _STYLE_COUNT - len(_SHIPPED)
    for name in (name for name in names if name not in _SHIPPED):
        first = zlib.crc32(name.encode()) % free
        wanted = (len(_SHIPPED) + (first + step) % free for step in range(free))
        beyond = itertools.count(_STYLE_COUNT)
        taken = set(numbers.values())
        numbers[name] = next(number for number in itertools.chain(wanted, beyond) if number not in taken)
    return {name: _numbered(number) for name, number in numbers.items()}


def _numbered(number: int) -> RecipeStyle:
    return RecipeStyle(
        _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)], _DASHES[number % len(_DASHES)]
    )


def legend_entry(label: str, style: RecipeStyle, **changes: Any) -> Line2D:
    """A recipe's entry in a legend."""
    return Line2D([], [], label=label, **style.line(**changes))


def draw_intervals(axes: Axes, places: Any, part: pl.DataFrame, **changes: Any) -> None:
    """Draw a table's intervals at the given places of the x axis, as thin bars in %."""
    low, high = (100 * part[end] for end in ("ci_low", "ci_high"))
    axes.vlines(places, low, high, **({"linewidth": 0.7, "alpha": 0.6} | changes))


_GUESS: dict[str, Any] = {"color": PALE, "linewidth": 0.8, "linestyle": (0, (1, 1.2))}


def draw_guess_rate(
    axes: Axes, rate: float | None, *, upright: bool = False, span: tuple[float, float] | None = None
) -> None:
    """Draw the rate of a blind baseline as a thin line.

    Args:
        axes: a panel whose y axis shows accuracy in %.
        rate: 0 to 1; None draws nothing.
        upright: its x axis does.
        span: ends of the line on the other axis; across the panel by default.
    """
    if rate is None:
        return
    if span:
        axes.plot(span, [100 * rate] * 2, zorder=1, **_GUESS)
    elif upright:
        axes.axvline(100 * rate, zorder=1, **_GUESS)
    else:
        axes.axhline(100 * rate, zorder=1, **_GUESS)


def guess_rate_entry() -> Line2D:
    """The entry of those lines in a legend."""
    return Line2D([], [], label="guess rate", **_GUESS)


GUESS_NOTE = "Guess rate: of the best blind baseline, which does not solve the puzzle."
"""What a figure says of them."""


@contextlib.contextmanager
def look() -> Iterator[None]:
    """Draw and write in the look of this package, whatever the user's own settings of matplotlib are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, and so is the same on every machine
    "font.size": NORMAL,
    "text.color": INK,
    "axes.titlesize": NORMAL,
    "axes.labelsize": NORMAL,
    "axes.titlepad": 4,
    "axes.labelpad": 2.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": PALE,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.4,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.color": PALE,
    "ytick.color": PALE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.6,
    "hatch.linewidth": 0.4,
    "legend.fontsize": NORMAL,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "legend.columnspacing": 1.4,
    "legend.borderpad": 0.1,
    "legend.borderaxespad": 0.0,
    "pdf.fonttype": 42,  # fonts are embedded whole, so that text can be searched and edited
    "svg.fonttype": "path",
    "svg.hashsalt": "s2h",  # names within the file come from it and not from chance
    "figure.dpi": 200,
    "savefig.dpi": 200,
    "text.hinting": "none",  # words are as wide at every resolution
    "text.hinting_factor": 1,
}
