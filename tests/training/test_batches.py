"""Every example of a step is computed exactly once, by processes that do like work."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from s2h.training.batches import micro_batches, step_count, step_positions
from s2h.training.loader import Plan


@given(st.integers(1, 500), st.integers(1, 64))
def test_the_steps_cover_the_mixture_in_order(examples: int, batch_size: int) -> None:
    steps = step_count(examples, batch_size)
    seen = [p for s in range(steps) for p in step_positions(s, examples=examples, batch_size=batch_size)]
    assert seen == list(range(examples))


@given(st.lists(st.integers(1, 200), min_size=1, max_size=80), st.integers(1, 4), st.integers(1, 16))
def test_a_step_is_dealt_out_completely_and_evenly(lengths: list[int], ranks: int, size: int) -> None:
    dealt = micro_batches(lengths, ranks=ranks, micro_batch_size=size)
    assert sorted(i for groups in dealt for group in groups for i in group) == list(range(len(lengths)))
    assert len({len(groups) for groups in dealt}) == 1
    assert max(len(group) for groups in dealt for group in groups) <= size


@given(st.lists(st.integers(1, 200), min_size=32, max_size=32), st.permutations(range(32)))
def test_no_other_way_of_dealing_has_a_smaller_largest_group(lengths: list[int], order: list[int]) -> None:
    def largest(groups: list[list[int]]) -> int:
        return max(len(group) * max(lengths[i] for i in group) for group in groups if group)

    dealt = micro_batches(lengths, ranks=2, micro_batch_size=8)
    other = [order[start : start + 8] for start in range(0, 32, 8)]
    assert largest([group for groups in dealt for group in groups]) <= largest(other)


def test_many_short_examples_weigh_as_much_as_few_long_ones() -> None:
    assert micro_batches([10, 30, 10, 10], ranks=2, micro_batch_size=4) == [[[1]], [[0, 2, 3]]]


@given(
    st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 16),
    st.integers(1, 6),
    st.integers(1, 3),
)
def test_a_plan_learns_every_example_once_and_shows_an_image_everywhere(
    examples: list[tuple[int, bool]], batch_size: int, size: int, ranks: int
) -> None:
    tokens, shows = (np.array(each) for each in zip(*examples, strict=True))
    plan = Plan(tokens, shows, batch_size=batch_size, micro_batch_size=size, ranks=ranks)
    groups = [group for step in range(plan.steps) for mine in plan.groups(step) for group in mine]
    assert sorted(position for group in groups for position in group) == list(range(len(examples)))
    assert len(groups) == plan.steps * plan.rounds * ranks
    for group in groups:
        computed = plan.computed(group, 0)
        assert computed[: len(group)] == group
        assert len(computed) <= max(len(group), 1) + 1
        assert bool(shows[computed].any()) == bool(shows.any())
    assert 0 <= plan.padding() < 1
    assert len(plan.largest()) * tokens[plan.largest()].max() >= tokens.max()


def test_padding_counts_everything_that_is_not_learned() -> None:
    alone = Plan(np.array([10, 10]), np.array([False, False]), batch_size=2, micro_batch_size=2, ranks=1)
    assert alone.padding() == 0
    unequal = Plan(np.array([10, 30]), np.array([False, False]), batch_size=2, micro_batch_size=2, ranks=1)
    assert unequal.padding() == 1 - 40 / 60
    filled = Plan(np.array([10, 20]), np.array([False, True]), batch_size=1, micro_batch_size=1, ranks=1)
    assert filled.padding() == 1 - 30 / (2 * 20 + 20)
