"""Which rows are shown, in which order, and in which words."""

from __future__ import annotations

import polars as pl
import pytest

from s2h.figures.kinds import Titles
from s2h.figures.selection import (
    Setting,
    at_largest_budget,
    budgets_note,
    recipes_of,
    setting_title,
    settings_of,
    short_number,
    spread,
)

TITLES = Titles(recipes={"mix": "Mix", "text": "Text"}, tasks={"grid": "Grid", "table": "Table"})


def rows(*runs: tuple[str, str, str, int, str]) -> pl.DataFrame:
    return pl.DataFrame(runs, schema=["task", "trained_on", "recipe", "budget", "model"], orient="row")


def test_the_largest_budget_is_each_recipes_own():
    frame = rows(
        ("grid", "grid", "mix", 10, "tiny"),
        ("grid", "grid", "mix", 20, "tiny"),
        ("grid", "grid", "text", 10, "tiny"),
        ("grid", "both", "mix", 5, "tiny"),
    )
    assert at_largest_budget(frame)["budget"].to_list() == [20, 10, 5]
    assert budgets_note(at_largest_budget(frame)) == "the largest budget of each recipe (5 to 20 examples)"


def test_order_is_that_of_the_titles_then_of_the_names():
    frame = rows(
        ("other", "other", "zeta", 1, "tiny"),
        ("table", "table", "alpha", 1, "tiny"),
        ("grid", "grid", "text", 1, "tiny"),
        ("grid", "grid", "mix", 1, "tiny"),
    )
    assert recipes_of(frame, TITLES) == ["mix", "text", "alpha", "zeta"]
    assert [setting.task for setting in settings_of(frame, TITLES)] == ["grid", "table", "other"]


def test_a_title_says_what_does_not_go_without_saying():
    alone, joint, large = Setting("grid", "grid", "tiny"), Setting("grid", "both", "tiny"), Setting("x", "x", "large")
    assert setting_title(alone, [alone, joint], TITLES) == "Grid"
    assert setting_title(joint, [alone, joint], TITLES) == "Grid\nwith both"
    assert setting_title(joint, [joint, large], TITLES) == "Grid\nwith both, tiny"
    assert setting_title(large, [joint, large], TITLES) == "x\nlarge"


@pytest.mark.parametrize(
    ("number", "words"), [(7_500, "7.5k"), (30_000, "30k"), (2_000_000, "2M"), (48, "48"), (0, "0")]
)
def test_budgets_are_short(number, words):
    assert short_number(number) == words


def test_numbers_of_puzzles_are_one_or_a_range():
    assert spread(pl.Series([300, 300])) == "300"
    assert spread(pl.Series([50, None, 1500])) == "50 to 1,500"
