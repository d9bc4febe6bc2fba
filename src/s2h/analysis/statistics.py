"""Statistics of accuracy: intervals of shares and of their differences, a paired test, spread across seeds."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from s2h.seeding import generator

RESAMPLES = 10_000
"""Default number of resamples of a bootstrap."""


def wilson_interval(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a share (Wilson, 1927), which stays in [0, 1] and is right at 0 and n successes too.

    Args:
        successes: correct answers, 0 to ``n``; as a mean over several training runs it need not be a whole number.
        n: all answers; nothing is known of a share of none, and the interval is (0, 1).
        confidence: probability with which the interval holds the share, between 0 and 1.

    Returns:
        (low, high), with low <= successes / n <= high.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} cannot be: expected a number from 0 to {n}")
    if n == 0:
        return 0.0, 1.0
    share, squared = successes / n, float(norm.ppf((1 + confidence) / 2)) ** 2 / n
    middle = (share + squared / 2) / (1 + squared)
    half = math.sqrt(squared * (share * (1 - share) + squared / 4)) / (1 + squared)
    return (max(middle - half, 0.0) if successes else 0.0), (min(middle + half, 1.0) if successes < n else 1.0)


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test (McNemar, 1947) of two results on the same puzzles, two-sided.

    Puzzles that both solve, or neither, say nothing of which is better. Were the two equally good, each of the others
    would fall to either side with probability 1/2.

    Args:
        only_first: puzzles that the first alone solves.
        only_second: puzzles that the second alone solves.

    Returns:
        The p value, above 0 and at most 1; 1 where the two differ on no puzzle.
    """
    if min(only_first, only_second) < 0:
        raise ValueError(f"{only_first} and {only_second} puzzles cannot be: expected numbers from 0")
    differing = only_first + only_second
    return float(binomtest(only_first, differing).pvalue) if differing else 1.0


def bootstrap_interval(
    only_first: int, only_second: int, n: int, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval (Efron, 1979) of the difference of two shares on the same puzzles, which are resampled.

    A resample draws ``n`` puzzles with replacement and keeps both results of each. All that counts is how many of the
    drawn puzzles the first alone solves, and how many the second alone; these numbers are multinomial, and are drawn
    as such, which gives the same distribution as drawing the puzzles one by one.

    Args:
        only_first: puzzles that the first alone solves.
        only_second: puzzles that the second alone solves.
        n: all puzzles; nothing is known of a difference on none, and the interval is (-1, 1).
        confidence: share of the resamples that lie in the interval, between 0 and 1.
        resamples: how many are drawn.
        seed: of the draws; the interval is a function of the arguments.

    Returns:
        (low, high) of the first share minus the second. It has no width where all puzzles fell out alike: resampling
        cannot show what the puzzles did not.
    """
    if min(only_first, only_second) < 0 or only_first + only_second > n:
        raise ValueError(f"{only_first} and {only_second} of {n} puzzles cannot be: expected no more than {n} in all")
    if n == 0:
        return -1.0, 1.0
    # The better of the two comes first, so that the interval of b against a is exactly that of a against b, mirrored.
    more, less = max(only_first, only_second), min(only_first, only_second)
    shares = np.array([more, less, n - more - less]) / n
    drawn = generator(seed, "bootstrap", "same puzzles").multinomial(n, shares, size=resamples)
    low, high = _percentiles((drawn[:, 0] - drawn[:, 1]) / n, confidence)
    return (low, high) if only_first == more else (-high, -low)


def independent_bootstrap_interval(
    right_first: int,
    n_first: int,
    right_second: int,
    n_second: int,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of the difference of two shares on different puzzles; each set is resampled by itself.

    Args:
        right_first: puzzles of the first set that are solved.
        n_first: puzzles of the first set.
        right_second: puzzles of the second set that are solved.
        n_second: puzzles of the second set; where either set is empty, the interval is (-1, 1).
        confidence: share of the resamples that lie in the interval, between 0 and 1.
        resamples: how many are drawn.
        seed: of the draws.

    Returns:
        (low, high) of the first share minus the second.
    """
    for right, n in ((right_first, n_first), (right_second, n_second)):
        if not 0 <= right <= n:
            raise ValueError(f"{right} right of {n} cannot be: expected a number from 0 to {n}")
    if min(n_first, n_second) == 0:
        return -1.0, 1.0
    rng = generator(seed, "bootstrap", "different puzzles")
    first = rng.binomial(n_first, right_first / n_first, size=resamples) / n_first
    second = rng.binomial(n_second, right_second / n_second, size=resamples) / n_second
    return _percentiles(first - second, confidence)


def across_seeds(column: str) -> list[pl.Expr]:
    """Mean and spread of a column that holds one number for each seed, as aggregations for ``group_by(...).agg``.

    Returns:
        n_seeds, mean, sd (the sample standard deviation, with n - 1 below; null for one seed), min and max.
    """
    value = pl.col(column)
    return [
        value.len().cast(pl.Int64).alias("n_seeds"),
        value.mean().alias("mean"),
        value.std(ddof=1).alias("sd"),
        value.min().alias("min"),
        value.max().alias("max"),
    ]


def _percentiles(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """The ends between which the middle ``confidence`` of the values lies."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
