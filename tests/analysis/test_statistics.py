from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2h.analysis.statistics import wilson_interval

counts = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_the_interval_holds_the_share_and_stays_in_bounds(pair):
    successes, n = pair
    low, high = wilson_interval(successes, n)
    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1
    assert low < high


@given(counts)
def test_right_and_wrong_are_mirror_images(pair):
    successes, n = pair
    low, high = wilson_interval(successes, n)
    assert wilson_interval(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@given(counts)
def test_the_ends_are_where_the_score_test_is_on_the_edge(pair):
    """Wilson's definition: at both ends p of the interval, |share - p| is 1.96 standard errors under p."""
    successes, n = pair
    for end in wilson_interval(successes, n):
        if 1e-9 < end < 1 - 1e-9:
            assert abs(successes / n - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / n), rel=1e-5)


@given(counts)
def test_more_confidence_is_wider_and_more_answers_are_narrower(pair):
    successes, n = pair
    low, high = wilson_interval(successes, n)
    wide_low, wide_high = wilson_interval(successes, n, 0.99)
    assert wide_low <= low
    assert wide_high >= high
    more_low, more_high = wilson_interval(10 * successes, 10 * n)
    assert more_high - more_low < high - low


def test_known_values_and_edges():
    assert wilson_interval(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 50)[0] == 0
    assert wilson_interval(50, 50)[1] == 1
    with pytest.raises(ValueError, match="7 successes of 5"):
        wilson_interval(7, 5)
