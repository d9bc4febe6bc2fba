import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2h.seeding import generator

KEY = ("puzzle", "table_readout", "SIMPLE", "train", 7)


def _draws(seed: int, *key: str | int) -> list[int]:
    return [int(v) for v in generator(seed, *key).integers(0, 2**62, 4)]


def test_the_same_key_gives_the_same_stream() -> None:
    assert _draws(1, *KEY) == _draws(1, *KEY)


def test_a_stream_does_not_depend_on_the_hash_seed() -> None:
    code = f"from s2h.seeding import generator; print(generator(1, *{KEY!r}).integers(0, 2**62, 4).tolist())"
    for hash_seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == str(_draws(1, *KEY))


@pytest.mark.parametrize("part", range(len(KEY)))
def test_every_part_of_the_key_matters(part: int) -> None:
    other = [*KEY]
    other[part] = 8 if isinstance(KEY[part], int) else "other"
    assert _draws(1, *other) != _draws(1, *KEY)


def test_a_longer_key_is_another_key_even_if_it_ends_in_zeros() -> None:
    assert len({tuple(_draws(1, "puzzle", *[0] * zeros)) for zeros in range(8)}) == 8


def test_neighbouring_seeds_and_indexes_share_no_draws() -> None:
    streams = {tuple(_draws(seed, "puzzle", index)) for seed in range(50) for index in range(50)}
    assert len(streams) == 50 * 50


@given(st.integers(0, 2**32 - 1), st.lists(st.one_of(st.integers(0, 2**40), st.text(max_size=20)), max_size=4))
def test_any_key_of_words_and_numbers_makes_a_generator(seed: int, key: list[str | int]) -> None:
    assert isinstance(generator(seed, *key), np.random.Generator)
    assert _draws(seed, *key) == _draws(seed, *key)


def test_streams_never_change() -> None:
    """Puzzles that were published are functions of these numbers."""
    assert _draws(1, *KEY) == [539527261118612433, 542773312662971114, 2295399155844297095, 998357983765702009]
