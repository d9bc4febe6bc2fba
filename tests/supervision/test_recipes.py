"""What a budget buys: exact, never more than the budget, the same puzzles for all formats."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from s2h.supervision.recipes import Phase, Recipe, count, examples_seen, puzzles_needed
from tests.shipped import default_config

RECIPES = default_config("paper").recipes

PAPER = {  # unique examples of each part and examples seen, for N = 120,000, as the paper's options 1-8 have them
    "image_via_text": [([40_000], 120_000)],
    "text": [([60_000], 120_000)],
    "image": [([60_000], 120_000)],
    "image_text": [([40_000, 40_000], 120_000)],
    "mix": [([40_000] * 3, 120_000)],
    "mix_plus": [([20_000] * 3 + [60_000], 120_000)],
    "align_mix_plus": [([60_000] * 2, 120_000), ([20_000] * 3 + [60_000], 120_000)],
}


@pytest.mark.parametrize("name", sorted(PAPER))
def test_recipes_hold_what_the_paper_says(name: str) -> None:
    found = [([c.unique for c in count(p, 120_000)], examples_seen(p, 120_000)) for p in RECIPES[name].phases]
    assert found == PAPER[name]


@given(st.sampled_from(sorted(RECIPES)), st.integers(1, 10_000))
def test_a_phase_never_sees_more_than_its_budget(name: str, budget: int) -> None:
    for phase in RECIPES[name].phases:
        seen = examples_seen(phase, budget)
        assert seen <= phase.budget * budget
        # Flooring loses less than one puzzle a part, seen as often as the phase repeats it.
        assert seen > phase.budget * budget - sum(phase.epochs * part.repeats for part in phase.parts) - 1


def test_only_the_plus_recipes_need_hard_puzzles_and_only_as_text() -> None:
    for name, recipe in RECIPES.items():
        assert ("HARD" in puzzles_needed(recipe, 600)) == name.endswith("plus")
        hard = [part.format for phase in recipe.phases for part in phase.parts if part.level == "HARD"]
        assert set(hard) <= {"text"}


def test_fractions_are_exact() -> None:
    phase = Phase.model_validate({"epochs": "3/2", "parts": [{"level": "SIMPLE", "format": "text", "share": 1.0}]})
    assert phase.epochs == Fraction(3, 2)
    assert Recipe.model_validate_json(Recipe(title="x", phases=(phase,)).model_dump_json()).phases[0] == phase


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([{"level": "SIMPLE", "format": "text", "share": "1/2"}], "add up to 1/2"),
        ([{"level": "SIMPLE", "format": "text", "share": "one"}], "not a number or a fraction"),
        ([{"level": "SIMPLE", "fromat": "text", "share": 1}], "Did you mean 'format'"),
        ([], "at least 1 item"),
    ],
)
def test_impossible_phases_are_refused(parts: list[dict[str, object]], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Phase.model_validate({"parts": parts})
