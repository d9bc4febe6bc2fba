from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from s2h.analysis.statistics import (
    across_seeds,
    bootstrap_interval,
    independent_bootstrap_interval,
    mcnemar,
    wilson_interval,
)

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


def test_known_values_and_edges_of_wilson():
    assert wilson_interval(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 50)[0] == 0
    assert wilson_interval(50, 50)[1] == 1
    between = wilson_interval(7.5, 10)
    assert wilson_interval(7, 10) < between < wilson_interval(8, 10)
    with pytest.raises(ValueError, match="7 successes of 5"):
        wilson_interval(7, 5)


discordant = st.tuples(st.integers(0, 300), st.integers(0, 300))


@given(discordant)
def test_mcnemar_is_the_binomial_tail_doubled(pair):
    """By its definition, in whole numbers: both tails of fair coin throws at least as uneven as these."""
    smaller, n = min(pair), sum(pair)
    tail = sum(math.comb(n, k) for k in range(smaller + 1))
    assert mcnemar(*pair) == pytest.approx(min(1.0, 2 * tail / 2**n), rel=1e-9)


@given(discordant)
def test_mcnemar_does_not_ask_who_is_first_and_is_a_probability(pair):
    assert mcnemar(*pair) == mcnemar(*pair[::-1])
    assert 0 < mcnemar(*pair) <= 1


@given(discordant)
def test_mcnemar_falls_as_one_side_wins_more(pair):
    smaller, larger = sorted(pair)
    assert mcnemar(smaller, larger + 1) <= mcnemar(smaller, larger) + 1e-12


def test_known_values_and_edges_of_mcnemar():
    """Airway hyper-responsiveness of 21 children before and after a transplantation; 1 and 7 changed.

    Bentur et al. (2009), as worked out by Fagerland, Lydersen and Laake (2013): exact conditional p = 0.0703.
    """
    assert mcnemar(1, 7) == pytest.approx(0.0703125)
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 1) == 1
    with pytest.raises(ValueError, match="-1 and 3 puzzles"):
        mcnemar(-1, 3)


paired = st.integers(1, 400).flatmap(
    lambda n: st.integers(0, n).flatmap(lambda one: st.tuples(st.just(one), st.integers(0, n - one), st.just(n)))
)
apart = st.tuples(counts, counts).map(lambda sets: (*sets[0], *sets[1]))


@settings(max_examples=40)
@given(paired)
def test_the_bootstrap_interval_holds_the_difference_and_stays_in_bounds(case):
    only_first, only_second, n = case
    low, high = bootstrap_interval(*case)
    assert -1 <= low <= (only_first - only_second) / n + 1e-12
    assert (only_first - only_second) / n - 1e-12 <= high <= 1


@settings(max_examples=40)
@given(paired)
def test_the_bootstrap_of_b_against_a_mirrors_that_of_a_against_b(case):
    only_first, only_second, n = case
    low, high = bootstrap_interval(*case)
    mirrored = bootstrap_interval(only_second, only_first, n)
    if only_first != only_second:
        assert mirrored == (-high, -low)
    else:  # but for the chance of the draws: the ends fall on nearby places of a lattice whose step is at most 2 / n
        assert mirrored == pytest.approx((-high, -low), abs=0.01 + 2 / n)


@settings(max_examples=40)
@given(paired)
def test_more_confidence_is_no_narrower(case):
    low, high = bootstrap_interval(*case)
    wide_low, wide_high = bootstrap_interval(*case, confidence=0.99)
    assert wide_low <= low
    assert wide_high >= high


@settings(max_examples=40)
@given(apart)
def test_the_interval_of_different_puzzles_holds_the_difference_and_stays_in_bounds(case):
    right_first, n_first, right_second, n_second = case
    difference = right_first / n_first - right_second / n_second
    low, high = independent_bootstrap_interval(*case)
    assert -1 <= low <= difference + 1e-12
    assert difference - 1e-12 <= high <= 1


def test_nothing_is_known_of_no_puzzles():
    assert bootstrap_interval(0, 0, 0) == (-1, 1)
    assert independent_bootstrap_interval(0, 0, 3, 5) == (-1, 1)
    assert independent_bootstrap_interval(3, 5, 0, 0) == (-1, 1)


def test_puzzles_that_fell_out_alike_have_an_interval_without_width():
    assert bootstrap_interval(1, 0, 1) == (1, 1)
    assert bootstrap_interval(0, 1, 1) == (-1, -1)
    assert bootstrap_interval(0, 0, 50) == (0, 0)
    assert bootstrap_interval(50, 0, 50) == (1, 1)
    assert independent_bootstrap_interval(5, 5, 0, 7) == (1, 1)


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="3 and 3 of 5 puzzles"):
        bootstrap_interval(3, 3, 5)
    with pytest.raises(ValueError, match="6 right of 5"):
        independent_bootstrap_interval(1, 5, 6, 5)


def test_a_bootstrap_is_the_same_on_every_machine():
    assert bootstrap_interval(60, 20, 500) == pytest.approx((0.046, 0.114), abs=1e-12)
    assert independent_bootstrap_interval(15, 100, 5, 80) == pytest.approx((0, 0.1775), abs=1e-12)
    few = [bootstrap_interval(61, 37, 997, resamples=50, seed=seed) for seed in (1, 1, 2)]
    assert few[0] == few[1] != few[2]


@pytest.mark.parametrize("is_paired", [True, False])
def test_drawing_counts_is_drawing_puzzles(is_paired):
    """Scipy draws every puzzle of every resample."""
    first = np.repeat([1.0, 0.0, 1.0, 0.0], [30, 15, 80, 75])
    second = np.repeat([0.0, 1.0, 1.0, 0.0], [30, 15, 80, 75])
    drawn = bootstrap(
        (first, second),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=is_paired,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    ours = bootstrap_interval(30, 15, 200) if is_paired else independent_bootstrap_interval(110, 200, 95, 200)
    assert ours == pytest.approx(tuple(drawn), abs=0.012)


def test_the_bootstrap_interval_holds_the_true_difference_as_often_as_it_says():
    """200 studies of 300 puzzles, with a true difference of 0.1: of 95 % intervals, 190 are expected to hold it."""
    studies = np.random.default_rng(0).multinomial(300, [0.2, 0.1, 0.7], size=200)
    intervals = [bootstrap_interval(int(one), int(two), 300, resamples=2000) for one, two, _ in studies]
    assert 180 <= sum(low <= 0.1 <= high for low, high in intervals) <= 198


def test_mean_and_spread_across_seeds():
    frame = pl.DataFrame({"run": ["a"] * 4 + ["b"], "share": [0.1, 0.2, 0.3, 0.4, 0.7]})
    found = frame.group_by("run", maintain_order=True).agg(across_seeds("share"))
    assert found.columns == ["run", "n_seeds", "mean", "sd", "min", "max"]
    assert found.row(0)[1:] == pytest.approx((4, 0.25, math.sqrt(0.05 / 3), 0.1, 0.4))
    assert found.row(1)[1:] == (1, 0.7, None, 0.7, 0.7)
