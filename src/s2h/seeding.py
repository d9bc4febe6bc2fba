"""Seeds are keys: every random choice is a function of what it is for, never of where or when it is made."""

from __future__ import annotations

import zlib

import numpy as np


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
