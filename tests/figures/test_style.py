"""One look: recipes keep their style, and are told apart in grey."""

from __future__ import annotations

import itertools

import matplotlib
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from s2h.figures.style import look, recipe_styles
from tests.figures.generated import RECIPES

PAPER = ("text", "image", "mix", "mix_plus", "align_mix_plus")
names = st.sets(st.text("abcdefghij_", min_size=1, max_size=8), max_size=20)


def lightness(colour: str) -> float:
    """How light a colour is in grey, 0 to 1."""
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_the_papers_recipes_differ_in_lightness() -> None:
    greys = sorted(lightness(style.colour) for style in recipe_styles(PAPER).values())
    assert all(lighter - darker > 0.07 for darker, lighter in itertools.pairwise(greys))
    assert greys[-1] < 0.75  # to be seen on white


def test_shipped_recipes_differ_in_marker_or_dashes() -> None:
    styles = recipe_styles(RECIPES).values()
    assert len({(style.marker, style.dashes) for style in styles}) == len(RECIPES)


@given(names)
def test_any_recipe_has_a_style_that_none_of_the_others_has(recipes: set[str]) -> None:
    styles = recipe_styles([*PAPER, *recipes])
    assert styles.keys() == recipes | set(PAPER)
    assert len({(style.marker, style.dashes) for style in styles.values()}) == len(styles)


@given(names)
def test_the_papers_recipes_look_the_same_in_every_study(recipes: set[str]) -> None:
    styles = recipe_styles([*PAPER, *recipes])
    assert {name: styles[name] for name in PAPER} == recipe_styles(PAPER)
    assert styles == recipe_styles(sorted(styles, reverse=True))


def test_more_recipes_than_can_be_told_apart_still_differ() -> None:
    styles = recipe_styles(f"recipe {number}" for number in range(100)).values()
    assert len(set(styles)) == 100


def test_the_look_is_the_same_whatever_the_users_settings_are() -> None:
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False}):
        with look():
            assert matplotlib.rcParams["font.size"] == 7
            assert matplotlib.rcParams["axes.grid"]
        assert matplotlib.rcParams["font.size"] == 30
