"""Laws of Table Readout and of its families of paths."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from s2h.errors import DataError
from s2h.overlays import read_config
from s2h.puzzles import paths
from s2h.puzzles.drawing.table_images import Cell
from s2h.puzzles.paths import AnyFamily, Family, is_clear
from s2h.puzzles.table_readout import PathLevel, TableReadout, TableReadoutSettings
from s2h.puzzles.table_task import Table, turns

RANDOM = {"family": "random", "pieces": [1, 2, 3, 4], "reach": 4, "share": 1}
SINE = {"family": "sinusoidal", "pieces": [3, 4], "gaps": [0, 1], "share": 1}
SPIRAL = {"family": "spiral", "pieces": [3, 4], "gaps": [0, 1], "share": 1}
LONG_SINE = {"family": "sinusoidal", "pieces": [8, 10], "gaps": [0, 1], "share": 1}
LONG_SPIRAL = {"family": "spiral", "pieces": [6, 8], "gaps": [0, 1], "share": 1}
COMPOSED = {"family": "compositional", "pieces": [8, 10], "share": 1}
EVERY_FAMILY = (RANDOM, SINE, SPIRAL, LONG_SINE, LONG_SPIRAL, COMPOSED)

COUNTS = {"train": 1, "eval": 1}
PAPER: dict[str, Any] = {
    "style": "paper",
    "rows": [7, 12],
    "columns": [7, 10],
    "levels": {
        "SIMPLE": {**COUNTS, "families": [RANDOM, SINE, SPIRAL], "turns": [0, 4], "path_length": [5, 30]},
        "HARD": {
            **COUNTS,
            "families": [LONG_SINE, LONG_SPIRAL, COMPOSED],
            "turns": [5, 20],
            "path_length": [31, 80],
        },
    },
}
COMPACT: dict[str, Any] = {
    "style": "compact",
    "rows": [4, 5],
    "columns": [4, 5],
    "levels": {
        "SIMPLE": {
            **COUNTS,
            "families": [
                RANDOM | {"pieces": [1, 2, 3], "reach": 2},
                SINE | {"pieces": [2], "gaps": [0]},
                SPIRAL | {"pieces": [1, 2], "gaps": [0]},
            ],
            "turns": [0, 2],
            "path_length": [3, 6],
        },
        "HARD": {
            **COUNTS,
            "families": [
                SINE | {"pieces": [4, 5], "gaps": [0]},
                SPIRAL | {"pieces": [3, 4], "gaps": [0]},
                COMPOSED | {"pieces": [2, 3]},
            ],
            "turns": [3, 6],
            "path_length": [8, 12],
        },
    },
}
PRESETS = {"paper": PAPER, "compact": COMPACT}
CASES = [(style, level) for style in PRESETS for level in ("SIMPLE", "HARD")]


def _task(settings: dict[str, Any]) -> TableReadout:
    return TableReadout(TableReadoutSettings.model_validate(settings))


def _many(style: str, level: Any, number: int = 300) -> list[Table]:
    task = _task(PRESETS[style])
    return [task.sample(np.random.default_rng(seed), level, "train") for seed in range(number)]


def _family(settings: dict[str, Any]) -> Family:
    found: Family = TypeAdapter(AnyFamily).validate_python(settings)
    return found


def _paths(settings: dict[str, Any], shape: Cell, number: int = 400) -> list[tuple[Cell, ...]]:
    rng = np.random.default_rng(0)
    family = _family(settings)
    return [path for path in (family.draw(rng, shape) for _ in range(number)) if is_clear(path)]


def _neighbours(cell: Cell) -> set[Cell]:
    return {(cell[0] + r, cell[1] + c) for r, c in ((0, 1), (0, -1), (1, 0), (-1, 0))}


def _walk(cells: set[Cell], start: Cell) -> list[Cell]:
    """The order of highlighted cells as a reader finds it: from START, always on to the only new neighbour."""
    walk = [start]
    while new := (_neighbours(walk[-1]) & cells) - set(walk):
        assert len(new) == 1
        walk.append(new.pop())
    return walk


@pytest.mark.parametrize("settings", EVERY_FAMILY, ids=lambda family: f"{family['family']}-{family['pieces'][-1]}")
@hypothesis_settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(5, 12), columns=st.integers(5, 12))
def test_paths_are_connected_and_inside_the_table(settings: dict[str, Any], seed: int, rows: int, columns: int) -> None:
    path = _family(settings).draw(np.random.default_rng(seed), (rows, columns))
    assert all(0 <= row < rows and 0 <= column < columns for row, column in path)
    assert all(b in _neighbours(a) for a, b in pairwise(path))
    if settings["family"] != "random":
        assert is_clear(path)


def test_turns_are_counted_by_direction() -> None:
    assert turns(((0, 0),)) == 0
    assert turns(((0, 0), (0, 1), (0, 2))) == 0
    assert turns(((0, 0), (0, 1), (1, 1), (1, 2))) == 2


@pytest.mark.parametrize(
    "path",
    [(), ((0, 0), (0, 1), (0, 0)), ((0, 0), (0, 1), (1, 1), (1, 0)), ((0, 0), (0, 1), (1, 1), (2, 1), (2, 0), (1, 0))],
    ids=["empty", "there and back", "beside itself", "ring"],
)
def test_paths_that_cells_alone_do_not_tell_are_not_clear(path: tuple[Cell, ...]) -> None:
    assert not is_clear(path)


def test_random_paths_have_one_turn_less_than_pieces_and_reach_far() -> None:
    for pieces in (1, 2, 3, 4):
        drawn = _paths(RANDOM | {"pieces": [pieces]}, (9, 9))
        assert {turns(path) for path in drawn} == {pieces - 1}
        for path in drawn:
            rows, columns = abs(path[0][0] - path[-1][0]), abs(path[0][1] - path[-1][1])
            assert max(rows, columns) >= 4
            assert pieces == 1 or min(rows, columns) >= 4


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (SINE | {"pieces": [3], "gaps": [0]}, {2, 3}),
        (SINE | {"pieces": [4], "gaps": [0]}, {2, 3}),
        (SINE | {"pieces": [8], "gaps": [0]}, {6, 7}),
        (SPIRAL | {"pieces": [3], "gaps": [0]}, {2, 3}),
        (SPIRAL | {"pieces": [4], "gaps": [1]}, {3, 4}),
        (SPIRAL | {"pieces": [6], "gaps": [0]}, {5, 6}),
    ],
    ids=lambda value: f"{value['family']}-{value['pieces'][0]}" if isinstance(value, dict) else "",
)
def test_measured_turns_are_those_of_the_paper(settings: dict[str, Any], expected: set[int]) -> None:
    assert {turns(path) for path in _paths(settings, (12, 10))} == expected


def _pieces(path: tuple[Cell, ...]) -> list[tuple[Cell, Cell]]:
    """The corners of a path in pairs: from where to where each straight piece goes."""
    corners = [b for a, b, c in zip(path, path[1:], path[2:], strict=False) if turns((a, b, c))]
    return list(pairwise([path[0], *corners, path[-1]]))


@pytest.mark.parametrize("axis", [0, 1])
def test_compositional_connectors_use_the_first_row_and_column(axis: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "_trim", lambda rng, path, most: tuple(path))
    pieces = [piece for path in _paths(COMPOSED, (9, 9)) for piece in _pieces(path)]
    assert [a for a, b in pieces if a[axis] == 2 and b[axis] == 0]


@pytest.mark.parametrize(("style", "level"), CASES)
def test_the_declared_ranges_hold(style: str, level: str) -> None:
    declared = PRESETS[style]["levels"][level]
    for puzzle in _many(style, level):
        assert declared["path_length"][0] <= len(puzzle.path) <= declared["path_length"][1]
        assert declared["turns"][0] <= turns(puzzle.path) <= declared["turns"][1]
        assert is_clear(puzzle.path)


@pytest.mark.parametrize("style", PRESETS)
def test_hard_turns_more_often_and_is_longer_than_simple(style: str) -> None:
    simple, hard = (_many(style, level) for level in ("SIMPLE", "HARD"))
    assert max(turns(p.path) for p in simple) < min(turns(p.path) for p in hard)
    assert max(len(p.path) for p in simple) < min(len(p.path) for p in hard)


@pytest.mark.parametrize(("style", "level"), CASES)
def test_tables_have_every_declared_size(style: str, level: str) -> None:
    settings = PRESETS[style]
    sizes = Counter((len(p.row_names), len(p.column_names)) for p in _many(style, level))
    for axis, key in enumerate(("rows", "columns")):
        assert {size[axis] for size in sizes} == set(range(settings[key][0], settings[key][1] + 1))


@pytest.mark.parametrize(("style", "level"), CASES)
def test_both_directions_occur(style: str, level: str) -> None:
    downwards = [p.path[0] < p.path[-1] for p in _many(style, level)]
    assert 0.35 < np.mean(downwards) < 0.65


def test_rejection_keeps_the_shares_of_families() -> None:
    rare = RANDOM | {"pieces": [4], "reach": 2}  # most of its draws are too long or touch themselves
    level = {**COUNTS, "families": [rare, COMPOSED | {"pieces": [1]}], "turns": [0, 3], "path_length": [2, 9]}
    task = _task({**COMPACT, "levels": {"SIMPLE": level}})
    found = [turns(task.sample(np.random.default_rng(seed), "SIMPLE", "train").path) for seed in range(400)]
    assert 0.4 < np.mean(np.array(found) == 3) < 0.6


@pytest.mark.parametrize(("style", "level"), CASES)
def test_highlighted_cells_and_start_give_path_and_answer(style: str, level: str) -> None:
    task = _task(PRESETS[style])
    for puzzle in _many(style, level, 100):
        text = task.to_text(puzzle)
        lines = text.splitlines()[4:-4] if style == "paper" else text.splitlines()
        rows = [line.removesuffix(" \\\\").split(" & ")[1:] if style == "paper" else line.split() for line in lines]
        starred = {(r, c): word for r, row in enumerate(rows) for c, word in enumerate(row) if "*" in word}
        assert _walk(set(starred), puzzle.path[0]) == list(puzzle.path)
        assert str(sum(int(word.rpartition(":")[2].strip(" *")) for word in starred.values())) == task.answer(puzzle)


@pytest.mark.parametrize(("style", "level"), CASES)
def test_the_chain_names_every_cell_in_order(style: str, level: str) -> None:
    task = _task(PRESETS[style])
    for puzzle in _many(style, level, 30):
        lines = task.chain_of_thought(puzzle).splitlines()
        cells = lines[2 : 2 + len(puzzle.path)] if style == "paper" else lines
        assert len(cells) == len(puzzle.path)
        for line, cell, value in zip(cells, puzzle.path, puzzle.path_values(), strict=True):
            if style == "paper":
                assert line.split("\t") == [str(cell[0] + 1), str(cell[1] + 1), *puzzle.place(cell), str(value)]
            else:
                assert line.split()[:2] == [puzzle.word(cell), str(value)]


def test_compact_chains_are_short() -> None:
    task = _task(COMPACT)
    assert max(len(task.chain_of_thought(puzzle).split()) for puzzle in _many("compact", "HARD")) <= 48


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"turns": [9, 12]}, r"levels\.SIMPLE\.turns is \[9, 12\].*from 0 to 4 turns"),
        ({"turns": [4, 2]}, "runs backwards"),
        ({"path_length": [3, 26]}, r"path_length is \[3, 26\].*25 of the largest table"),
        ({"path_length": [1, 3]}, "from 2 cells"),
        ({"families": []}, "at least 1 item"),
        ({"families": [RANDOM]}, r"random paths .* need at least 5 rows and columns"),
        ({"families": [SPIRAL]}, r"spiral paths .* need at least 5 rows and columns"),
        ({"families": [COMPOSED | {"gaps": [1]}]}, "compositional.gaps"),
        ({"families": [SPIRAL | {"family": "helix"}]}, "'spiral'"),
        ({"families": [COMPOSED | {"pieces": [0]}]}, "greater than 0"),
    ],
)
def test_impossible_levels_are_refused(change: dict[str, Any], message: str) -> None:
    level = COMPACT["levels"]["SIMPLE"] | change
    with pytest.raises(ValidationError, match=message):
        _task({**COMPACT, "levels": {"SIMPLE": level}})


def test_tables_with_more_columns_than_names_are_refused() -> None:
    with pytest.raises(ValidationError, match="at most 12 columns"):
        _task({**PAPER, "columns": [7, 13]})


def test_ranges_that_no_path_meets_end_in_a_clear_error() -> None:
    level = COMPACT["levels"]["SIMPLE"] | {"families": [COMPOSED | {"pieces": [1]}], "turns": [3, 3]}
    task = _task({**COMPACT, "levels": {"SIMPLE": level}})
    with pytest.raises(DataError, match=r"none of 10000 compositional paths had \[3, 3\] turns and \[3, 6\] cells"):
        task.sample(np.random.default_rng(0), "SIMPLE", "train")


def test_evaluation_draws_families_in_its_own_shares() -> None:
    families = [
        {"family": "sinusoidal", "pieces": [8], "gaps": [0], "share": 1, "eval_share": 0},
        {"family": "spiral", "pieces": [6], "gaps": [0], "share": 1},
        {"family": "compositional", "pieces": [8], "share": 2, "eval_share": 3},
    ]
    level = PathLevel.model_validate(
        {"families": families, "turns": [0, 9], "path_length": [2, 9], "train": 1, "eval": 1}
    )
    places = [(i + 0.5) / 4 for i in range(4)]
    assert [level.family(place, "train").family for place in places] == [
        "sinusoidal", "spiral", "compositional", "compositional",
    ]  # fmt: skip
    assert [level.family(place, "eval").family for place in places] == ["spiral"] + ["compositional"] * 3
    with pytest.raises(ValidationError, match="eval_share 0"):
        PathLevel.model_validate(level.model_dump() | {"families": [families[0]]})


def test_hard_puzzles_of_the_paper_are_evaluated_on_compositional_paths() -> None:
    level = read_config("paper").tasks.table_readout.levels["HARD"]
    assert {level.family(i / 100, "eval").family for i in range(100)} == {"compositional"}
    assert len({level.family(i / 100, "train").family for i in range(100)}) == 3
