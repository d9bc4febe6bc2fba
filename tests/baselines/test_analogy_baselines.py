"""The baselines of Visual Analogy find what the options and the query give away, and nothing where they do not.

Puzzles are the shipped ones, with another answer: one that a part of the puzzle gives away, or none.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from s2h.baselines.analogy_baselines import analogy_baselines
from s2h.puzzles.analogy_panels import PAIRS, RELATIONS, Analogy, read
from s2h.puzzles.shards import PuzzleSet, draw_puzzle
from tests.contracts.settings import shipped_task

TASK: Any = shipped_task("visual_analogy", "compact")


@cache
def puzzles(split: Any, number: int) -> list[Analogy]:
    return [draw_puzzle(TASK, PuzzleSet(0, "HARD", split), index)[0] for index in range(number)]


def right_share(name: str, answer: Callable[[Analogy], str]) -> float:
    """How often a baseline gives an answer to new puzzles after it has learned it from 1,000."""
    guess = analogy_baselines(SimpleNamespace(answer=answer, held_out=TASK.held_out))[name](puzzles("train", 1000))  # type: ignore[arg-type]
    return sum(guess(puzzle) == answer(puzzle) for puzzle in puzzles("eval", 200)) / 200


def by_label(puzzle: Analogy) -> str:
    """Given away by the query with the options: the combination that is first in a list."""
    pairs = read(puzzle).options
    return str(pairs.index(min(pairs, key=PAIRS.index)) + 1)


def by_values(puzzle: Analogy) -> str:
    """Given away by the options alone: the one with the most values in all."""
    counts = [sum(values.bit_count() for values in panel.all_values()) for panel in puzzle.options]
    return str(counts.index(max(counts)) + 1)


def by_chance(puzzle: Analogy) -> str:
    """Given away by nothing."""
    return str(zlib.crc32(TASK.to_text(puzzle).encode()) % 4 + 1)


@pytest.mark.parametrize(
    ("name", "answer", "least", "most"),
    [
        ("options", by_values, 0.8, 1),
        ("query and options", by_label, 0.9, 1),
        ("options", by_chance, 0.15, 0.35),
        ("query and options", by_chance, 0.15, 0.35),
    ],
)
def test_what_is_given_away_is_learned(name: str, answer: Any, least: float, most: float) -> None:
    assert least <= right_share(name, answer) <= most


def test_the_examples_are_not_looked_at() -> None:
    learned = {name: learn(puzzles("train", 100)) for name, learn in analogy_baselines(TASK).items()}
    for puzzle in puzzles("eval", 20):
        other = next(each for each in puzzles("train", 100) if read(each).relation == read(puzzle).relation)
        changed = dataclasses.replace(puzzle, examples=other.examples)
        assert all(guess(changed) == guess(puzzle) for guess in learned.values())


def test_the_rule_takes_what_is_held_out_alone_of_its_relation_and_a_progression() -> None:
    rule = analogy_baselines(TASK)["query and options, by rule"]([])
    for puzzle in puzzles("eval", 200):
        pairs = read(puzzle).options
        chosen = pairs[int(rule(puzzle)) - 1]
        held_out = [pair for pair in pairs if pair in TASK.held_out]
        alone = [pair for pair in held_out if sum(other[1] == pair[1] for other in pairs) == 1]
        assert chosen in (alone or held_out or pairs)
        if any(pair[1] == RELATIONS[-1] for pair in alone):
            assert chosen[1] == "Progression"
