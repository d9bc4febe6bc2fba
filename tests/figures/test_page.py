"""The page around the panels."""

from __future__ import annotations

import pytest
from matplotlib.lines import Line2D

from s2h.figures.page import finish_page, message_page, open_grid
from s2h.figures.style import COLUMN_WIDTH, PAGE_WIDTH


@pytest.mark.parametrize(("columns", "shape"), [(1, (2, 1)), (4, (2, 4)), (5, (4, 3)), (8, (4, 4)), (9, (6, 3))])
def test_columns_that_find_no_room_go_below(columns, shape):
    grid = open_grid(columns, 2, height=1.0)
    assert grid.axes.shape == shape
    assert len(grid.figure.axes) == 2 * columns
    assert len({grid.panel(column, row) for column in range(columns) for row in range(2)}) == 2 * columns
    assert grid.figure.get_size_inches()[0] == (COLUMN_WIDTH if columns == 1 else PAGE_WIDTH)


def test_the_page_grows_by_what_stands_around_the_panels():
    heights = []
    for words in (3, 300):
        grid = open_grid(1, 1, height=2.0)
        finish_page(grid.figure, "Title", entries=[Line2D([], [], label="Mix")], note="word " * words)
        heights.append(grid.figure.get_size_inches()[1])
        assert grid.panel(0, 0).get_window_extent().height / grid.figure.dpi > 1.5
    assert 2.0 < heights[0] < heights[1]


def test_a_message_is_read_whole():
    page = message_page("Title", "No run has been measured: there is nothing to show.")
    assert [" ".join(text.get_text().split()) for text in page.texts] == [
        "Title",
        "No run has been measured: there is nothing to show.",
    ]
