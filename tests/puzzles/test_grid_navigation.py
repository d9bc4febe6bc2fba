"""Grid Navigation: laws over random seeds, and a breadth-first search as an independent judge of the answers."""

from __future__ import annotations

import io
import re
from collections import deque
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from s2h.errors import ConfigError, DataError
from s2h.puzzles.grid_navigation import (
    COMPACT_COLUMNS,
    COMPACT_OBJECTS,
    COMPACT_ROWS,
    NO_PATH,
    OBJECTS,
    OBSTACLES,
    STRAIGHT_WALKS,
    Grid,
    GridNavigation,
    GridNavigationSettings,
    is_straight,
    search,
    straight_walks,
)
from s2h.puzzles.task import Verdict
from tests.contracts.settings import shipped_task

LEVELS = ("SIMPLE", "HARD")
DELTAS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
PAPER: dict[str, Any] = {
    "style": "paper",
    "rows": (8, 12),
    "columns": (8, 12),
    "obstacle_share": 0.35,
    "levels": {
        "SIMPLE": {"train": 1, "eval": 1, "objects": (1, 2), "obstacle_kinds": (1, 1), "steps": (10, 25)},
        "HARD": {"train": 1, "eval": 1, "objects": (2, 5), "obstacle_kinds": (3, 5), "steps": (26, 60)},
    },
}
COMPACT: dict[str, Any] = {
    "style": "compact",
    "rows": (5, 5),
    "columns": (5, 5),
    "obstacle_share": 0.4,
    "levels": {
        "SIMPLE": {"train": 1, "eval": 1, "objects": (1, 2), "obstacle_kinds": (1, 1), "steps": (3, 7)},
        "HARD": {"train": 1, "eval": 1, "objects": (2, 3), "obstacle_kinds": (2, 3), "steps": (8, 14)},
    },
}
TASKS = {
    "paper": GridNavigation(GridNavigationSettings(**PAPER)),
    "compact": GridNavigation(GridNavigationSettings(**COMPACT)),
}
SEEDS = st.integers(0, 2**32 - 1)
STYLES = st.sampled_from(sorted(TASKS))
LEVEL_NAMES = st.sampled_from(LEVELS)
LAW = settings(max_examples=60, deadline=None)


def draw(style: str, level: Any, seed: int) -> Grid:
    return TASKS[style].sample(np.random.default_rng(seed), level, "train")


def parse(text: str) -> list[list[str]]:
    """The cells as they stand in the text, without the letters."""
    if " & " in text:
        head, *rows = [line.split(" & ") for line in text.split("\n")]
        assert {len(row) for row in rows} == {1 + len(head)}
        return [row[1:] for row in rows]
    rows = [line.split() for line in text.split("\n")]
    names = [[word.partition(":")[0] for word in row] for row in rows]
    assert names == [[row + column for column in COMPACT_COLUMNS[: len(names[0])]] for row in COMPACT_ROWS[: len(rows)]]
    return [[word.partition(":")[2] for word in row] for row in rows]


def find(cells: list[list[str]], words: Any) -> list[tuple[int, int]]:
    return [(r, c) for r, row in enumerate(cells) for c, word in enumerate(row) if word in words]


def shortest_walk(cells: list[list[str]]) -> list[str] | None:
    """Breadth-first search over (cell, collected objects): a shortest walk over all collecting orders."""
    source, destination = find(cells, "S")[0], find(cells, "D")[0]
    objects = find(cells, OBJECTS)
    start = (source, frozenset(objects))
    before: dict[Any, Any] = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        cell, missing = state
        if cell == destination:
            if missing:
                continue  # the walk ends here, in vain
            moves = []
            while before[state] is not None:
                move, state = before[state]
                moves.append(move)
            return moves[::-1]
        for move, (down, right) in DELTAS.items():
            goal = (cell[0] + down, cell[1] + right)
            inside = 0 <= goal[0] < len(cells) and 0 <= goal[1] < len(cells[0])
            if inside and cells[goal[0]][goal[1]] not in OBSTACLES:
                after = (goal, missing - {goal})
                if after not in before:
                    before[after] = (move, state)
                    queue.append(after)
    return None


def follow(cells: list[list[str]], moves: list[str]) -> list[str]:
    """The words of the cells that a walk enters."""
    row, column = find(cells, "S")[0]
    words = []
    for move in moves:
        row, column = row + DELTAS[move][0], column + DELTAS[move][1]
        assert row >= 0
        assert column >= 0
        words.append(cells[row][column])
    return words


@LAW
@given(STYLES, LEVEL_NAMES, SEEDS)
def test_grid_is_what_the_settings_say(style: str, level: str, seed: int) -> None:
    grid, config = draw(style, level, seed), TASKS[style].settings
    spec = config.levels[level]
    cells = [list(row) for row in grid.cells]
    (source,), (destination,) = find(cells, "S"), find(cells, "D")
    assert source[0] != destination[0]
    assert source[1] != destination[1]
    assert config.rows[0] <= len(cells) <= config.rows[1]
    assert config.columns[0] <= len(cells[0]) <= config.columns[1]
    objects = [cells[r][c] for r, c in find(cells, OBJECTS)]
    assert spec.objects[0] <= len(objects) == len(set(objects)) <= spec.objects[1]
    kinds = {cells[r][c] for r, c in find(cells, OBSTACLES)}
    assert spec.obstacle_kinds[0] <= len(kinds) <= spec.obstacle_kinds[1]
    assert spec.steps[0] <= len(search(grid)) <= spec.steps[1]


@LAW
@given(STYLES, LEVEL_NAMES, SEEDS)
def test_answer_is_proved_by_another_search_on_the_text(style: str, level: str, seed: int) -> None:
    task, grid = TASKS[style], draw(style, level, seed)
    cells = parse(task.to_text(grid))
    assert cells == [list(row) for row in grid.cells]
    shortest = shortest_walk(cells)
    assert shortest is not None
    moves = task.answer(grid).split()
    assert len(moves) >= len(shortest)
    entered = follow(cells, moves)
    assert set(entered).isdisjoint(OBSTACLES)
    assert {cells[r][c] for r, c in find(cells, OBJECTS)} <= set(entered)
    assert entered.index("D") == len(entered) - 1
    verdict = task.judge(grid, f"Answer: {' '.join(shortest)}")
    assert verdict.correct
    assert verdict.answer == " ".join(shortest)


@given(STYLES, LEVEL_NAMES, SEEDS)
@settings(max_examples=40, deadline=None)
def test_straight_walks_lead_along_the_tour_and_ignore_obstacles(style: str, level: Any, seed: int) -> None:
    grid = draw(style, level, seed)
    shortest = sum(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in pairwise(grid.tour()))
    walks = straight_walks(grid)
    solved = {way: solves(grid, moves) for way, moves in walks.items()}
    assert tuple(walks) == STRAIGHT_WALKS
    assert all(len(walks[way]) == shortest for way in STRAIGHT_WALKS[:2])
    assert is_straight(grid) == any(solved.values())
    met = any(reason in OBSTACLES for step in search(grid) for _, reason in step.rejected)
    assert solved["as the search goes"] == (not met)


def solves(grid: Grid, moves: list[str]) -> bool:
    return TASKS["compact"].judge(grid, f"Answer: {' '.join(moves)}").correct


def test_straight_walks_by_hand() -> None:
    grid = Grid((("S", "O", "heart"), ("O", "O", "O"), ("O", "D", "O")))
    assert straight_walks(grid) == {
        "up or down first": ["right", "right", "down", "down", "left"],
        "left or right first": ["right", "right", "left", "down", "down"],
        "as the search goes": ["right", "right", "down", "down", "left"],
    }
    assert is_straight(grid)
    assert not is_straight(Grid((("S", "O", "heart"), ("O", "dot", "dot"), ("O", "D", "O"))))


@pytest.mark.parametrize(("share", "most"), [(0, 0), (0.25, 0.3)])
def test_a_level_limits_the_share_of_grids_that_straight_walks_solve(share: float, most: float) -> None:
    levels = {"SIMPLE": COMPACT["levels"]["SIMPLE"] | {"straight_share": share}}
    task = GridNavigation(GridNavigationSettings(**COMPACT | {"levels": levels}))
    grids = [task.sample(np.random.default_rng(seed), "SIMPLE", "train") for seed in range(200)]
    assert sum(map(is_straight, grids)) <= most * len(grids)
    without = [draw("compact", "SIMPLE", seed) for seed in range(100)]
    assert sum(map(is_straight, without)) > 0.7 * len(without)  # so that the limit matters


def test_the_shipped_levels_cannot_be_walked_blindly() -> None:
    task = shipped_task("grid_navigation", "compact")
    for level in LEVELS:
        grids = [task.sample(np.random.default_rng(seed), level, "train") for seed in range(200)]  # type: ignore[arg-type]
        assert sum(map(is_straight, grids)) < 0.25 * len(grids)


def test_levels_are_apart_in_measured_steps_and_kinds() -> None:
    for style in TASKS:
        grids = {level: [draw(style, level, seed) for seed in range(40)] for level in LEVELS}
        steps = {level: [len(search(grid)) for grid in grids[level]] for level in LEVELS}
        assert max(steps["SIMPLE"]) < min(steps["HARD"])
        kinds = {level: [len(set(sum(grid.cells, ())) & set(OBSTACLES)) for grid in grids[level]] for level in LEVELS}
        assert max(kinds["SIMPLE"]) < min(kinds["HARD"])


def test_destination_may_be_anywhere_and_every_symbol_occurs() -> None:
    grids = [draw("compact", "HARD", seed) for seed in range(300)]
    ends = [find([list(row) for row in grid.cells], "D")[0] for grid in grids]
    assert {row for row, _ in ends} == {column for _, column in ends} == set(range(5))
    assert {word for grid in grids for row in grid.cells for word in row} == {
        "S",
        "D",
        "O",
        *COMPACT_OBJECTS,
        *OBSTACLES,
    }


@LAW
@given(LEVEL_NAMES, SEEDS)
def test_compact_chain_is_a_true_search_even_without_line_ends(level: str, seed: int) -> None:
    """Reads the chain word by word and checks each statement against the grid."""
    task, grid = TASKS["compact"], draw("compact", level, seed)
    words = deque(task.chain_of_thought(grid).split())

    def take_cell() -> tuple[int, int]:
        row, column = words.popleft()
        return COMPACT_ROWS.index(row), COMPACT_COLUMNS.index(column)

    stops = []
    while [name for name, _ in stops[-1:]] != ["D"]:
        name, cell = words.popleft(), take_cell()
        assert grid.cells[cell[0]][cell[1]] == name
        stops.append((name, cell))
    assert stops[0][0] == "S"
    assert len(stops) == 2 + sum(word in OBJECTS for row in grid.cells for word in row)

    path, visited, turn = [stops[0][1]], {stops[0][1]}, 1
    moves: list[str] = []
    while words:
        here = take_cell()
        assert here == path[-1]
        if words[0] == "take":
            words.popleft()
            assert (words.popleft(), here) == stops[turn]
            visited, turn = {here}, turn + 1
        while words[0] != "back":
            move = words.popleft()
            goal = (here[0] + DELTAS[move][0], here[1] + DELTAS[move][1])
            inside = goal[0] in range(5) and goal[1] in range(5)
            if words and words[0] == "outside":
                assert not inside
            elif words and words[0] == "visited":
                assert goal in visited
            elif words and words[0] in {*OBSTACLES, *OBJECTS, "D"}:
                assert grid.cells[goal[0]][goal[1]] == words[0]
                assert words[0] in OBSTACLES or words[0] in {name for name, _ in stops[turn + 1 :]}
            else:
                path, moves = [*path, goal], [*moves, move]
                visited.add(goal)
                break
            words.popleft()
        else:
            words.popleft()
            path, moves = path[:-1], moves[:-1]
    assert path[-1] == stops[-1][1]
    assert " ".join(moves) == task.answer(grid)


@LAW
@given(LEVEL_NAMES, SEEDS)
def test_every_line_of_a_paper_chain_is_true(level: str, seed: int) -> None:
    task, grid = TASKS["paper"], draw("paper", level, seed)
    cells = {(r, c): word for r, row in enumerate(grid.cells) for c, word in enumerate(row)}
    head, *blocks = re.split(r"\n(?=\()", task.chain_of_thought(grid))
    (source,), (destination,) = (
        find([list(row) for row in grid.cells], "S"),
        find([list(row) for row in grid.cells], "D"),
    )
    assert f"Source: {named(source)} Destination: {named(destination)}" in head
    path, visited = [source], {source}
    moves: list[str] = []
    taken: list[str] = []
    for block in blocks:
        place, *tries = block.split("\n")
        here = path[-1]
        if place != named(here):
            assert place == f"{named(here)} Collect {cells[here]}"
            taken.append(f"{cells[here]} {named(here)}")
            visited = {here}
        for line in tries[:-1]:
            assert line == refusal(cells, visited, here, line.split()[0])
        move = tries[-1].split()[0]
        if move == "No":
            assert {line.split()[0] for line in tries[:-1]} == set(DELTAS)
            path.pop()
            moves.pop()
        else:
            path.append((here[0] + DELTAS[move][0], here[1] + DELTAS[move][1]))
            assert tries[-1] == f"{move} {named(path[-1])} okay"
            visited.add(path[-1])
            moves.append(move)
    assert f"Collect objects: {', '.join(taken)}\n" in head
    assert (path[-1], " ".join(moves)) == (destination, task.answer(grid))


def named(cell: tuple[int, int]) -> str:
    return f"({chr(97 + cell[0])}, {chr(97 + cell[1])})"


def refusal(cells: dict[tuple[int, int], str], visited: set[tuple[int, int]], here: tuple[int, int], move: str) -> str:
    """The only true reason to refuse a move."""
    goal = (here[0] + DELTAS[move][0], here[1] + DELTAS[move][1])
    if goal not in cells:
        return f"{move} outside"
    if goal in visited:
        return f"{move} {named(goal)} visited"
    word = "destination" if cells[goal] == "D" else cells[goal]
    return f"{move} {named(goal)} " + (f"closed ({word})" if word in OBSTACLES else f"too early ({word})")


def grid_of(*rows: str) -> Grid:
    return Grid(tuple(tuple(row.split()) for row in rows))


DEAD_END = grid_of("S O O dot", "O dot O dot", "O dot dot D", "O O O O")


def test_search_goes_back_from_a_dead_end() -> None:
    task = TASKS["compact"]
    assert task.answer(DEAD_END) == "down down down right right right up"
    lines = task.chain_of_thought(DEAD_END).split("\n")
    assert lines[:3] == ["S na D pd", "na right", "nb down dot right"]
    assert "oc down dot right dot up visited left dot back" in lines
    text = TASKS["paper"].chain_of_thought(DEAD_END)
    assert text.count("retrace one step") == 3
    assert "up outside" in text
    assert "(b, c)\ndown (c, c) closed (dot)" in text


def test_refused_moves_name_what_is_in_the_way() -> None:
    later = grid_of("S dot heart O", "O star O O", "O O O D")  # heart and star are equally near: heart is read first
    assert search(later)[1].rejected == (("right", "star"), ("up", "visited"))
    assert "right (b, b) too early (star)" in TASKS["paper"].chain_of_thought(later)
    behind = grid_of("S D heart", "O O O")
    assert search(behind)[0].rejected == (("right", "D"), ("up", "outside"))
    assert "right (a, b) too early (destination)" in TASKS["paper"].chain_of_thought(behind)


def test_unsolvable_grid_is_an_error() -> None:
    with pytest.raises(DataError, match="no puzzle"):
        search(grid_of("S dot", "dot D"))
    with pytest.raises(DataError, match="no puzzle"):  # the only object is behind the destination
        search(grid_of("S O dot", "dot D heart"))


@LAW
@given(STYLES, LEVEL_NAMES, SEEDS)
def test_gold_is_judged_correct(style: str, level: str, seed: int) -> None:
    task, grid = TASKS[style], draw(style, level, seed)
    block = task.answer_block(grid)
    gold = task.judge(grid, f"{task.to_text(grid)}\n{task.chain_of_thought(grid)}\n\n{block}")
    assert gold == Verdict(True, task.answer(grid), True)
    assert task.judge(grid, block) == gold


@pytest.mark.parametrize(
    ("moves", "correct"),
    [
        ("right right down right", True),
        ("  Right   right,down  right .", True),
        ("right right down right up up up", True),  # the walk has ended at D
        ("right left right right down right", True),
        ("right right right down", True),
        ("right right", False),  # never arrives
        ("down right right right", False),  # through an obstacle
        ("up down right right right down", False),  # leaves the grid at the top
        ("left right right right right down", False),  # leaves the grid at the left
        ("right right right right left down", False),  # leaves the grid at the right
    ],
)
def test_walks(moves: str, correct: bool) -> None:
    grid = grid_of("S heart O O", "dot dot O D")
    walk = TASKS["paper"].judge(grid, f"so\nAnswer: {moves}\nbye")
    assert walk.parsed
    assert walk.correct == correct


@pytest.mark.parametrize("dress", ["{}.", "**{}**", "  {}  ", "\n{}", "['{}']", "`{}`", "up\nAnswer: {}"])
@pytest.mark.parametrize("join", [" ", "  ", ",", ", ", "; ", "', '"])
def test_dress_of_an_answer_does_not_matter(dress: str, join: str) -> None:
    task, moves = TASKS["paper"], TASKS["paper"].answer(DEAD_END).split()
    verdict = task.judge(DEAD_END, f"Answer: {dress.format(join.join(moves))}")
    assert (verdict.correct, verdict.answer) == (True, " ".join(moves))


@LAW
@given(st.lists(st.sampled_from(sorted(DELTAS)), min_size=1, max_size=20), st.integers(0, 20))
def test_judging_agrees_with_another_walker(moves: list[str], seed: int) -> None:
    task, grid = TASKS["compact"], draw("compact", "SIMPLE", seed)
    cells = [["dot"] * 7, *(["dot", *row, "dot"] for row in grid.cells), ["dot"] * 7]  # a wall for what is outside
    row, column = find(cells, "S")[0]
    missing, alive = set(sum(grid.cells, ())) & set(OBJECTS), True
    for move in moves:
        row, column = row + DELTAS[move][0], column + DELTAS[move][1]
        missing.discard(cells[row][column])
        alive = cells[row][column] not in OBSTACLES
        if not alive or cells[row][column] == "D":
            break
    expected = alive and cells[row][column] == "D" and not missing
    assert task.judge(grid, f"Answer: {' '.join(moves)}").correct is expected


def test_destination_before_the_last_object_fails() -> None:
    grid = grid_of("S O O", "O D heart")
    judge = TASKS["paper"].judge
    assert judge(grid, "Answer: right right down left").correct
    assert not judge(grid, "Answer: right down right left").correct


def test_any_collecting_order_is_accepted() -> None:
    grid = grid_of("star S heart O", "O O O D")
    assert TASKS["paper"].judge(grid, "Answer: right left left right right down right").correct
    assert TASKS["paper"].judge(grid, "Answer: left right right right down").correct


@LAW
@example(prediction="Answer:")
@example(prediction="Answer: " + "left " * 50_000)
@example(prediction="Answer: right; import os")
@example(prediction="Answer: \x00 \ud800")
@example(prediction="Answer: north")
@example(prediction="Answer: r d d")
@example(prediction="Answer: ." * 1_000)
@example(prediction="")
@given(st.text() | st.text("lrudefighton Aswp:.,\n\t"))
def test_hostile_predictions_are_wrong_and_harmless(prediction: str) -> None:
    for task in TASKS.values():
        verdict = task.judge(DEAD_END, prediction)
        assert not verdict.correct
        assert verdict.parsed == bool(verdict.answer)


def test_no_path_is_an_answer_but_a_wrong_one() -> None:
    verdict = TASKS["paper"].judge(DEAD_END, "Answer: No path.")
    assert (verdict.parsed, verdict.answer, verdict.correct) == (True, NO_PATH, False)


@LAW
@given(STYLES, LEVEL_NAMES, SEEDS)
def test_same_seed_same_puzzle_and_json_keeps_it(style: str, level: str, seed: int) -> None:
    task, grid = TASKS[style], draw(style, level, seed)
    assert draw(style, level, seed) == grid
    again = task.from_json(task.to_json(grid))
    assert again == grid
    assert task.chain_of_thought(again) == task.chain_of_thought(grid)


def test_words_hold_every_compact_text() -> None:
    task = TASKS["compact"]
    seen: set[str] = set()
    for seed in range(200):
        for level in LEVELS:
            grid = draw("compact", level, seed)
            parts = [task.to_text(grid), task.chain_of_thought(grid), task.answer_block(grid)]
            parts += [task.question(grid, "text"), task.question(grid, "image"), task.transcription_question()]
            seen.update(" ".join(parts).split())
            assert all("\t" not in part and "  " not in part for part in parts)
            assert len(f"{parts[1]} {parts[2]}".split()) <= 90
    seen.update(task.chain_of_thought(DEAD_END).split())  # going back is rare on small grids
    known, cells = task.vocabulary(), [word.split(":") for word in seen if ":" in word[:-1]]
    assert seen <= known
    every = {f"{name}:{content}" for name in {name for name, _ in cells} for content in {word for _, word in cells}}
    assert known - seen <= every <= known  # objects are rare in each cell


def test_questions_tell_marks_and_kinds() -> None:
    task, grid = TASKS["paper"], draw("paper", "HARD", 0)
    text, image = task.question(grid, "text"), task.question(grid, "image")
    assert "sky blue" in image
    assert "sky blue" not in text
    assert all(name in text and name in image for name in (*OBJECTS, *OBSTACLES, *DELTAS))


@pytest.mark.parametrize(("style", "size"), [("paper", (1000, 1000)), ("compact", (96, 96))])
def test_image_size_and_same_bytes(style: str, size: tuple[int, int]) -> None:
    task = TASKS[style]
    for level in LEVELS:
        png = task.render(draw(style, level, 5))
        assert Image.open(io.BytesIO(png)).size == size
        assert png == TASKS[style].render(task.from_json(task.to_json(draw(style, level, 5))))


def test_paper_page_holds_the_smallest_and_largest_grids() -> None:
    for rows, columns in ((8, 8), (8, 12), (12, 8), (12, 12)):
        grid = Grid(tuple(("O",) * columns for _ in range(rows)))
        pixels = np.asarray(Image.open(io.BytesIO(TASKS["paper"].render(grid))).convert("L"))
        ink = np.argwhere(pixels < 128)
        assert ink.min() >= 80
        assert ink.max() <= 945


def test_tiles_and_words_are_one_to_one() -> None:
    """The image says what the text says: one tile for each word, one word for each tile."""
    task = TASKS["compact"]
    pairs = set()
    for seed in range(100):
        grid = draw("compact", "HARD", seed)
        pixels = np.asarray(Image.open(io.BytesIO(task.render(grid))).convert("RGB"))
        for (row, column), word in np.ndenumerate(np.array(grid.cells)):
            tile = pixels[16 * (row + 1) :, 16 * (column + 1) :][:16, :16]
            pairs.add((str(word), tile.tobytes()))
    assert len(pairs) == len({word for word, _ in pairs}) == len({tile for _, tile in pairs})
    assert len(pairs) == 3 + len(COMPACT_OBJECTS) + len(OBSTACLES)


def test_compact_symbols_are_far_apart() -> None:
    """Any two symbols differ clearly in at least 20 of a tile's 256 pixels, so that a small vision tower can tell."""
    tiles = {}
    for name in (*COMPACT_OBJECTS, *OBSTACLES):
        png = TASKS["compact"].render(grid_of(f"S {name}", "O D"))
        tiles[name] = np.asarray(Image.open(io.BytesIO(png)).convert("L"))[16:32, 32:48].astype(int)
    for one, other in combinations(tiles, 2):
        assert (abs(tiles[one] - tiles[other]) > 128).sum() >= 20, (one, other)


def test_all_symbols_look_different() -> None:
    names = [*OBJECTS, *OBSTACLES, "S", "D", "O"]
    assert len({TASKS["paper"].render(Grid(((name,) * 8,) * 8)) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": (1, 5)}, "choose from 2 to 26"),
        ({"columns": (8, 27)}, "choose from 2 to 26"),
        ({"style": "compact", "columns": (8, 14), "levels": {}}, "choose from 2 to 13"),
        ({"rows": (5, 4)}, "runs backwards"),
        ({"obstacle_share": 1.0}, "less than 1"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GridNavigationSettings(**{**PAPER, **change})


@pytest.mark.parametrize("change", [{"objects": (1, 32)}, {"obstacle_kinds": (0, 1)}, {"steps": (1, 9)}])
def test_impossible_levels_are_refused(change: dict[str, Any]) -> None:
    level = {**PAPER["levels"]["SIMPLE"], **change}
    with pytest.raises(ValidationError, match=rf"levels.SIMPLE.{next(iter(change))} is .* choose from"):
        GridNavigationSettings(**{**PAPER, "levels": {"SIMPLE": level}})


def test_levels_that_cannot_be_drawn_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2h.puzzles.grid_navigation._TRIES", 50)
    level = {**COMPACT["levels"]["HARD"], "steps": (900, 1000)}
    task = GridNavigation(GridNavigationSettings(**{**COMPACT, "levels": {"HARD": level}}))
    with pytest.raises(DataError, match=r"Widen levels\.HARD\.steps"):
        task.sample(np.random.default_rng(0), "HARD", "train")
    with pytest.raises(ConfigError, match="unknown level 'SIMPLE'"):
        task.sample(np.random.default_rng(0), "SIMPLE", "train")
