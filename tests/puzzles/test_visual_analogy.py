"""Laws of Visual Analogy; labels are checked against an oracle that is written in another way."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from s2h.errors import ConfigError, DataError
from s2h.puzzles import analogy_panels as panels
from s2h.puzzles.analogy_panels import (
    ATTRIBUTES,
    DOMAINS,
    PAIRS,
    Analogy,
    Attribute,
    Panel,
    Relation,
    Thing,
    Values,
    as_values,
    listed,
)
from s2h.puzzles.drawing import panel_images as drawing
from s2h.puzzles.task import Verdict
from s2h.puzzles.visual_analogy import VisualAnalogy, VisualAnalogySettings, quadruples
from s2h.seeding import BufferedRng

HELD_OUT = {
    "AND": ["line colour", "shape colour"],
    "OR": ["shape type", "shape position"],
    "XOR": ["shape size", "shape position"],
    "Progression": ["shape type", "line colour"],
}
SIZES = {"paper": [20, 27, 34, 41], "compact": [33, 40, 47]}
LEVELS = ("SIMPLE", "HARD")
STYLES = ("paper", "compact")
DISTRACTORS = ("balanced", "paper")
both_levels = pytest.mark.parametrize("level", LEVELS)
both_styles = pytest.mark.parametrize("style", STYLES)
both_distractors = pytest.mark.parametrize("distractors", DISTRACTORS)


def settings(style: str, **changes: Any) -> VisualAnalogySettings:
    levels = {level: {"train": 10, "eval": 2} for level in LEVELS}
    fields = {"style": style, "sizes": SIZES[style], "held_out": HELD_OUT, "distractors": "balanced", "levels": levels}
    return VisualAnalogySettings.model_validate(fields | changes)


@cache
def task(style: str = "paper", distractors: str = "balanced") -> VisualAnalogy:
    return VisualAnalogy(settings(style, distractors=distractors))


def draw(seed: int, level: Any, style: str = "paper", distractors: str = "balanced") -> Analogy:
    return task(style, distractors).sample(np.random.default_rng([7, seed]), level, "train")


@cache
def many(level: str, style: str = "paper", distractors: str = "balanced", number: int = 120) -> tuple[Analogy, ...]:
    return tuple(draw(seed, level, style, distractors) for seed in range(number))


def rows(puzzle: Analogy) -> list[tuple[Panel, ...]]:
    return [*puzzle.examples, *((*puzzle.query, option) for option in puzzle.options)]


# The oracle: it looks at one value at a time (is it in the first, second, third panel?) instead of combining sets.

TRUTH = {"AND": lambda a, b: a and b, "OR": lambda a, b: a or b, "XOR": lambda a, b: a != b}


def shown(panel: Panel, attribute: str) -> list[Any]:
    field = attribute.split()[1]
    return [getattr(thing, "cell" if field == "position" else field) for thing in panel.things]


def oracle(row: Sequence[Panel]) -> set[tuple[str, str]]:
    found = set()
    for attribute in ATTRIBUTES[row[0].family]:
        if attribute == "shape quantity":
            counts = [len(panel.things) for panel in row]
            if counts in (sorted(set(counts)), sorted(set(counts), reverse=True)):
                found.add((attribute, "Progression"))
            continue
        a, b, c = (shown(panel, attribute) for panel in row)
        for relation, truth in TRUTH.items():
            if c and all(truth(v in a, v in b) == (v in c) for v in {*a, *b, *c}):
                found.add((attribute, relation))
        if progresses(attribute, a, b, c):
            found.add((attribute, "Progression"))
    return found


def progresses(attribute: str, *lists: list[Any]) -> bool:
    if attribute.endswith("type"):
        return all(set(x) <= set(y) and len(set(x)) < len(set(y)) for x, y in itertools.pairwise(lists))
    if attribute == "shape position":
        grids = [np.isin(np.arange(9).reshape(3, 3), cells) for cells in lists]
        steps = itertools.product(range(3), repeat=2)
        return any(
            any(step) and all((np.roll(x, step, (0, 1)) == y).all() for x, y in itertools.pairwise(grids))
            for step in steps
        )
    if any(len(set(values)) > 1 for values in lists):
        return False
    steps = [int(np.sign(y[0] - x[0])) for x, y in itertools.pairwise(lists)]
    return steps in ([1, 1], [-1, -1])


def test_there_are_25_combinations() -> None:
    assert len(PAIRS) == len(set(PAIRS)) == 25
    assert len(task().held_out) == 8


@both_styles
@both_levels
@both_distractors
def test_every_row_shows_exactly_one_pattern(level: str, style: str, distractors: str) -> None:
    for puzzle in many(level, style, distractors):
        labels = []
        for row in rows(puzzle):
            assert oracle(row) == set(panels.patterns(row))
            (label,) = oracle(row)
            labels.append(label)
        (relation,) = {label[1] for label in labels[:2]}
        right = [i for i, label in enumerate(labels[2:], 1) if label[1] == relation]
        assert [task(style).answer(puzzle)] == [str(i) for i in right]


@both_styles
@both_levels
@both_distractors
def test_levels_differ_in_their_combinations(level: str, style: str, distractors: str) -> None:
    held_out = set(task(style).held_out)
    for puzzle in many(level, style, distractors):
        labels = [panels.patterns(row)[0] for row in rows(puzzle)]
        query = labels[1 + int(task(style).answer(puzzle))]
        if level == "SIMPLE":
            assert labels[0] == labels[1] == query
            assert not held_out & set(labels)
        else:
            assert {label[0] for label in labels[:2]} == set(HELD_OUT[query[1]])
            assert query in labels[:2]
            assert {*labels[:2]} <= held_out


@both_styles
@both_levels
def test_balanced_options_have_all_four_relations_each_fit_to_be_right(level: str, style: str) -> None:
    fit = set(task(style).simple if level == "SIMPLE" else task(style).held_out)
    for puzzle in many(level, style):
        options = panels.read(puzzle).options
        assert {relation for _, relation in options} == set(panels.RELATIONS)
        assert set(options) <= fit


def test_the_papers_wrong_options_of_hard_puzzles_are_not_all_held_out() -> None:
    held_out = set(task().held_out)
    assert not all(set(panels.read(puzzle).options) <= held_out for puzzle in many("HARD", distractors="paper"))


@pytest.mark.parametrize(
    ("level", "distractors", "combinations"),
    [("SIMPLE", "balanced", 17), ("SIMPLE", "paper", 17), ("HARD", "balanced", 6), ("HARD", "paper", 8)],
)
def test_combinations_answers_and_directions_are_spread(level: str, distractors: str, combinations: int) -> None:
    """Lines are held out for two relations alone, so that no balanced HARD query shows lines."""
    readings = [panels.read(puzzle) for puzzle in many(level, "paper", distractors, 400)]
    assert len({reading.options[reading.answer - 1] for reading in readings}) == combinations
    answers = Counter(reading.answer for reading in readings)
    assert set(answers) == {1, 2, 3, 4}
    assert max(answers.values()) < 140


@both_levels
def test_each_relation_is_right_as_often(level: str) -> None:
    relations = Counter(panels.read(puzzle).relation for puzzle in many(level, "paper", "balanced", 400))
    assert all(75 <= relations[relation] <= 125 for relation in panels.RELATIONS)


def test_every_four_combinations_that_fit_one_query_are_found() -> None:
    """Whatever is held out, also what is not in any shipped config."""
    draws, compact = BufferedRng(np.random.default_rng(5)), task("compact")
    every = [each for group in quadruples(PAIRS) for each in group]
    assert len(every) > 200
    for pairs in every:
        assert any(compact._joint_query(draws, pairs) for _ in range(200)), pairs


def test_position_moves_in_all_directions_equally_often() -> None:
    draws = BufferedRng(np.random.default_rng(3))
    found: Counter[int] = Counter()
    for _ in range(150):
        row = task()._example(draws, ("shape position", "Progression"))
        first, second, _ = (set(listed("shape position", panel.values("shape position"))) for panel in row)
        moves = [
            any({panels.shifted(int(c), step) for c in first} == second for step in steps)
            for steps in panels.DIRECTIONS
        ]
        found[moves.index(True)] += 1
    assert all(30 <= found[direction] <= 70 for direction in range(3))


def test_counts_of_shapes_may_equal_the_number_of_values() -> None:
    rows_of_or = [p.examples[0] for p in many("SIMPLE") if panels.patterns(p.examples[0]) == (("shape colour", "OR"),)]
    surplus = {len(row[2].things) - row[2].values("shape colour").bit_count() for row in rows_of_or}
    assert 0 in surplus
    assert max(surplus) > 0


@both_styles
@both_levels
def test_panels_are_well_formed(level: str, style: str) -> None:
    domains = task(style).domains
    for panel in {panel for puzzle in many(level, style) for row in rows(puzzle) for panel in row}:
        assert panel.things
        for attribute in ATTRIBUTES[panel.family]:
            assert set(listed(attribute, panel.values(attribute))) <= set(domains[attribute])
        assert panel.all_values() == tuple(panel.values(attribute) for attribute in ATTRIBUTES[panel.family])
        keys = [thing.type if panel.family == "lines" else thing.cell for thing in panel.things]
        assert len(set(keys)) == len(keys)
        if panel.family == "shapes":
            assert keys == sorted(keys)
            assert len(keys) <= panels.MOST_SHAPES


@given(st.sampled_from(PAIRS), st.data())
def test_completions_fit_and_follow_nothing_else(pair: tuple[Attribute, Relation], data: st.DataObject) -> None:
    attribute = pair[0]
    number = len(DOMAINS[attribute])
    sets = st.sets(st.integers(0, number - 1), min_size=1, max_size=4).map(lambda bits: sum(1 << bit for bit in bits))
    first, second = data.draw(sets), data.draw(sets)
    for third in panels.completions(pair, first, second, (1 << number) - 1):
        assert panels.followed(attribute, first, second, third) == [pair[1]]


@given(st.sampled_from(list(DOMAINS)), st.data())
def test_sets_of_values_are_listed_in_order(attribute: Attribute, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(DOMAINS[attribute])))
    values: Values = as_values(attribute, chosen)
    assert listed(attribute, values) == tuple(value for value in DOMAINS[attribute] if value in chosen)


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(LEVELS), st.sampled_from(STYLES))
def test_same_seed_same_puzzle_and_bytes(seed: int, level: str, style: str) -> None:
    one, two = draw(seed, level, style), draw(seed, level, style)
    assert one == two
    assert task(style).render(one) == task(style).render(two)
    assert task(style).from_json(task(style).to_json(one)) == one


@both_styles
@both_levels
def test_gold_prediction_is_right(level: str, style: str) -> None:
    for puzzle in many(level, style)[:50]:
        one = task(style)
        gold = f"{one.chain_of_thought(puzzle)}\n\n{one.answer_block(puzzle)}"
        assert one.judge(puzzle, gold) == Verdict(True, one.answer(puzzle), True)
        assert gold.rstrip().split("\n")[-1] == f"Answer: {one.answer(puzzle)}"


def test_the_option_number_alone_decides() -> None:
    puzzle = many("HARD")[0]
    right = task().answer(puzzle)
    gold = f"{task().chain_of_thought(puzzle)}\n\n{task().answer_block(puzzle)}"
    assert task().judge(puzzle, gold.replace("Option 1: (", "Option 1: (the ")).correct
    for prediction in (f"Answer: {right}", f"Answer:  {right}.", f"Answer: Option {right}", f"Answer:\n({right})"):
        assert task().judge(puzzle, prediction).correct
    for wrong in {"1", "2", "3", "4"} - {right}:
        prediction = gold.replace(f"Answer: {right}", f"Answer: {wrong}")
        assert task().judge(puzzle, prediction) == Verdict(True, wrong, False)


@pytest.mark.parametrize(
    "prediction",
    ["", "Answer:", "Answer: 0", "Answer: 5", "Answer: 12", "Answer: one", "Answer: ²", "Answer: ١",
     "Answer: __import__", "Answer: 1 2", "\x00", "Answer: " + "9" * 100_000, "Answer: 1" + " " * 100_000 + "x",
     "Answer:" * 50_000],
)  # fmt: skip
def test_hostile_predictions_are_not_parsed(prediction: str) -> None:
    assert task().judge(many("SIMPLE")[0], prediction) == Verdict(False, "", False)


@given(st.text())
def test_any_prediction_is_judged(prediction: str) -> None:
    task().judge(many("SIMPLE")[0], prediction)
    task().judge(many("SIMPLE")[0], f"Answer: {prediction}")


@both_levels
def test_compact_vocabulary_is_closed_and_used(level: str) -> None:
    one, used = task("compact"), set()
    for puzzle in many(level, "compact"):
        for text in (
            one.to_text(puzzle),
            one.question(puzzle, "text"),
            one.chain_of_thought(puzzle),
            one.answer_block(puzzle),
        ):
            used |= set(text.split())
            assert not {"\t", "  "} & {text[i : i + n] for n in (1, 2) for i in range(len(text))}
    known = one.vocabulary()
    assert used <= known
    names, values = zip(*(word.split(":") for word in used if ":" in word[:-1]), strict=True)
    assert set(names) == {"e1a", "e1b", "e1c", "e2a", "e2b", "e2c", "qa", "qb", "o1", "o2", "o3", "o4"}
    every = {f"{name}:{value}" for name in names for value in values}
    assert len(every) == 12 * (10 + 5 + 5 + 3 + 5 + 9)  # colours of lines are colours of shapes
    assert len(known - used - every) < 5  # not every panel shows every value among these puzzles


@both_levels
def test_compact_texts_and_chains_are_short(level: str) -> None:
    one = task("compact")
    lengths = [
        [len(text.split()) for text in (one.to_text(p), one.chain_of_thought(p))] for p in many(level, "compact")
    ]
    assert (np.mean(lengths, axis=0) < (120, 120)).all()
    assert (np.max(lengths, axis=0) < (150, 200)).all()


@both_levels
def test_compact_chains_quote_the_text_up_to_each_pattern(level: str) -> None:
    """Read line by line: an attribute, all that panels show of it, and what the values of a row follow."""
    one = task("compact")
    for puzzle in many(level, "compact")[:30]:
        shown = one.to_text(puzzle).split()
        found: dict[str, tuple[str, str]] = {}
        examples, options = one.chain_of_thought(puzzle).split("\nrelation ")
        shared, *more = options.split("\n")
        for line in [*examples.split("\n"), *more]:
            label, *words = line.split()
            attribute = label.replace("-", " ")
            quoted = [word for word in words if ":" in word]
            panels_quoted = {word.partition(":")[0] for word in quoted}
            assert quoted == [word for word in shown if word in quoted]
            for name in panels_quoted:
                count = sum(word.startswith(f"{name}:") for word in quoted)
                assert count == values_of(puzzle, name, attribute)
            for before, verdict in itertools.pairwise(words):
                if verdict in ("none", *HELD_OUT):
                    row = before.partition(":")[0] if before.startswith("o") else before[:2]
                    assert row not in found  # nothing is said of a row whose pattern is known
                    found |= {} if verdict == "none" else {row: (attribute, verdict)}
        labels = [panels.patterns(row)[0] for row in rows(puzzle)]
        assert [found[row] for row in ("e1", "e2", "o1", "o2", "o3", "o4")] == labels
        assert shared == labels[0][1]


def values_of(puzzle: Analogy, name: str, attribute: Any) -> int:
    """How many values of an attribute the panel of that name shows."""
    named = {
        f"e{i}{letter}": panel
        for i, row in enumerate(puzzle.examples, 1)
        for letter, panel in zip("abc", row, strict=True)
    }
    named |= {"qa": puzzle.query[0], "qb": puzzle.query[1], **{f"o{i}": p for i, p in enumerate(puzzle.options, 1)}}
    return named[name].values(attribute).bit_count()


@pytest.mark.parametrize(("style", "size"), [("paper", (800, 900)), ("compact", (128, 128))])
def test_image_size(style: str, size: tuple[int, int]) -> None:
    image = Image.open(io.BytesIO(task(style).render(many("HARD", style)[0])))
    assert image.size == size


PAGES = {"paper": drawing.PAPER_PAGE, "compact": drawing.COMPACT_PAGE}


def drawn_alone(page: drawing.Page, panel: Panel) -> bytes:
    canvas = np.full(page.size[::-1], 15, dtype=np.uint8)
    drawing.draw_panel(canvas, page, panel, page.rows[0])
    return canvas.tobytes()


@both_styles
def test_every_object_is_drawn_differently(style: str) -> None:
    shapes = itertools.product(panels.SHAPE_TYPES, panels.SHAPE_COLOURS, SIZES[style], range(9))
    lines = itertools.product(panels.LINE_TYPES, panels.LINE_COLOURS)
    drawn = [drawn_alone(PAGES[style], Panel("shapes", (Thing(*shape),))) for shape in shapes]
    drawn += [drawn_alone(PAGES[style], Panel("lines", (Thing(*line),))) for line in lines]
    assert len(set(drawn)) == len(drawn)


@both_styles
def test_shapes_keep_their_grey_level(style: str) -> None:
    for colour, size in itertools.product(panels.SHAPE_COLOURS, SIZES[style]):
        for kind in panels.SHAPE_TYPES:
            sprite = drawing._LEVELS[drawing._shape(PAGES[style], kind, colour, size)]
            assert colour in sprite, f"a {kind} of size {size} hides its grey level {colour}"


@both_styles
def test_shapes_are_symmetric(style: str) -> None:
    for kind, size in itertools.product(panels.SHAPE_TYPES, SIZES[style]):
        sprite = drawing._LEVELS[drawing._shape(PAGES[style], kind, 135, size)]
        assert np.abs(sprite - sprite[:, ::-1]).max() <= 60, (kind, size)


@both_styles
def test_text_has_a_line_for_each_panel(style: str) -> None:
    puzzle = many("SIMPLE", style)[0]
    one = task(style)
    lines = one.to_text(puzzle).split("\n")
    shown_panels = [line for line in lines if "shape" in line or "lines" in line or one.compact]
    assert len(shown_panels) == 12
    for other in many("SIMPLE", style)[1:]:
        assert one.to_text(other) != one.to_text(puzzle)
    assert one.question(puzzle, "image")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": [20, 27]}, "3 to"),
        ({"sizes": [27, 20, 34]}, "rising"),
        ({"sizes": [20, 30, 60]}, "from 10 to 47"),
        ({"held_out": HELD_OUT | {"AND": ["shape quantity", "shape size"]}}, "held_out.AND"),
        ({"held_out": HELD_OUT | {"OR": ["shape size", "shape size"]}}, "held_out.OR"),
        ({"held_out": {"AND": HELD_OUT["AND"]}}, "held_out.OR"),
        ({"levels": {"MEDIUM": {"train": 1, "eval": 1}}}, "MEDIUM"),
        ({"held_out": HELD_OUT | {"OR": ["line type", "line colour"]}}, "HARD puzzles no four options"),
        ({"held_out": HELD_OUT | {"Progression": ["shape colour", "line type"]}}, "HARD puzzles no four options"),
        ({"distractors": "other"}, "distractors"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings("paper", **changes)


def test_the_papers_distractors_allow_any_combinations() -> None:
    settings("paper", held_out=HELD_OUT | {"OR": ["line type", "line colour"]}, distractors="paper")


@both_styles
@both_levels
def test_a_twin_has_the_same_question_and_another_answer(level: Any, style: str) -> None:
    one, found = task(style), Counter[bool]()
    for puzzle in many(level, style):
        twin = one.twin(np.random.default_rng(3), puzzle, level)
        assert (twin.query, twin.options) == (puzzle.query, puzzle.options)
        assert one.answer(twin) != one.answer(puzzle)
        labels = {panels.patterns(example)[0] for example in twin.examples}
        target = panels.read(twin).options[int(one.answer(twin)) - 1]
        held_out = {(attribute, target[1]) for attribute in HELD_OUT[target[1]]}
        assert labels == ({target} if level == "SIMPLE" else held_out)
        found[target[1] == "Progression"] += 1
    assert all(found.values())


def test_unknown_level() -> None:
    with pytest.raises(ConfigError, match="MEDIUM"):
        draw(0, "MEDIUM")


def test_a_puzzle_without_one_answer_is_refused() -> None:
    puzzle = many("SIMPLE")[0]
    broken = Analogy(puzzle.examples, puzzle.query, (puzzle.options[0],) * 4)
    with pytest.raises(DataError, match="no analogy"):
        task().answer(broken)
