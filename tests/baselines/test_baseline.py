"""The kinds of baselines learn what there is to learn, and nothing else."""

from __future__ import annotations

import numpy as np

from s2h.baselines.baseline import learned_choice, most_frequent


def test_the_most_frequent_answer_is_that_of_the_group() -> None:
    words = ["a1", "a1", "a2", "b2", "b2", "b3"]
    of_all, of_group = most_frequent(lambda word: word[1]), most_frequent(lambda word: word[1], lambda word: word[0])
    assert {of_all(words)(word) for word in words} == {"2"}
    guess = of_group(words)
    assert (guess("a9"), guess("b9"), guess("c9")) == ("1", "2", "2")


def puzzles(number: int, seed: int) -> list[tuple[int, ...]]:
    """Four different numbers from 0 to 9."""
    rng = np.random.default_rng(seed)
    return [tuple(rng.permutation(10)[:4].tolist()) for _ in range(number)]


def right_share(cue: int) -> float:
    """How often a learned choice is right on new puzzles, in which the number that is largest mod ``cue`` is right."""

    def answer(puzzle: tuple[int, ...]) -> str:
        return str(max(range(4), key=lambda place: (puzzle[place] % cue, hash_of(puzzle, place))) + 1)

    guess = learned_choice(lambda puzzle: [[("is", number)] for number in puzzle], answer)(puzzles(1000, 0))
    new = puzzles(1000, 1)
    return sum(guess(puzzle) == answer(puzzle) for puzzle in new) / len(new)


def hash_of(puzzle: tuple[int, ...], place: int) -> int:
    """What no word tells."""
    return int(np.random.default_rng([*puzzle, place]).integers(10**9))


def test_a_choice_is_learned_from_a_cue_and_guessed_without_one() -> None:
    assert right_share(cue=10) > 0.95
    assert 0.2 < right_share(cue=1) < 0.3


def test_words_that_were_never_seen_say_nothing() -> None:
    guess = learned_choice(lambda puzzle: [[word] for word in puzzle], lambda puzzle: str(puzzle.index("yes") + 1))(
        [("no", "yes"), ("yes", "no")] * 20
    )
    assert (guess(("other", "yes")), guess(("yes", "never"))) == ("2", "1")
    assert guess(("new", "newer")) == "1"
