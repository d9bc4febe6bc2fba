"""A figure's page: a title and a legend above its panels, a small note below them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from numpy.typing import NDArray

from s2h.figures.style import COLUMN_WIDTH, LARGE, PAGE_WIDTH, SMALL

_MARGIN = 0.05  # around everything, in inches
_SPACING = 1.3  # from line to line, in heights of the type
_LINE_UP = 4  # columns of panels that stand beside each other; more go below
_LEGEND_COLUMNS = 7


@dataclasses.dataclass(frozen=True, slots=True)
class Grid:
    """Panels in columns of some rows; columns that find no room on the page go below, in another block.

    Attributes:
        figure: that holds them.
        rows: number of rows of each column.
        axes: shape (blocks * rows, columns of a block).
    """

    figure: Figure
    rows: int
    axes: NDArray[np.object_]

    def panel(self, column: int, row: int) -> Axes:
        """One panel of the grid."""
        wide = self.axes.shape[1]
        found: Axes = self.axes[column // wide * self.rows + row, column % wide]
        return found

    def is_first(self, column: int) -> bool:
        """Whether the column stands at the left."""
        return not column % int(self.axes.shape[1])


def open_panels(heights: Sequence[float], columns: int) -> tuple[Figure, NDArray[np.object_]]:
    """A figure with panels; one column of them has the width of a paper's column, several that of its page.

    Args:
        heights: of the rows, in inches.
        columns: number of columns.

    Returns:
        The figure, and its axes in the shape (rows, columns).
    """
    figure = Figure(figsize=(COLUMN_WIDTH if columns == 1 else PAGE_WIDTH, sum(heights)))
    return figure, figure.subplots(len(heights), columns, squeeze=False, height_ratios=heights)


def open_grid(columns: int, rows: int, *, height: float) -> Grid:
    """A figure with columns of panels, four of them beside each other at most.

    Args:
        columns: number of columns, at least 1.
        rows: rows of each.
        height: of a row, in inches.
    """
    blocks = -(-columns // _LINE_UP)
    wide = -(-columns // blocks)
    figure, axes = open_panels([height] * (blocks * rows), wide)
    for place in range(columns, blocks * wide):
        for row in range(rows):
            axes[place // wide * rows + row, place % wide].remove()
    return Grid(figure, rows, axes)


def finish_page(figure: Figure, title: str, *, entries: Sequence[Artist], note: str) -> Figure:
    """Put the title, a legend of ``entries`` and the note around the panels; the page grows by what they take."""
    renderer = _renderer(figure)
    width, panels = figure.get_size_inches()
    titled = _wrap(figure, title, size=LARGE, weight="bold")
    noted = _wrap(figure, note, size=SMALL, weight="normal")
    legend = _widest_legend(figure, entries) if entries else None
    above = _MARGIN + _lines_height(titled, LARGE) + 0.06
    between = legend.get_window_extent(renderer).height / figure.dpi + 0.1 if legend else 0.0
    below = _MARGIN + _lines_height(noted, SMALL) + 0.06
    height = above + between + panels + below
    figure.set_size_inches(width, height)
    left = _MARGIN / width
    figure.text(left, 1 - _MARGIN / height, titled, size=LARGE, weight="bold", va="top", linespacing=_SPACING)
    figure.text(left, _MARGIN / height, noted, size=SMALL, va="bottom", linespacing=_SPACING)
    if legend:
        legend.set_bbox_to_anchor((left, 1 - above / height), figure.transFigure)
    rect = (0.0, below / height, 1.0, panels / height)
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=rect, w_pad=_MARGIN, h_pad=_MARGIN, wspace=0.02, hspace=0.02))
    figure.draw_without_rendering()  # panels get their sizes, to which their axes choose ticks before the page is drawn
    return figure


def message_page(title: str, message: str) -> Figure:
    """A figure that says why it shows nothing."""
    figure = Figure(figsize=(COLUMN_WIDTH, 0.15))
    return finish_page(figure, title, entries=[], note=message)


def share_axis(axes: Axes, *, headroom: float = 0.0) -> None:
    """Make the y axis one of percentages; ``headroom`` is left above 100, in %."""
    axes.set_ylim(-4, 104 + headroom)
    axes.set_yticks([0, 25, 50, 75, 100])


def _widest_legend(figure: Figure, entries: Sequence[Artist]) -> Legend:
    """The legend with as many columns as find room."""
    renderer = _renderer(figure)
    room = (figure.get_size_inches()[0] - 2 * _MARGIN) * figure.dpi
    for columns in range(min(len(entries), _LEGEND_COLUMNS), 0, -1):
        legend = figure.legend(handles=list(entries), loc="upper left", ncols=columns)
        if columns == 1 or legend.get_window_extent(renderer).width <= room:
            break
        legend.remove()
    legend.set_in_layout(False)
    return legend


def _wrap(figure: Figure, text: str, *, size: float, weight: str) -> str:
    """The text in lines that find room on the figure."""
    renderer: Any = _renderer(figure)
    font = FontProperties(size=size, weight=weight)
    room = (figure.get_size_inches()[0] - 2 * _MARGIN) * figure.dpi
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        fits = renderer.get_text_width_height_descent(longer, font, ismath=False)[0] <= room
        lines[-1:] = [longer] if fits or not lines[-1] else [lines[-1], word]
    return "\n".join(lines)


def _lines_height(text: str, size: float) -> float:
    """The height of a text, in inches."""
    return (text.count("\n") + 1) * size * _SPACING / 72


def _renderer(figure: Figure) -> RendererAgg:
    """The renderer that measures text."""
    renderer: RendererAgg = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    return renderer
