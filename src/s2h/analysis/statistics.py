"""Intervals for shares of right answers."""

from __future__ import annotations

from scipy.stats import binomtest


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a share (Wilson, 1927), which stays in [0, 1] and is right at 0 and n successes too.

    Args:
        successes: right answers, 0 to ``n``.
        n: all answers; nothing is known of a share of none, and the interval is (0, 1).
        confidence: probability with which the interval holds the share, between 0 and 1.

    Returns:
        (low, high), with low <= successes / n <= high.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} cannot be: expected a number from 0 to {n}")
    if n == 0:
        return 0.0, 1.0
    interval = binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)
