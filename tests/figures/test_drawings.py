"""What the figures show is what their tables hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from s2h.analysis.published import read_published
from s2h.figures.figure_registry import FIGURES
from s2h.figures.style import PALE, look, recipe_styles
from tests.figures.generated import EXACT, RECIPES, TITLES, study

STYLES = recipe_styles(RECIPES)


def draw(name: str, tables: dict[str, pl.DataFrame]) -> Figure:
    with look():
        return FIGURES[name].draw(tables, TITLES)


def lines_of(axes: Axes, recipe: str) -> list[Line2D]:
    """A recipe's lines and points in a panel."""
    return [line for line in axes.lines if line.get_color() == STYLES[recipe].colour]


def ys(line: Line2D) -> list[float]:
    return [float(y) for y in line.get_ydata()]


def guess_lines(axes: Axes) -> list[Line2D]:
    """The lines of guess rates in a panel."""
    return [line for line in axes.lines if line.get_color() == PALE]


def test_our_points_are_full_and_published_ones_hollow() -> None:
    tables = study(recipes=("image", "mix"), budgets=(10_000, 40_000))
    answers, image, _, text = draw("budgets", tables).axes
    published, ours = sorted(lines_of(image, "mix"), key=lambda line: line.get_markerfacecolor() != "white")
    key = {"recipe": "mix", "level": "HARD", "modality": "image"}
    expected = tables["accuracy"].filter(**key)
    theirs = read_published().filter(**key, task="consecutive_table_readout").sort("budget")
    assert ys(ours) == pytest.approx([100 * share for share in expected["exact_match"]])
    assert ys(published) == pytest.approx([100 * share for share in theirs["value"]])
    assert list(published.get_xdata()) == theirs["budget"].to_list()
    assert published.is_dashed() > ours.is_dashed()
    assert not lines_of(image, "mix_plus")
    assert len(text.lines) == 3  # the recipe Image has no published figure on HARD text
    (own,) = lines_of(answers, "mix")  # the published metric is another than that of answers
    assert ys(own) == pytest.approx([100 * share for share in expected["accuracy"]])


def test_a_study_without_exact_match_has_no_panels_of_it() -> None:
    tables = study(recipes=("mix",))
    unknown = tables["accuracy"].with_columns(pl.lit(None, pl.Float64).alias(name) for name in EXACT)
    assert len(draw("budgets", tables | {"accuracy": unknown}).axes) == 2


def test_the_best_blind_baseline_is_a_line_where_answers_are_shown() -> None:
    tables = study(recipes=("mix", "mix_plus"))
    answers, exact, *_ = draw("budgets", tables).axes
    assert [ys(line) for line in guess_lines(answers)] == [[12, 12]]
    assert not guess_lines(exact)
    for panel in draw("modalities", tables).axes:
        assert [list(line.get_xdata()) for line in guess_lines(panel)] == [[12, 12]]
    levels = [(list(line.get_xdata()), ys(line)) for line in guess_lines(draw("difficulty", tables).axes[0])]
    assert levels == [([0.5, 4.5], [12, 12]), ([4.5, 8.5], [12, 12])]
    unknown = tables | {"baselines": tables["baselines"].clear()}
    assert not any(guess_lines(panel) for panel in draw("budgets", unknown).axes)


def test_recipes_of_one_budget_stand_beside_each_other() -> None:
    image, *_ = draw("budgets", study(recipes=RECIPES[1:10])).axes
    ours = [line for line in image.lines if line.get_linestyle() == "-"]
    places = sorted(np.log(float(line.get_xdata()[0])) for line in ours)
    assert len(places) == 9
    assert np.ptp(np.diff(places)) < 1e-9 < np.diff(places)[0]


def test_what_was_not_trained_is_a_level_line() -> None:
    trained, not_trained = study(recipes=("mix",)), study(recipes=("untrained",), budgets=(0,))
    accuracy = pl.concat([trained["accuracy"], not_trained["accuracy"]])
    image, *_ = draw("budgets", trained | {"accuracy": accuracy}).axes
    level = [line for line in image.lines if list(line.get_xdata()) == [0, 1] and line not in guess_lines(image)]
    assert [line.get_color() for line in level] == [STYLES["untrained"].colour]


def test_text_and_image_of_a_recipe_are_points_with_intervals() -> None:
    tables = study(recipes=("mix",), budgets=(7_500, 30_000))
    _, hard = draw("modalities", tables).axes
    rows = tables["accuracy"].filter(level="HARD", budget=30_000)  # the largest budget alone
    points = [line for line in hard.lines if line.get_marker() in ("s", "o")]
    assert [float(line.get_xdata()[0]) for line in points] == pytest.approx((100 * rows["accuracy"]).to_list())
    strokes = [line for line in hard.lines if line.get_marker() == "|"]
    assert [float(line.get_xdata()[0]) for line in strokes] == pytest.approx((100 * rows["exact_match"]).to_list())
    spans = [path.vertices[:, 0].tolist() for bars in hard.collections for path in bars.get_paths()]
    assert spans == [pytest.approx([100 * low, 100 * high]) for low, high in rows.select("ci_low", "ci_high").rows()]


def test_phases_stand_after_each_other() -> None:
    (axes,) = draw("learning", study(recipes=("align_mix_plus",), seeds=(0, 1))).axes
    drawn = [line for line in axes.lines if line.get_marker() != ""]
    assert [round(float(line.get_xdata()[-1])) for line in drawn] == [15_000, 45_000]
    assert len(axes.lines) == 2 + 4  # and each phase of both seeds


def test_bars_add_up_to_the_wrong_predictions() -> None:
    tables = study(recipes=("mix", "mix_plus"))
    image, _ = draw("error_steps", tables).axes
    bars = [patch for patch in image.patches if isinstance(patch, Rectangle)]
    totals = [text.get_text() for text in image.texts]
    for lane, recipe in enumerate(("mix", "mix_plus")):
        share = tables["error_steps"].filter(recipe=recipe, level="HARD", modality="image")["share"].sum()
        assert totals[lane] == f"{100 * share:.0f} %"
        heights = [-bar.get_height() for bar in bars if lane < bar.get_y() <= lane + 1]
        assert sum(heights) / 0.86 * _lane(tables) == pytest.approx(share)


def _lane(tables: dict[str, pl.DataFrame]) -> float:
    """The share that a lane is high: the next of its heights above the highest bar."""
    hard = tables["error_steps"].filter(level="HARD")
    highest: Any = hard.group_by("recipe", "modality", "step").agg(pl.col("share").sum())["share"].max()
    return next(height for height in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0) if highest <= height)


def test_the_ranges_of_levels_are_shaded_and_named() -> None:
    image, _ = draw("difficulty", study()).axes
    assert [text.get_text() for text in image.texts] == ["SIMPLE", "HARD"]
    assert [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in image.patches] == [(0.5, 4.5), (4.5, 8.5)]
    assert image.get_xlim() == (0.5, 8.5)


def test_alignment_goes_over_all_phases_and_is_set_against_accuracy() -> None:
    tables = study(recipes=("text", "mix", "align_mix_plus"), seeds=(0, 1))
    page = draw("alignment", tables)
    first, scatter = page.axes[0], page.axes[-1]
    assert [float(line.get_xdata()[-1]) for line in lines_of(first, "align_mix_plus")] == [50, 100]
    assert scatter.texts[0].get_text().startswith("6 runs\nrank correlation 0.")
    assert len([line for line in scatter.lines if line.get_linestyle() == "None"]) == 6


def test_alignment_without_an_optimizer_is_said_to_be_unknown() -> None:
    tables = study(recipes=("text", "mix"))
    unknown = pl.lit(None, pl.Float64)
    frame = tables["alignment"].with_columns(preconditioned=unknown, preconditioned_cosine=unknown)
    page = draw("alignment", tables | {"alignment": frame})
    assert [text.get_text() for axes in page.axes[5:9] for text in axes.texts] == ["not known"] * 4
    assert page.axes[-1].get_xlabel() == "mean cosine"
    assert page.axes[-1].texts[0].get_text() == "2 runs"
