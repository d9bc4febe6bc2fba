"""Every example of a step is computed exactly once, by processes that do like work."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from s2h.tokenisation.lengths import Lengths
from s2h.training.batches import (
    BatchPlan,
    ExampleSizes,
    Limits,
    micro_batches,
    min_grad_accum_steps,
    step_count,
    step_positions,
)


@given(st.integers(1, 500), st.integers(1, 64))
def test_the_steps_cover_the_mixture_in_order(examples: int, batch_size: int) -> None:
    steps = step_count(examples, batch_size)
    seen = [p for s in range(steps) for p in step_positions(s, examples=examples, batch_size=batch_size)]
    assert seen == list(range(examples))


LENGTHS = st.lists(st.integers(1, 200), min_size=1, max_size=80)
LIMITS = st.builds(Limits, st.none() | st.integers(1, 16), st.none() | st.integers(1, 600))


def padded(lengths: list[int], group: list[int]) -> int:
    return len(group) * max((lengths[i] for i in group), default=0)


@given(LENGTHS, st.data(), st.integers(1, 4), LIMITS)
def test_a_step_is_dealt_out_completely_within_the_limits(lengths, data, world_size, limits) -> None:
    cost = data.draw(st.lists(st.floats(0.01, 100), min_size=len(lengths), max_size=len(lengths)))
    sizes = ExampleSizes(lengths, cost)
    number = min_grad_accum_steps(sizes, world_size=world_size, limits=limits) + data.draw(st.integers(0, 2))
    dealt = micro_batches(sizes, world_size=world_size, grad_accum_steps=number, limits=limits)
    assert sorted(i for groups in dealt for group in groups for i in group) == list(range(len(lengths)))
    assert [len(groups) for groups in dealt] == [number] * world_size
    for group in (group for groups in dealt for group in groups):
        assert limits.examples is None or len(group) <= limits.examples
        assert limits.tokens is None or len(group) <= 1 or padded(lengths, group) <= limits.tokens


@given(st.lists(st.integers(1, 200), min_size=32, max_size=32), st.permutations(range(32)))
def test_no_other_way_of_dealing_has_a_smaller_largest_group(lengths: list[int], order: list[int]) -> None:
    dealt = micro_batches(ExampleSizes.from_tokens(lengths), world_size=2, grad_accum_steps=2, limits=Limits(8))
    other = [order[start : start + 8] for start in range(0, 32, 8)]
    largest = max(padded(lengths, group) for groups in dealt for group in groups)
    assert largest <= 1.01 * max(padded(lengths, group) for group in other)


def test_many_short_examples_weigh_as_much_as_few_long_ones() -> None:
    dealt = micro_batches(
        ExampleSizes.from_tokens([10, 30, 10, 10]), world_size=2, grad_accum_steps=1, limits=Limits(4)
    )
    assert sorted(dealt) == [[[0, 2, 3]], [[1]]]


def test_groups_of_like_work_are_computed_at_the_same_time() -> None:
    """Half of the examples cost four times as much for their length, as those with pictures do."""
    lengths = [100] * 32
    cost = [4.0 if i % 2 else 1.0 for i in range(32)]
    dealt = micro_batches(ExampleSizes(lengths, cost), world_size=2, grad_accum_steps=4, limits=Limits(8))
    for pair in zip(*dealt, strict=True):
        weights = [sum(cost[i] for i in group) for group in pair]
        assert max(weights) <= 1.5 * min(weights)


EXAMPLES = st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=60)


def lengths_of(examples: list[tuple[int, bool]]) -> Lengths:
    tokens, shows = (np.array(each) for each in zip(*examples, strict=True))
    return Lengths(tokens, (tokens + 1) // 2, np.where(shows, 500, 0))


@given(EXAMPLES, st.integers(1, 16), LIMITS, st.integers(1, 3))
def test_a_plan_learns_every_example_once(examples, batch_size, limits, world_size) -> None:
    lengths = lengths_of(examples)
    plan = BatchPlan(lengths, batch_size=batch_size, limits=limits, world_size=world_size)
    groups = [group for step in range(plan.steps) for mine in plan.groups(step) for group in mine]
    assert sorted(position for group in groups for position in group) == list(range(len(examples)))
    assert len(groups) == plan.steps * plan.grad_accum_steps * world_size
    for group in groups:
        assert plan.computed(group) == (group or [int(lengths.tokens.argmin())])
    assert 0 <= plan.padding() < 1
    assert -1e-9 <= plan.waiting() < 1
    largest = plan.largest()
    assert max(len(group) * lengths.tokens[group].max() for group in largest) >= lengths.tokens.max()
    for measure in (lengths.targets, lengths.pixels):
        assert max(int(measure[group].sum()) for group in largest) >= measure.max()


def test_padding_counts_everything_that_is_not_learned() -> None:
    alone = BatchPlan(lengths_of([(10, False), (10, False)]), batch_size=2, limits=Limits(2), world_size=1)
    assert alone.padding() == 0
    unequal = BatchPlan(lengths_of([(10, False), (30, False)]), batch_size=2, limits=Limits(2), world_size=1)
    assert unequal.padding() == 1 - 40 / 60
    idle = BatchPlan(lengths_of([(10, False)]), batch_size=1, limits=Limits(1), world_size=2)
    assert idle.padding() == 1 - 10 / 20
