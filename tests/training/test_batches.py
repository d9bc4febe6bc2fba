"""Every example of a step is computed exactly once, by processes that do like work."""

from hypothesis import given
from hypothesis import strategies as st

from s2h.training.batches import micro_batches, step_count, step_positions


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
