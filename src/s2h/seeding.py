"""Seeds are keys: every random choice is a function of what it is for, never of where or when it is made."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def generator(seed: int, *key: str | int) -> np.random.Generator:
    """A random generator for ``key``, the same on every machine, process and Python hash seed.

    Args:
        seed: the seed of the study, 0 or larger.
        key: what the generator is for, e.g. ``("puzzle", task, level, split, index)``. Words enter through CRC-32,
            whole numbers (0 or larger) as they are; numpy's SeedSequence mixes them, so neighbouring indexes give
            independent streams (``seed + index`` would not: neighbouring seeds share puzzles between sets). The
            number of parts enters too, since SeedSequence takes a missing part for a zero.
    """
    words = [part if isinstance(part, int) else zlib.crc32(part.encode()) for part in key]
    return np.random.default_rng([seed, len(words), *words])


class BufferedRng:
    """Many small draws from a generator, several times as fast as one by one.

    It reads the generator in blocks, so nothing else should draw from it afterwards.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.random = chain.from_iterable(iter(lambda: rng.random(256).tolist(), None)).__next__
        """The next number, uniform from 0 to below 1."""

    def randrange(self, number: int) -> int:
        """A whole number from 0 to ``number - 1``."""
        return int(self.random() * number)

    def randint(self, least: int, most: int) -> int:
        """A whole number from ``least`` to ``most``."""
        return least + int(self.random() * (most + 1 - least))

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self.random() * len(items))]

    def sample(self, items: Sequence[T], count: int | None = None) -> list[T]:
        """The items in random order, or ``count`` different ones of them."""
        rest = list(items)
        size = len(rest)
        for i in range(size if count is None else count):
            j = i + int(self.random() * (size - i))
            rest[i], rest[j] = rest[j], rest[i]
        return rest[:count]
