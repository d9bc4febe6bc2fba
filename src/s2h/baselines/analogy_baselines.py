"""The blind baselines of Visual Analogy, which guess the option without looking at the examples."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TypeVar

from s2h.baselines.baseline import Baseline, learned_choice
from s2h.puzzles.analogy_panels import ATTRIBUTES, Analogy, Values, read
from s2h.puzzles.visual_analogy import VisualAnalogy

T = TypeVar("T")


def analogy_baselines(task: VisualAnalogy) -> dict[str, Baseline[Analogy]]:
    """What training puzzles teach of the options alone and with the query, and a rule on both.

    The rule finds the right option of most of the paper's HARD puzzles: there it is always a combination that is held
    out, while wrong options may be any, but never of its relation. So it takes an option that is held out, if possible
    one whose relation no other option has, and among these a progression.
    """

    def rule(puzzle: Analogy) -> str:
        pairs = read(puzzle).options
        relations = [relation for _, relation in pairs]
        ranked = [
            (pair not in task.held_out, relations.count(pair[1]) > 1, pair[1] != "Progression", number)
            for number, pair in enumerate(pairs, 1)
        ]
        return str(min(ranked)[-1])

    return {
        "options": learned_choice(_words_of_options, task.answer),
        "query and options": learned_choice(_words_of_both, task.answer),
        "query and options, by rule": lambda puzzles: rule,
    }


def _words_of_options(puzzle: Analogy) -> list[list[Hashable]]:
    """Of each option its values, alone and beside those of the other options."""
    names, options = ATTRIBUTES[puzzle.options[0].family], [panel.all_values() for panel in puzzle.options]
    return [
        [
            word
            for name, own, *others in zip(names, option, *rest, strict=True)
            for word in _words_of_values(name, own, others)
        ]
        for option, rest in _each_and_others(options)
    ]


def _words_of_values(name: str, own: Values, others: Sequence[Values]) -> list[Hashable]:
    """What is said of an option's values of one attribute."""
    single = [(name, "holds", value) for value in range(own.bit_length()) if own >> value & 1]
    sizes = tuple(sorted(other.bit_count() for other in others))
    overlaps = tuple(sorted((own | other == own, own | other == other, own & other > 0) for other in others))
    return [*single, (name, "is", own), (name, "sizes", own.bit_count(), sizes), (name, "overlaps", overlaps)]


def _words_of_both(puzzle: Analogy) -> list[list[Hashable]]:
    """The same, and to which combination each option completes the query, alone and beside the other options."""
    found = []
    for words, (pair, rest) in zip(_words_of_options(puzzle), _each_and_others(read(puzzle).options), strict=True):
        same = sum(relation == pair[1] for _, relation in rest)
        found.append([*words, pair, (pair, same), *((pair, other) for other in rest)])
    return found


def _each_and_others(items: Sequence[T]) -> Iterator[tuple[T, list[T]]]:
    for number, item in enumerate(items):
        yield item, [*items[:number], *items[number + 1 :]]
