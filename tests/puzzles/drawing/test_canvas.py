"""Pictures are standard PNG files that hold exactly what was drawn, and their bytes are a function of the picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from s2h.puzzles.drawing import canvas
from s2h.puzzles.drawing.canvas import BLACK, WHITE, Palette, ramp

NAVY, GREY = (0x40, 0x46, 0x6E), (0xF5, 0xF5, 0xF5)
SMALL = Palette([*ramp(GREY, BLACK, 6), *ramp(NAVY, WHITE, 5)])
LARGE = Palette([*ramp(WHITE, BLACK, 200)])


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.sampled_from([SMALL, LARGE]), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32), st.booleans())
def test_a_png_reader_finds_every_pixel(palette: Palette, height: int, width: int, seed: int, repeated: bool) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, len(palette.colours), (height, width), dtype=np.uint8)
    if repeated:  # rows that are alike take the path of the filter that matters
        picture[:] = picture[:1]
    image = Image.open(io.BytesIO(palette.png(picture)))
    assert (image.format, image.mode, image.size) == ("PNG", "P", (width, height))
    assert (np.asarray(image.convert("RGB")) == palette.colours[picture]).all()


def test_few_colours_take_half_a_byte() -> None:
    assert (SMALL.png(np.zeros((2, 3), np.uint8))[24], LARGE.png(np.zeros((2, 3), np.uint8))[24]) == (4, 8)


def test_a_picture_that_was_encoded_before_leaves_no_trace() -> None:
    picture = SMALL.canvas(50, 40).copy()
    first = SMALL.png(picture)
    SMALL.png(np.full((40, 50), 3, dtype=np.uint8))
    SMALL.canvas(50, 40)[:] = 3
    assert SMALL.png(picture) == first
    assert (SMALL.canvas(50, 40) == SMALL.index(WHITE)).all()


def test_shades_are_mixtures_of_fill_and_ink_alone() -> None:
    shades = SMALL.colours[SMALL.shades(GREY, BLACK)]
    assert {tuple(colour) for colour in shades.tolist()} == set(ramp(GREY, BLACK, 6))
    assert (shades[0].tolist(), shades[-1].tolist()) == ([*GREY], [*BLACK])
    assert (np.diff(shades.sum(axis=1)) <= 0).all()


def test_a_colour_that_is_not_in_the_palette_is_refused() -> None:
    with pytest.raises(ValueError, match="no colour"):
        SMALL.index((1, 2, 3))
    with pytest.raises(ValueError, match="256 colours"):
        Palette([(r, g, 0) for r in range(20) for g in range(20)])


def test_cells_are_a_view_of_the_canvas() -> None:
    page = np.zeros((20, 30), dtype=np.uint8)
    view = canvas.cells(page, (2, 3), (2, 4), (5, 7))
    view[1, 2] = 9
    assert np.argwhere(page == 9).min(axis=0).tolist() == [3 + 7, 2 + 10]
    assert np.argwhere(page == 9).max(axis=0).tolist() == [3 + 13, 2 + 14]


@pytest.mark.parametrize("anchor", ["mm", "lm"])
def test_labels_hold_all_their_ink(anchor: str) -> None:
    found = canvas.label("September", canvas.font(20), anchor=anchor)
    assert found.ink[:, 0].any()
    assert found.ink[:, -1].any()
    assert found.ink[0].any()
    assert found.ink[-1].any()
    assert found.left < 0 if anchor == "mm" else found.left >= 0


def test_text_is_shrunk_to_its_box() -> None:
    for text in ("September", "a longer line of text"):
        ink = canvas.boxed_text((90, 30), text, pixels=22)
        assert not ink[:, :3].any()
        assert not ink[:, -3:].any()
        assert ink.any()
