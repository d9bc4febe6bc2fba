"""Every puzzle passes its checker, and the checker alone, without the generator, finds whatever is made wrong."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from s2h.puzzles.analogy_panels import SHAPE_COLOURS, Analogy
from s2h.puzzles.grid_navigation import OBSTACLES, Grid
from s2h.puzzles.record import Record
from s2h.puzzles.shards import PuzzleSet, make_record
from s2h.puzzles.table_task import Table
from s2h.puzzles.task_registry import make_task
from s2h.seeding import generator
from s2h.validation.checker import Checker, Mismatch
from s2h.validation.checker_registry import CHECKERS, find_checker
from s2h.validation.checks import check_record
from tests.contracts.settings import CASES, SCENE_CASES, shipped_task, task_settings

CHECKED = [case for case in CASES if case[0] in CHECKERS]


def record_of(name: str, style: str, level: Any, seed: int = 0, split: Any = "train") -> dict[str, Any]:
    made: Record = make_record(shipped_task(name, style), PuzzleSet(seed, level, split), 0)
    return dataclasses.asdict(made)


def checker_of(name: str, style: str) -> Checker:
    checker = find_checker(shipped_task(name, style))
    assert checker is not None
    return checker


def refuses(checker: Checker, record: dict[str, Any]) -> bool:
    """Whether the checker alone finds something; damaged text may break its parser, which counts as found."""
    try:
        checker.check(record)
    except Exception:
        return True
    return False


@pytest.mark.parametrize(("name", "style", "level"), CASES)
@hypothesis_settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), split=st.sampled_from(["train", "eval"]))
def test_every_puzzle_passes(name: str, style: str, level: Any, seed: int, split: Any) -> None:
    task = shipped_task(name, style)
    found = check_record(
        task, find_checker(task), PuzzleSet(seed, level, split), 0, record_of(name, style, level, seed, split)
    )
    assert found is None, found


@pytest.mark.parametrize(("name", "style"), SCENE_CASES)
@hypothesis_settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_scene_passes(name: str, style: str, seed: int) -> None:
    task, record = shipped_task(name, style), record_of(name, style, "SCENES", seed)
    found = check_record(task, find_checker(task), PuzzleSet(seed, "SCENES", "train"), 0, record)
    assert found is None, found


def test_a_checker_that_does_not_know_scenes_lets_none_pass() -> None:
    class NoScenes(Checker):
        def check(self, record: Any) -> None:
            """Find nothing."""

    task, record = shipped_task("grid_navigation", "compact"), record_of("grid_navigation", "compact", "SCENES")
    found = check_record(task, NoScenes(task.settings), PuzzleSet(0, "SCENES", "train"), 0, record)
    assert "NoScenes cannot check scenes" in str(found)


@pytest.mark.parametrize(("name", "style", "level"), CHECKED)
@pytest.mark.parametrize("column", ["text", "text_question", "reasoning", "answer_block", "answer", "image"])
def test_a_column_of_another_puzzle_is_found(name: str, style: str, level: str, column: str) -> None:
    checker, record = checker_of(name, style), record_of(name, style, level)
    others = (record_of(name, style, level, seed) for seed in range(1, 20))
    other = next((each for each in others if each[column] != record[column]), None)
    if other is None:  # grids and analogies ask every puzzle the same question
        assert column == "text_question"
        return
    assert refuses(checker, record | {column: other[column]})


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_without_a_checker_a_wrong_answer_and_another_chain_are_still_found(name: str, style: str, level: Any) -> None:
    task, which, record = shipped_task(name, style), PuzzleSet(0, level, "train"), record_of(name, style, level)
    assert check_record(task, None, which, 0, record) is None
    others = (record_of(name, style, level, seed) for seed in range(1, 20))
    other = next(each for each in others if each["answer"] != record["answer"])
    for column, kind in (("reasoning", "reasoning"), ("answer_block", "answer")):
        found = check_record(task, None, which, 0, record | {column: other[column]})
        assert found is not None
        assert found.kind == kind


@pytest.mark.parametrize(("name", "style", "level"), CHECKED)
def test_a_chain_without_one_of_its_lines_is_found(name: str, style: str, level: str) -> None:
    checker, record = checker_of(name, style), record_of(name, style, level)
    lines = record["reasoning"].split("\n")
    for i in range(1 if style == "paper" else 0, len(lines)):  # the paper's first line only says what will be done
        shorter = "\n".join([*lines[:i], *lines[i + 1 :]])
        assert refuses(checker, record | {"reasoning": shorter}), lines[i]


@pytest.mark.parametrize(("name", "style", "level"), CHECKED)
def test_a_chain_with_one_word_changed_is_found(name: str, style: str, level: str) -> None:
    checker, chance = checker_of(name, style), random.Random(0)
    for seed in range(3):
        record = record_of(name, style, level, seed)
        first, _, rest = record["reasoning"].partition("\n") if style == "paper" else ("", "", record["reasoning"])
        lines = rest.split("\n")
        words = sorted({word for line in lines[1:] for word in line.split()})
        for _ in range(20):
            at = chance.choice([i for i, line in enumerate(lines) if line.strip() and "row index" not in line])
            line = lines[at].split(" ") if "\t" not in lines[at] else lines[at].split("\t")
            place = chance.randrange(len(line))
            changed = [*line[:place], chance.choice([w for w in words if w != line[place]]), *line[place + 1 :]]
            joined = ("\t" if "\t" in lines[at] else " ").join(changed)
            chain = "\n".join([*([first] if first else []), *lines[:at], joined, *lines[at + 1 :]])
            if sorted(joined) != sorted(lines[at]):
                assert refuses(checker, record | {"reasoning": chain}), joined


@pytest.mark.parametrize("level", ["SIMPLE", "HARD"])
@pytest.mark.parametrize("chain", ["template", "order", "value"])
def test_alternative_chains_are_followed_too(level: str, chain: str) -> None:
    checker, record = checker_of("visual_analogy", "paper"), record_of("visual_analogy", "paper", level)
    for i in range(1, 8):
        alternatives = [dict(each) for each in record["alternatives"]]
        wrong = next(each for each in alternatives if each["name"] == chain)
        lines = wrong["reasoning"].split("\n")
        wrong["reasoning"] = "\n".join([*lines[:i], *lines[i + 1 :]])
        assert refuses(checker, record | {"alternatives": alternatives})


def one_value(puzzle: Table) -> Table:
    """The first value is one more."""
    first, *rest = puzzle.values
    return dataclasses.replace(puzzle, values=(((first[0] + 1) % 10, *first[1:]), *rest))


def one_highlight(puzzle: Table) -> Table:
    """The last cell is not highlighted."""
    return dataclasses.replace(puzzle, path=puzzle.path[:-1])


def one_name(puzzle: Table) -> Table:
    """The first two columns change places."""
    one, two, *rest = puzzle.column_names
    return dataclasses.replace(puzzle, column_names=(two, one, *rest))


def one_obstacle(puzzle: Grid) -> Grid:
    """The first obstacle is of another kind."""
    cells = [list(row) for row in puzzle.cells]
    row, column = next((r, c) for r, line in enumerate(cells) for c, word in enumerate(line) if word in OBSTACLES)
    cells[row][column] = next(kind for kind in OBSTACLES if kind != cells[row][column])
    return Grid(tuple(tuple(line) for line in cells))


def one_empty_cell(puzzle: Grid) -> Grid:
    """The first obstacle is gone."""
    cells = [list(row) for row in puzzle.cells]
    row, column = next((r, c) for r, line in enumerate(cells) for c, word in enumerate(line) if word in OBSTACLES)
    cells[row][column] = "O"
    return Grid(tuple(tuple(line) for line in cells))


def one_colour(puzzle: Analogy) -> Analogy:
    """The first object of the last option has another colour."""
    *options, last = puzzle.options
    colour = next(grey for grey in SHAPE_COLOURS[:4] if grey != last.things[0].colour)
    things = (dataclasses.replace(last.things[0], colour=colour), *last.things[1:])
    return dataclasses.replace(puzzle, options=(*options, dataclasses.replace(last, things=things)))


def one_object(puzzle: Analogy) -> Analogy:
    """The first object of the first panel is gone."""
    (first, *row), second = puzzle.examples
    fewer = dataclasses.replace(first, things=first.things[1:])
    return dataclasses.replace(puzzle, examples=((fewer, *row), second))


CHANGES: dict[str, list[Callable[[Any], Any]]] = {
    "consecutive_table_readout": [one_value, one_highlight, one_name],
    "table_readout": [one_value, one_highlight, one_name],
    "grid_navigation": [one_obstacle, one_empty_cell],
    "visual_analogy": [one_colour, one_object],
}


@pytest.mark.parametrize(("name", "style", "level"), [case for case in CHECKED if case[0] in CHANGES])
def test_an_image_that_differs_in_one_thing_is_found(name: str, style: str, level: str) -> None:
    task, checker = shipped_task(name, style), checker_of(name, style)
    for seed in range(3):
        record = record_of(name, style, level, seed)
        puzzle = task.from_json(record["puzzle"])
        for change in CHANGES[name]:
            image = {"bytes": task.render(change(puzzle)), "path": ""}
            with pytest.raises(Mismatch) as found:
                checker.check(record | {"image": image})
            assert found.value.kind == "image"


@pytest.mark.parametrize("level", ["SIMPLE", "HARD"])
def test_an_analogy_whose_distractors_are_not_balanced_is_found(level: Any) -> None:
    task, which = shipped_task("visual_analogy", "compact"), PuzzleSet(0, level, "train")
    theirs = make_task("visual_analogy", task_settings("visual_analogy", "compact") | {"distractors": "paper"})
    records = [dataclasses.asdict(make_record(theirs, which, index)) for index in range(12)]
    mismatches = [check_record(task, find_checker(task), which, index, record) for index, record in enumerate(records)]
    found = [mismatch for mismatch in mismatches if mismatch]
    assert {mismatch.kind for mismatch in found} == {"level"}
    assert any("the options follow" in str(mismatch) for mismatch in found)
    assert level == "SIMPLE" or len(found) == 12


@pytest.mark.parametrize(("name", "style", "level"), CHECKED)
def test_a_puzzle_of_another_level_is_found(name: str, style: str, level: str) -> None:
    checker, record = checker_of(name, style), record_of(name, style, level)
    others = [other for n, s, other in CHECKED if (n, s) == (name, style) and other != level]
    for other in others:
        assert refuses(checker, record | {"level": other})


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_wrong_bookkeeping_is_found(name: str, style: str, level: Any) -> None:
    task, record = shipped_task(name, style), record_of(name, style, level)
    which = PuzzleSet(0, level, "train")
    for change in (
        {"puzzle_id": "another"},
        {"index": 7},
        {"split": "eval"},
        {"puzzle": "{}"},
        {"text": ""},
        {"image": {"bytes": b"no picture", "path": ""}},
        {"image": {"bytes": record["image"]["bytes"][:-40], "path": ""}},
    ):
        assert check_record(task, find_checker(task), which, 0, record | change) is not None, change


@pytest.mark.parametrize("word", ["S", "D"])
def test_a_grid_without_a_source_or_destination_is_no_puzzle(word: str) -> None:
    task, record = shipped_task("grid_navigation", "compact"), record_of("grid_navigation", "compact", "SIMPLE")
    cells = task.from_json(record["puzzle"]).cells
    emptied = Grid(tuple(tuple("O" if found == word else found for found in row) for row in cells))
    image = {"bytes": task.render(emptied), "path": ""}
    with pytest.raises(Mismatch, match="no S or no D"):
        checker_of("grid_navigation", "compact").check(record | {"text": task.to_text(emptied), "image": image})


@pytest.mark.parametrize("name", ["consecutive_table_readout", "table_readout"])
@pytest.mark.parametrize("style", ["compact", "paper"])
def test_tables_without_and_with_every_cell_highlighted_are_read(name: str, style: str) -> None:
    task, checker = shipped_task(name, style), checker_of(name, style)
    scene = task.sample_scene(generator(0))
    cells = tuple((row, column) for row, values in enumerate(scene.values) for column in range(len(values)))
    for path in ((), cells):
        table = dataclasses.replace(scene, path=path)
        checker.check_scene({"text": task.to_text(table), "image": {"bytes": task.render(table)}})


@pytest.mark.parametrize(("name", "style"), [case for case in SCENE_CASES if case[0] in CHANGES])
def test_a_scene_whose_image_differs_in_one_thing_or_that_has_an_answer_is_found(name: str, style: str) -> None:
    task, which = shipped_task(name, style), PuzzleSet(0, "SCENES", "train")
    record = record_of(name, style, "SCENES")
    changed = CHANGES[name][0](task.from_json(record["puzzle"]))
    image = {"bytes": task.render(changed), "path": ""}
    for change, kind in (({"image": image}, "image"), ({"answer": "7"}, "record")):
        found = check_record(task, find_checker(task), which, 0, record | change)
        assert found is not None
        assert found.kind == kind
