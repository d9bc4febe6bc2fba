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

import numpy as np
import pytest

from s2h.baselines.analogy_baselines import analogy_baselines
from s2h.puzzles.analogy_panels import PAIRS, RELATIONS, Analogy, read
from s2h.puzzles.shards import PuzzleSet, draw_puzzle
from s2h.puzzles.task_registry import make_task
from tests.contracts.settings import shipped_task, task_settings

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


LEARNED_FROM, GUESSED = 800, 1600
"""Chance is 25 %, give or take 1.1 points on 1,600 puzzles."""


def guess_rates(style: str, level: Any, distractors: str) -> dict[str, float]:
    """How often each baseline is right on new puzzles of a task as it is shipped but for its distractors."""
    values = task_settings("visual_analogy", style) | {"distractors": distractors}
    task: Any = make_task("visual_analogy", values)
    rngs = (np.random.default_rng([11, index]) for index in range(LEARNED_FROM + GUESSED))
    drawn = [task.sample(rng, level, "train") for rng in rngs]
    new, learned = drawn[LEARNED_FROM:], drawn[:LEARNED_FROM]
    guesses = {name: learn(learned) for name, learn in analogy_baselines(task).items()}
    return {name: sum(guess(each) == task.answer(each) for each in new) / GUESSED for name, guess in guesses.items()}


@pytest.mark.parametrize("style", ["compact", "paper"])
@pytest.mark.parametrize("level", ["SIMPLE", "HARD"])
def test_query_and_options_do_not_tell_the_answer(style: str, level: str) -> None:
    for name, rate in guess_rates(style, level, "balanced").items():
        assert rate == pytest.approx(0.25, abs=0.05), name


def test_the_papers_query_and_options_tell_it_often() -> None:
    rates = guess_rates("compact", "HARD", "paper")
    assert rates["options"] > 0.5
    assert rates["query and options"] > 0.8
    assert rates["query and options, by rule"] > 0.8
