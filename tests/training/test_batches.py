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


@given(st.lists(st.integers(1, 200), min_size=32, max_size=32))
def test_groups_of_like_length_pad_no_more_than_the_order_as_it_came(lengths: list[int]) -> None:
    def padded(groups: list[list[int]]) -> int:
        return sum(len(group) * max(lengths[i] for i in group) for group in groups)

    dealt = micro_batches(lengths, ranks=2, micro_batch_size=8)
    plain = [list(range(start, start + 8)) for start in range(0, 32, 8)]
    assert padded([group for groups in dealt for group in groups]) <= padded(plain)
