from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from s2h.analysis.published import KEYS, nearest_budget, read_published
from s2h.diagnosis.diagnoser_registry import DIAGNOSERS
from s2h.overlays import read_values
from s2h.puzzles.task_registry import TASKS
from tests.shipped import PAPER_TASKS

budgets = st.integers(1, 10**6)


def test_each_figure_stands_once_and_names_what_there_is():
    figures = read_published()
    assert figures.columns == ["task", "recipe", "budget", "level", "modality", "metric", "value"]
    assert not figures.select(*KEYS, "budget").is_duplicated().any()
    assert set(figures["task"]) == set(PAPER_TASKS) <= set(TASKS)
    assert set(figures["recipe"]) <= set(read_values()["recipes"])
    assert figures["value"].is_between(0, 1).all()
    assert set(figures["metric"]) == {"exact_match"}
    for task in PAPER_TASKS:  # ours under that name
        assert "exact_match" in DIAGNOSERS[task].metrics


def test_some_figures():
    def curve(**where: str) -> list[tuple[int, float]]:
        return read_published().filter(**where).select("budget", "value").rows()

    assert curve(task="visual_analogy", recipe="align_mix_plus") == [
        (30000, 0.312), (60000, 0.474), (120000, 0.558), (240000, 0.556),
    ]  # fmt: skip
    readout = {"task": "consecutive_table_readout", "level": "HARD"}
    assert curve(**readout, recipe="text", modality="text") == [
        (10000, 0.51), (20000, 0.42), (80000, 0.72), (160000, 0.81),
    ]  # fmt: skip
    assert {share for _, share in curve(**readout, recipe="text", modality="image")} == {0}
    grids = read_published().filter(task="grid_navigation", recipe="mix_plus")
    assert grids.select("level", "modality").unique().rows() == [("HARD", "image")]


def test_every_task_but_one_has_four_budgets_for_each_recipe():
    sizes = read_published().filter(pl.col("task") != "consecutive_table_readout").group_by("task", "recipe").len()
    assert set(sizes["len"]) == {4}
    assert sizes.height == 15


@given(budgets, st.lists(budgets, max_size=8))
def test_the_nearest_budget_is_the_nearest_by_ratio_within_a_factor_of_two(budget, published):
    def ratio(other: int) -> float:
        return max(budget, other) / min(budget, other)

    found = nearest_budget(budget, published)
    near = [other for other in published if ratio(other) <= 2]
    assert (found is None) == (not near)
    if found is not None:
        assert found in near
        assert ratio(found) <= min(map(ratio, near)) * (1 + 1e-8)


@given(st.integers(1, 1000).map(lambda n: 2 * n))
def test_of_two_equally_near_the_smaller_counts(budget):
    assert nearest_budget(budget, [2 * budget, budget // 2]) == budget // 2
    assert nearest_budget(budget, [2 * budget, budget]) == budget


def test_nothing_is_near_no_budget():
    assert nearest_budget(0, [10000]) is None
    assert nearest_budget(30000, []) is None
