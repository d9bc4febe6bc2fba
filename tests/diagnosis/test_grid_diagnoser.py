"""Each mistake that a search on a grid can make, and searches other than ours that make none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from s2h.diagnosis.diagnosis import Diagnosis
from s2h.diagnosis.grid_chains import stated_ends
from s2h.diagnosis.grid_diagnoser import Walk, grid_metrics, walk
from s2h.puzzles.grid_navigation import MOVES, OBJECTS, OBSTACLES, Grid
from s2h.seeding import generator
from tests.contracts.settings import shipped_task
from tests.diagnosis.predictions import changed, diagnosed, first_error, gold

PAPER, COMPACT = (shipped_task("grid_navigation", style) for style in ("paper", "compact"))


def grid_of(*rows: str) -> Grid:
    return Grid(tuple(tuple(row.split()) for row in rows))


GRID = grid_of("S O dot O", "dot O star O", "heart O O D")
CHAIN = """\
S na heart pa star oc D pd
na down dot left outside right
nb down
ob down
pb left
pa take heart right
pb up
ob right
oc take star down
pc right"""
MOVES_MADE = "right down down left right up right down right"
OTHER_MOVES = "right down right left down left right right right"
"""Another walk that solves it: the star first."""


def compact(old: str, new: str) -> Diagnosis:
    """What is found in the compact prediction after one change, with and without ends of lines."""
    prediction = changed(gold(COMPACT, GRID), old, new)
    found = diagnosed(COMPACT, GRID, prediction)
    assert first_error(diagnosed(COMPACT, GRID, " ".join(prediction.split()))) == first_error(found)
    return found


def test_the_compact_prediction_is_the_one_that_is_changed_here() -> None:
    assert gold(COMPACT, GRID) == f"{CHAIN}\n\nAnswer: {MOVES_MADE}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("S na", "S nb", ("perception", 0, "source", "na", "nb")),
        ("D pd", "D pc", ("perception", 0, "destination", "pd", "pc")),
        ("star oc D", "star od D", ("perception", 0, "objects", "star oc", "star od")),
        ("heart pa star", "moon pa star", ("perception", 0, "objects", "heart pa", "moon pa")),
        ("heart pa star oc", "star oc", ("perception", 0, "objects", "heart pa", "nothing")),
        ("heart pa star", "heart pa heart pa star", ("perception", 0, "objects", "nothing", "heart pa")),
        ("ob down", "nc down", ("reasoning", 3, "cell", "ob", "nc")),
        ("ob down\n", "", ("reasoning", 3, "cell", "ob", "pb")),
        ("take heart", "take moon", ("perception", 5, "object", "heart", "moon")),
        ("nb down", "nb take heart down", ("perception", 2, "object", "nothing", "heart")),
        ("pb up", "pb take heart up", ("perception", 6, "object", "nothing", "heart")),
        ("pa take heart", "pa", ("reasoning", 5, "object not taken", "heart", "nothing")),
        ("down dot", "down cross", ("perception", 1, "refused move", "down: dot", "down: cross")),
        ("left outside", "left dot", ("perception", 1, "refused move", "left: outside", "left: dot")),
        ("nb down", "nb down dot left", ("perception", 2, "refused move", "down: O", "down: dot")),
        ("ob down", "ob left dot right heart down", ("perception", 3, "refused move", "right: star", "right: heart")),
        ("left outside", "right outside", ("reasoning", 1, "refused outside", "right: O", "right: outside")),
        ("nb down", "nb right visited down", ("reasoning", 2, "refused visited", "right: dot", "right: visited")),
        ("pb up", "pb left heart up", ("reasoning", 6, "refused too early", "left: visited", "left: heart")),
        ("ob right", "ob right star up", ("reasoning", 7, "refused too early", "right: free", "right: star")),
        ("pc right", "pc right D left", ("reasoning", 9, "refused too early", "right: free", "right: D")),
        ("left outside", "down dot", ("reasoning", 1, "refused twice", "", "down")),
        ("left outside right", "left outside up", ("reasoning", 1, "move outside", "", "up")),
        ("na down dot left outside right", "na down", ("perception", 1, "obstacle", "no dot", "down: dot")),
        ("ob down", "ob up", ("reasoning", 3, "move visited", "", "up")),
        ("pb left", "pb right\npc right", ("reasoning", 5, "move too early", "", "right")),
        ("ob down", "ob back", ("reasoning", 3, "gave up early", "down", "back")),
        ("\npc right", "", ("reasoning", 9, "end", "D", "pc")),
        ("pc right", "pc right\npd back", ("reasoning", 10, "end", "nothing", "pd")),
        ("nb down", "nb", ("format", 2, "step", "", "nb")),
        ("nb down", "nb jump", ("format", 2, "step", "", "nb jump")),
        ("nb down", "nb up banana down", ("format", 2, "step", "", "nb up banana down")),
        ("nb down", "nb up down", ("format", 2, "step", "", "nb up down")),
        (f"Answer: {MOVES_MADE}", f"Answer: {MOVES_MADE} up", ("reasoning", None, "answer", "move 10: nothing", "up")),
    ],
)  # fmt: skip
def test_a_compact_search_is_replayed(old: str, new: str, expected: tuple[str, int | None, str, str, str]) -> None:
    diagnosis = compact(old, new)
    assert first_error(diagnosis) == expected
    assert (diagnosis.correct, diagnosis.chain_correct) == (True, False)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("S na heart", "heart", "heart pa star oc D pd na down"),
        ("heart pa star", "heart pa pa star", "S na heart pa pa star oc D pd"),
        ("oc D pd", "oc pd", "S na heart pa star oc pd na down"),
        (CHAIN, "I just know.", "I just know."),
    ],
)
def test_a_header_must_be_readable(old: str, new: str, found: str) -> None:
    diagnosis = compact(old, new)
    assert first_error(diagnosis)[:4] == ("format", 0, "header", "source, objects, destination")
    assert str(diagnosis.observed).startswith(found)


@pytest.mark.parametrize(
    ("answer", "expected", "found"),
    [("right down up", "move 3: down", "up"), ("no path", "move 1: right", "nothing"), ("up", "move 1: right", "up")],
)
def test_the_answer_must_be_what_the_search_has_found(answer: str, expected: str, found: str) -> None:
    diagnosis = diagnosed(COMPACT, GRID, f"{CHAIN}\n\nAnswer: {answer}")
    assert first_error(diagnosis) == ("reasoning", None, "answer", expected, found)
    assert not diagnosis.correct
    assert first_error(diagnosed(COMPACT, GRID, f"{CHAIN}\n\nAnswer: north"))[:3] == ("format", None, "answer")
    assert first_error(diagnosed(COMPACT, GRID, f"{CHAIN} back"))[:3] == ("format", 9, "step")


def test_nothing_leads_back_beyond_the_last_object() -> None:
    corridor = grid_of("S star heart D")
    chain = "S na star nb heart nc D nd na right star back"
    found = diagnosed(COMPACT, corridor, f"{chain} Answer: right right right")
    assert first_error(found) == ("reasoning", 1, "no way back", "", "back")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("I search", "We search", ("format", 0, "header", "I search depth first and try the move first that ends "
                                   "nearest to the next targe…", "We search depth first and try the move first that "
                                   "ends nearest to the next targ…")),
        ("Source: (a, a)", "Source: (a, b)", ("perception", 0, "source", "a a", "a b")),
        ("Destination: (c, d)", "Destination: (c, c)", ("perception", 0, "destination", "c d", "c c")),
        ("star (b, c)\n", "star (b, d)\n", ("perception", 0, "objects", "star b c", "star b d")),
        ("obstacles: dot", "obstacles: dot, plus", ("perception", 0, "obstacles", "nothing", "plus")),
        ("(b, b)\ndown (c, b) okay", "(a, c)\ndown (c, b) okay", ("reasoning", 3, "cell", "b b", "a c")),
        ("right (a, b) okay", "right (a, c) okay", ("reasoning", 1, "goal", "a b", "a c")),
        ("down (b, a) closed", "down (b, b) closed", ("reasoning", 1, "goal", "b a", "b b")),
        ("closed (dot)", "closed (plus)", ("perception", 1, "refused move", "down: dot", "down: plus")),
        ("closed (dot)", "visited", ("reasoning", 1, "refused visited", "down: dot", "down: visited")),
        ("closed (dot)", "closed (heart)", ("format", 1, "step", "", "a a down b a closed heart left outside right a b "
                                            "okay")),
        ("closed (dot)", "too early (heart)", ("perception", 1, "refused move", "down: dot", "down: heart")),
        ("closed (dot)", "too early (destination)", ("perception", 1, "refused move", "down: dot", "down: D")),
        ("Collect heart", "Collect star", ("perception", 5, "object", "heart", "star")),
        (" Collect heart", "", ("reasoning", 5, "object not taken", "heart", "nothing")),
        ("down (b, b) okay", "No move is left, so I retrace one step.", ("reasoning", 2, "gave up early", "down",
                                                                         "back")),
        ("down (b, b) okay", "down (b, b) fine", ("format", 2, "step", "", "a b down b b fine b b down c b okay")),
        ("\n(c, c)\nright (c, d) okay", "", ("reasoning", 9, "end", "D", "c c")),
        ("right (c, d) okay", "right (c, d) okay\nDone.", ("format", 10, "step", "", "Done")),
    ],
)  # fmt: skip
def test_a_search_of_the_paper_s_style_is_replayed(
    old: str, new: str, expected: tuple[str, int | None, str, str, str]
) -> None:
    diagnosis = diagnosed(PAPER, GRID, changed(gold(PAPER, GRID), old, new))
    assert first_error(diagnosis) == expected
    assert (diagnosis.correct, diagnosis.chain_correct) == (True, False)


@pytest.mark.parametrize("line", range(1, 4))
def test_every_line_of_a_header_is_needed(line: int) -> None:
    lines = gold(PAPER, GRID).split("\n")
    del lines[line]
    assert first_error(diagnosed(PAPER, GRID, "\n".join(lines)))[:3] == ("format", 0, "header")


def test_a_search_that_is_cut_is_a_matter_of_form_where_it_ends() -> None:
    assert first_error(diagnosed(COMPACT, GRID, CHAIN.partition(" take star")[0]))[:3] == ("format", 8, "step")
    cut = gold(PAPER, GRID).partition("(c, a) Collect")[0]
    assert first_error(diagnosed(PAPER, GRID, cut)) == ("format", 5, "end", "D", "c a")


Step = tuple[tuple[int, int], str, list[tuple[str, str]], str]


def other_search(grid: Grid, rng: np.random.Generator) -> tuple[list[Step], list[str]] | None:
    """A depth-first search that tries moves in random order and takes objects as they come; None where it is lost."""
    words = {(r, c): word for r, row in enumerate(grid.cells) for c, word in enumerate(row)}
    left = {cell for cell, word in words.items() if word in OBJECTS}
    here = next(cell for cell, word in words.items() if word == "S")
    trail, visited = [here], {here}
    steps: list[Step] = []
    moves: list[str] = []
    while words[here] != "D":
        collected = words[here] if here in left else ""
        if collected:
            left.discard(here)
            trail, visited = [here], {here}
        refused, made = [], ""
        for move in rng.permutation(list(MOVES)).tolist():
            goal = (here[0] + MOVES[move][0], here[1] + MOVES[move][1])
            word = words.get(goal, "outside")
            if word in ("outside", *OBSTACLES) or (word == "D" and left):
                refused.append((move, word))
            elif goal in visited:
                refused.append((move, "visited"))
            elif goal in left and len(left) > 1 and rng.random() < 0.5:
                refused.append((move, word))
            else:
                made = move
                trail.append(goal)
                visited.add(goal)
                break
        steps.append((here, collected, refused, made))
        if made:
            moves.append(made)
        elif len(trail) == 1:
            return None
        else:
            trail.pop()
            moves.pop()
        here = trail[-1]
    return steps, moves


def written(task: Any, grid: Grid, steps: list[Step], rng: np.random.Generator) -> str:
    """The search in words, written here anew for both styles."""
    rows, columns = task.names(grid.shape)
    words = {cell: word for cell, word in grid.places().items() if word not in OBSTACLES}
    objects = rng.permutation([cell for cell, word in words.items() if word in OBJECTS]).tolist()
    ends = {word: cell for cell, word in words.items() if word in ("S", "D")}
    kinds = rng.permutation(sorted({word for row in grid.cells for word in row if word in OBSTACLES})).tolist()

    def at(cell: Any) -> str:
        row, column = rows[cell[0]], columns[cell[1]]
        return f"{row}{column}" if task.compact else f"({row}, {column})"

    named = [f"{grid.cells[r][c]} {at((r, c))}" for r, c in objects]
    if task.compact:
        lines = [" ".join([f"S {at(ends['S'])}", *named, f"D {at(ends['D'])}"])]
        for cell, collected, refused, made in steps:
            taken = ["take", collected] if collected else []
            lines.append(" ".join([at(cell), *taken, *(w for pair in refused for w in pair), made or "back"]))
        return "\n".join(lines)
    lines = [task.chain_of_thought(grid).split("\n")[0], f"Source: {at(ends['S'])} Destination: {at(ends['D'])}"]
    lines += [f"Collect objects: {', '.join(named)}", f"Avoid obstacles: {', '.join(kinds)}"]
    for cell, collected, refused, made in steps:
        used = [made] * bool(made) + [move for move, reason in refused if reason != "outside"]
        goals = {move: at((cell[0] + MOVES[move][0], cell[1] + MOVES[move][1])) for move in used}
        lines.append(at(cell) + (f" Collect {collected}" if collected else ""))
        for move, reason in refused:
            early = "destination" if reason == "D" else reason
            text = f"closed ({reason})" if reason in OBSTACLES else f"too early ({early})"
            lines.append(f"{move} outside" if reason == "outside" else
                         f"{move} {goals[move]} {reason if reason == 'visited' else text}")  # fmt: skip
        lines.append(f"{made} {goals[made]} okay" if made else "No move is left, so I retrace one step.")
    return "\n".join(lines)


@pytest.mark.parametrize("task", [PAPER, COMPACT], ids=["paper", "compact"])
@pytest.mark.parametrize("level", ["SIMPLE", "HARD"])
@hypothesis_settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_true_search_is_as_good_as_ours(task: Any, level: str, seed: int) -> None:
    rng = generator(seed, "search")
    grid = task.sample(rng, level, "train")
    found = other_search(grid, rng)
    assume(found is not None)
    steps, moves = found  # type: ignore[misc]
    chain = written(task, grid, steps, rng)
    assert chain != task.chain_of_thought(grid) or moves == task.answer(grid).split()
    diagnosis = diagnosed(task, grid, f"{chain}\n\nAnswer: {' '.join(moves)}")
    assert first_error(diagnosis) == (None,) * 5
    assert diagnosis.chain_correct
    assert diagnosis.metrics["exact_match"] == 1
    assert diagnosis.metrics["source_dest_score"] == 1


@hypothesis_settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), place=st.integers(0, 10_000), pick=st.integers(0, 10_000))
def test_a_search_with_one_word_replaced_is_not_chain_correct(seed: int, place: int, pick: int) -> None:
    """Only the move that is tried may be another one, as the order of trying is free."""
    grid = COMPACT.sample(generator(seed, "replace"), "HARD", "train")
    words, known = COMPACT.chain_of_thought(grid).split(), sorted(COMPACT.vocabulary())
    place, word = place % len(words), known[pick % len(known)]
    assume(word != words[place] and not {word, words[place]} <= MOVES.keys())
    prediction = " ".join([*words[:place], word, *words[place + 1 :], COMPACT.answer_block(grid)])
    assert not diagnosed(COMPACT, grid, prediction).chain_correct


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        (MOVES_MADE, Walk(True, 0, 2)),
        (f"{MOVES_MADE} up up", Walk(True, 0, 2)),
        ("down down right right right", Walk(True, 1, 1)),  # through an obstacle
        ("right right down up left", Walk(False, 2, 1)),  # into one obstacle twice
        ("up", Walk(False, 0, 0)),
        ("right up down down down", Walk(False, 0, 0)),  # what comes after leaving the grid does not count
        ("left right right down", Walk(False, 0, 0)),  # the paper's bounds let this one come back
        ("", Walk(False, 0, 0)),
    ],
)
def test_a_walk_ends_at_the_destination_or_outside(moves: str, expected: Walk) -> None:
    assert walk(GRID, moves.split()) == expected


@pytest.mark.parametrize(
    ("moves", "scores"),
    [
        (MOVES_MADE.split(), (1, 1, None, 2)),
        (OTHER_MOVES.split(), (1, 1, 0, 2)),
        (["right", "down", "down", "right", "right"], (0, 1, 0, 0)),
        (["down", "down", "right", "right", "right"], (0, 1, 1, 1)),
        ([], (0, 0, 0, 0)),  # the answer that there is no path
        (None, (0, 0, None, 0)),
    ],
)
def test_the_metrics_of_an_answer(moves: list[str] | None, scores: tuple[float | None, ...]) -> None:
    names = ("exact_match", "partial_score", "num_obstacles", "objects_collected", "objects")
    assert grid_metrics(GRID, moves, MOVES_MADE.split()) == dict(zip(names, (*scores, 2), strict=True))


@pytest.mark.parametrize(
    ("chain", "ends"),
    [
        ("Source: (a, b) Destination: (c, d)\n(a, b)", ("a b", "c d")),
        ("First. Source:( a, b) Destination:( c, d)", ("a b", "c d")),
        ("Source: (a, b)", None),
        ("Source: Destination:", ("Destination:", "")),
        ("S na heart pa D pd na right D S qc", ("na", "pd")),
        ("S na heart pa", None),
        ("", None),
    ],
)
def test_the_ends_are_read_from_a_chain(chain: str, ends: tuple[str, str] | None) -> None:
    assert stated_ends(chain) == ends


def test_the_ends_count_only_where_there_is_a_chain() -> None:
    for task in (PAPER, COMPACT):
        answer = task.answer_block(GRID)
        assert diagnosed(task, GRID, answer).metrics["source_dest_score"] is None
        assert diagnosed(task, GRID, f"No idea.\n{answer}").metrics["source_dest_score"] == 0
    assert compact("S na", "S nb").metrics["source_dest_score"] == 0
