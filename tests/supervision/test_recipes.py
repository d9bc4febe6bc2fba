"""What a budget buys: exact, never more than the budget, the same puzzles for all formats."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from s2h.overlays import read_config
from s2h.phases import Phase
from s2h.supervision.recipes import Recipe, count, examples_seen, kept_share, puzzles_needed, shortened

SHIPPED = read_config("paper").recipes
RECIPES = {name: recipe for name, recipe in SHIPPED.items() if recipe.phases}

# Unique puzzles of each part and examples seen, for N = 120,000, as the options of the paper's code have them.
OPTIONS = {
    "image_via_text": [([40_000], 120_000)],
    "text": [([60_000], 120_000)],
    "image": [([60_000], 120_000)],
    "image_three_epochs": [([40_000], 120_000)],
    "image_text": [([40_000, 40_000], 120_000)],
    "mix": [([40_000] * 3, 120_000)],
    "mix_plus": [([20_000] * 3 + [60_000], 120_000)],
    "align_mix_plus": [([60_000] * 2, 120_000), ([20_000] * 3 + [60_000], 120_000)],
    "image_via_text_plus": [([20_000, 60_000], 120_000)],
    "mix_plus_medium": [([20_000] * 3 + [60_000], 120_000)],
}
ABLATIONS = {
    "image_no_chain", "mix_no_chain", "mix_plus_no_chain", "mix_plus_internalised", "mix_plus_template",
    "mix_plus_order", "mix_plus_value", "mix_plus_convert_tokens", "convert_mix_plus", "mix_plus_interleaved",
    "mix_plus_curriculum", "text_warmup_mix_plus", "mix_plus_quarter_hard", "mix_plus_three_quarters_hard",
    "mix_plus_repeated_hard", "align_via_text_mix_plus",
}  # fmt: skip


def test_every_option_and_ablation_exists() -> None:
    assert set(RECIPES) >= set(OPTIONS) | ABLATIONS
    assert not SHIPPED["untrained"].phases


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_recipes_hold_what_the_paper_says(name: str) -> None:
    found = [([c.unique for c in count(p, 120_000)], examples_seen(p, 120_000)) for p in RECIPES[name].phases]
    assert found == OPTIONS[name]


@given(st.sampled_from(sorted(RECIPES)), st.integers(1, 10_000), st.integers(1, 4))
def test_a_phase_never_sees_more_than_its_budget(name: str, budget: int, tasks: int) -> None:
    for phase in RECIPES[name].phases:
        seen = examples_seen(phase, budget, tasks)
        assert seen <= phase.budget * budget
        # Flooring loses less than one puzzle a part and task, seen as often as the phase repeats it.
        assert seen > phase.budget * budget - tasks * sum(phase.epochs * part.repeats for part in phase.parts) - 1


@pytest.mark.parametrize("name", sorted({*OPTIONS, *ABLATIONS}))
def test_recipes_are_compared_at_equal_compute(name: str) -> None:
    """The last phase of every recipe sees the whole budget; phases before it come on top, as in the paper."""
    assert examples_seen(RECIPES[name].phases[-1], 120_000) == 120_000
    assert examples_seen(RECIPES[name].phases[-1], 120_000, 4) == 120_000


def test_no_recipe_trains_on_hard_images_and_only_the_plus_recipes_on_hard_text() -> None:
    for name in (*OPTIONS, *ABLATIONS):
        recipe = RECIPES[name]
        assert ("HARD" in puzzles_needed(recipe.phases, 600)) == ("plus" in name and name != "mix_plus_medium")
        beyond = [part.format for phase in recipe.phases for part in phase.parts if part.level != "SIMPLE"]
        assert set(beyond) <= {"text"}


def test_several_tasks_share_the_budget_evenly() -> None:
    (phase,) = RECIPES["mix_plus"].phases
    assert [c.unique for c in count(phase, 120_000, 4)] == [5_000, 5_000, 5_000, 15_000]
    assert puzzles_needed([phase], 120_000, 4) == {"SIMPLE": 5_000, "HARD": 15_000}


@given(st.integers(1, 3000), st.data())
def test_an_internalised_chain_shrinks_from_all_to_none(examples: int, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, examples - 1))
    share = kept_share(position, examples)
    assert 0 <= share <= 1
    assert share >= kept_share(min(position + 1, examples - 1), examples)
    if 10 * position < 3 * examples:
        assert share == 1
    if 10 * position >= 7 * examples:
        assert share == 0


def test_the_ramp_of_an_internalised_chain_has_101_levels_of_equal_length() -> None:
    levels = [kept_share(position, 101_000) for position in range(30_300, 70_700)]
    assert [levels.count(level / 100) for level in range(101)] == [400] * 101


@given(st.text(alphabet="ab \n", max_size=60), st.floats(0, 1))
def test_a_shortened_chain_is_the_beginning_of_whole_words(reasoning: str, share: float) -> None:
    kept = shortened(reasoning, share)
    assert reasoning.startswith(kept)
    assert len(kept) <= share * len(reasoning)
    assert kept == kept.rstrip()
    rest = reasoning[len(kept) :]
    assert not kept or not rest or rest[0].isspace()
    next_word = re.match(r"\s*\S+", rest)
    if next_word:  # nothing was cut that would have fitted
        assert len(kept) + next_word.end() > share * len(reasoning) - 1


def test_all_and_none_of_a_chain() -> None:
    assert shortened("one two\n\nthree", 1) == "one two\n\nthree"
    assert shortened("one two\n\nthree", 0) == ""


def test_fractions_are_exact() -> None:
    phase = Phase.model_validate({"epochs": "3/2", "parts": [{"level": "SIMPLE", "format": "text", "share": 1.0}]})
    assert phase.epochs == Fraction(3, 2)
    assert Recipe.model_validate_json(Recipe(title="x", phases=(phase,)).model_dump_json()).phases[0] == phase


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([{"level": "SIMPLE", "format": "text", "share": "1/2"}], "add up to 1/2"),
        ([{"level": "SIMPLE", "format": "text", "share": "one"}], "not a number or a fraction"),
        ([{"level": "SIMPLE", "fromat": "text", "share": 1}], "fromat"),
        ([{"level": "SIMPLE", "format": "text", "share": 1, "convert_tokens": 4}], "text has none"),
        ([], "give one of parts, corpus and scenes"),
    ],
)
def test_impossible_phases_are_refused(parts: list[dict[str, object]], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Phase.model_validate({"parts": parts})


def test_the_first_phase_has_no_optimizer_to_keep() -> None:
    part = {"level": "SIMPLE", "format": "text", "share": 1}
    with pytest.raises(ValidationError, match="the first phase has none"):
        Recipe.model_validate({"title": "x", "phases": [{"parts": [part], "optimizer": "kept"}]})
