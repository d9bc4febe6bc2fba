"""What a blind baseline is, and the two kinds of which most are made: a frequent answer, and a learned choice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from s2h.seeding import generator

P = TypeVar("P")

Guess = Callable[[P], str]
"""An answer to a puzzle, guessed from a part of what it shows."""

Baseline = Callable[[Sequence[P]], Guess[P]]
"""Learns from training puzzles, of which there is at least one, how to guess."""

Words = Callable[[P], Sequence[Iterable[Hashable]]]
"""What is said of each candidate of a puzzle; only whether two words are equal matters."""

_EPOCHS = 10
_BATCH = 100  # puzzles
_RATE = 0.1  # of a word's first step; AdaGrad's


def most_frequent(answer: Guess[P], group: Callable[[P], Hashable] = lambda puzzle: None) -> Baseline[P]:
    """Guesses the most frequent answer, or that among training puzzles of the same group.

    Args:
        answer: the right answer.
        group: what is known of a puzzle. One whose group no training puzzle has gets the most frequent answer of all.
    """

    def learn(puzzles: Sequence[P]) -> Guess[P]:
        of_all, of_group = Counter[str](), defaultdict[Hashable, Counter[str]](Counter)
        for puzzle in puzzles:
            of_all[answer(puzzle)] += 1
            of_group[group(puzzle)][answer(puzzle)] += 1
        best = {name: counted.most_common(1)[0][0] for name, counted in of_group.items()}
        frequent = of_all.most_common(1)[0][0]
        return lambda puzzle: best.get(group(puzzle), frequent)

    return learn


def learned_choice(words: Words[P], answer: Guess[P]) -> Baseline[P]:
    """Guesses the candidate that training puzzles suggest: logistic regression over words, softmax over candidates.

    Args:
        words: of each candidate of a puzzle; every puzzle has as many candidates.
        answer: the number of the right candidate, from 1.
    """

    def learn(puzzles: Sequence[P]) -> Guess[P]:
        places: dict[Hashable, int] = {}
        for puzzle in puzzles:
            for word in (word for candidate in words(puzzle) for word in candidate):
                places.setdefault(word, len(places))
        coded = [_coded(words(puzzle), places) for puzzle in puzzles]
        weights = _fit(_padded(coded, len(places)), np.array([int(answer(puzzle)) - 1 for puzzle in puzzles]))

        def guess(puzzle: P) -> str:
            scores = [weights[candidate].sum() for candidate in _coded(words(puzzle), places)]
            return str(int(np.argmax(scores)) + 1)

        return guess

    return learn


def _coded(candidates: Sequence[Iterable[Hashable]], places: dict[Hashable, int]) -> list[list[int]]:
    """The places of each candidate's words; words that no training puzzle has are left out."""
    return [[places[word] for word in candidate if word in places] for candidate in candidates]


def _padded(coded: Sequence[Sequence[Sequence[int]]], empty: int) -> NDArray[np.int64]:
    """int64[puzzle, candidate, word], filled up with ``empty``, the place of no word."""
    longest = max(len(candidate) for candidates in coded for candidate in candidates)
    filled = [[[*candidate, *[empty] * (longest - len(candidate))] for candidate in candidates] for candidates in coded]
    return np.array(filled, dtype=np.int64)


def _fit(coded: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """The weight of each word, and 0 for no word, by AdaGrad.

    Args:
        coded: int64[puzzle, candidate, word], what ``_padded`` gave.
        right: int64[puzzle], the place of the right candidate.
    """
    weights, squares = np.zeros(coded.max() + 1), np.full(coded.max() + 1, 1e-6)
    rng = generator(0, "learned choice")
    for _ in range(_EPOCHS):
        order = rng.permutation(len(right))
        for start in range(0, len(right), _BATCH):
            batch = order[start : start + _BATCH]
            scores = weights[coded[batch]].sum(-1)
            shares = np.exp(scores - scores.max(1, keepdims=True))
            shares /= shares.sum(1, keepdims=True)
            shares[np.arange(len(batch)), right[batch]] -= 1
            spread = np.repeat(shares.ravel() / len(batch), coded.shape[2])
            gradient = np.bincount(coded[batch].ravel(), spread, len(weights))
            squares += gradient**2
            weights -= _RATE * gradient / np.sqrt(squares)
    return weights
