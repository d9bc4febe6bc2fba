"""Each mistake that a chain on a table can make, in both styles, and the paper's lists of values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from s2h.diagnosis.diagnosis import Diagnosis
from s2h.diagnosis.table_diagnoser import step_values, total_values
from s2h.puzzles.table_task import Table
from s2h.puzzles.task import Task
from s2h.seeding import generator
from tests.contracts.settings import shipped_task
from tests.diagnosis.predictions import changed, diagnosed, first_error, gold

PAPER, COMPACT = (shipped_task("table_readout", style) for style in ("paper", "compact"))
VALUES = ((1, 2, 5), (0, 3, 9))
PATH = ((0, 0), (0, 1), (1, 1), (1, 2))
PAPER_TABLE = Table(("Nova Tool", "Flux Tool"), ("May", "June", "July"), VALUES, PATH)
TABLE = Table(("n", "o"), ("a", "b", "c"), VALUES, PATH)
"""na 1 = 1, nb 2 = 3, ob 3 = 6, oc 9 = 15."""


def paper(old: str, new: str) -> Diagnosis:
    """What is found in the paper's prediction after one change."""
    return diagnosed(PAPER, PAPER_TABLE, changed(gold(PAPER, PAPER_TABLE), old, new))


def compact(old: str, new: str, *, flat: bool = False) -> Diagnosis:
    prediction = changed(gold(COMPACT, TABLE), old, new)
    return diagnosed(COMPACT, TABLE, " ".join(prediction.split()) if flat else prediction)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("I go along", "I walk along", ("format", 0, "header", "I go along the path and read one highlighted cell at "
                                        "a time.", "I walk along the path and read one highlighted cell at a time.")),
        ("row index\t", "index\t", ("format", 0, "header", "row index column index row name column name value",
                                    "index column index row name column name value")),
        ("1\t2\tNova Tool\tJune\t2", "1\t2\tNova Tool\tMay\t2", ("reasoning", 2, "place", "Nova Tool, June",
                                                                 "Nova Tool, May")),
        ("1\t2\tNova Tool\tJune\t2\n", "", ("reasoning", 2, "place", "Nova Tool, June", "Flux Tool, June")),
        ("1\t2\tNova Tool", "2\t2\tNova Tool", ("reasoning", 2, "index", "(1, 2)", "(2, 2)")),
        ("2\t3\tFlux Tool", "2\t4\tFlux Tool", ("reasoning", 4, "index", "(2, 3)", "(2, 4)")),
        ("2\t2\tFlux Tool\tJune\t3", "2\t2\tFlux Tool\tJune\t8", ("perception", 3, "value", "3", "8")),
        ("\n2\t3\tFlux Tool\tJuly\t9", "", ("reasoning", 4, "missing step", "Flux Tool, July", "nothing")),
        ("July\t9", "July\t9\n1\t3\tNova Tool\tJuly\t5", ("reasoning", 5, "surplus step", "", "1 3 Nova Tool July 5")),
        ("2\t2\tFlux Tool\tJune\t3", "Flux Tool\tJune\t3", ("format", 3, "step", "", "Flux Tool June 3")),
        ("2\t2\tFlux Tool\tJune\t3", "2\t2\tFlux Tool\tJune\tthree", ("format", 3, "step", "",
                                                                     "2 2 Flux Tool June three")),
        ("2\t2\tFlux Tool\tJune\t3", "2\t2\tFlux Tool\tJune\t1234567890", ("format", 3, "step", "",
                                                                          "2 2 Flux Tool June 1234567890")),
        ("1 + 2 + 3 + 9", "1 + 2 + 4 + 9", ("reasoning", 5, "list", "value 3: 3", "4")),
        ("1 + 2 + 3 + 9", "1 + 2 + 3", ("reasoning", 5, "list", "value 4: 9", "nothing")),
        ("3 + 9 = 15", "3 + 9 = 16", ("arithmetic", 5, "sum", "15", "16")),
        ("3 + 9 = 15", "3 and 9 is 15", ("format", 5, "total", "The total is a + b = s",
                                         "The total is 1 + 2 + 3 and 9 is 15")),
        ("\n\n\nThe total is 1 + 2 + 3 + 9 = 15", "", ("format", 5, "total", "The total is a + b = s", "nothing")),
        ("3 + 9 = 15", "3 + 9 = 15\nYes", ("format", 6, "surplus text", "", "Yes")),
        ("Answer: 15", "Answer: 14", ("arithmetic", None, "answer", "15", "14")),
        ("Answer: 15", "Answer: many", ("format", None, "answer", "15", "Answer: many")),
    ],
)  # fmt: skip
def test_the_paper_s_chain_is_followed_step_by_step(
    old: str, new: str, expected: tuple[str, int | None, str, str, str]
) -> None:
    diagnosis = paper(old, new)
    assert first_error(diagnosis) == expected
    assert diagnosis.correct == (not new.startswith("Answer"))
    assert not diagnosis.chain_correct


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("nb 2", "oa 2", ("reasoning", 2, "place", "nb", "oa")),
        ("ob 3 = 6", "ob 4 = 6", ("perception", 3, "value", "3", "4")),
        ("ob 3 = 6", "ob 3 = 7", ("arithmetic", 3, "running total", "6", "7")),
        ("ob 3 = 6", "ob 3 = 06", ("format", 3, "step", "", "ob 3 = 06")),
        ("\noc 9 = 15", "", ("reasoning", 4, "missing step", "oc", "nothing")),
        ("oc 9 = 15", "oc 9 = 15\nnc 5 = 20", ("reasoning", 5, "surplus step", "", "nc 5 = 20")),
        ("oc 9 = 15", "oc 9 = 15\nnc", ("format", 5, "step", "", "nc")),
        ("nb 2 = 3", "nb = 3", ("format", 2, "step", "", "nb = 3 ob")),
        ("nb 2 = 3", "nb two = 3", ("format", 2, "step", "", "nb two = 3")),
        ("Answer: 15", "Answer: 16", ("arithmetic", None, "answer", "15", "16")),
    ],
)
def test_the_compact_chain_is_followed_group_by_group(
    old: str, new: str, expected: tuple[str, int | None, str, str, str], flat: bool
) -> None:
    diagnosis = compact(old, new, flat=flat)
    assert first_error(diagnosis) == expected
    assert diagnosis.correct == (not new.startswith("Answer"))
    assert not diagnosis.chain_correct


def in_order(task: Task[Table], puzzle: Table, cells: Sequence[tuple[int, int]], *, places: bool) -> str:
    """The response of a model that reads the values of the path in this order; the places are the path's or theirs."""
    values = [list(row) for row in puzzle.values]
    for cell, other in zip(puzzle.path, cells, strict=True):
        values[cell[0]][cell[1]] = puzzle.values[other[0]][other[1]]
    read = dataclasses.replace(puzzle, values=tuple(map(tuple, values)))
    return gold(task, dataclasses.replace(puzzle, path=tuple(cells)) if places else read)


BACKWARDS = ((1, 2), (1, 1), (0, 1), (0, 0))


@pytest.mark.parametrize("style", ["paper", "compact"])
@pytest.mark.parametrize("places", [False, True])
def test_right_values_in_another_order_are_an_error_of_their_own(style: str, places: bool) -> None:
    """Read in reading order along a path that runs backwards: the sum is right."""
    task, table = (PAPER, PAPER_TABLE) if style == "paper" else (COMPACT, TABLE)
    puzzle = dataclasses.replace(table, path=BACKWARDS)
    found = diagnosed(task, puzzle, in_order(task, puzzle, sorted(BACKWARDS), places=places))
    assert (found.correct, found.chain_correct, found.metrics["exact_match"]) == (True, False, 0)
    assert first_error(found)[:3] == ("permuted", 1, "place" if places else "value")
    if not places:
        assert first_error(found)[3:] == ("9", "1")


def test_values_of_another_cell_are_no_other_order() -> None:
    puzzle = dataclasses.replace(TABLE, path=BACKWARDS)
    other = in_order(COMPACT, puzzle, ((0, 0), (0, 1), (1, 1), (0, 2)), places=False)
    assert first_error(diagnosed(COMPACT, puzzle, other))[:3] == ("perception", 1, "value")


def test_a_list_in_another_order_is_permuted_though_the_steps_are_right() -> None:
    found = paper("1 + 2 + 3 + 9", "9 + 3 + 2 + 1")
    assert first_error(found) == ("permuted", 5, "list", "value 1: 1", "9")
    assert found.correct


def test_an_answer_that_follows_from_wrong_steps_is_blamed_on_the_first_of_them() -> None:
    prediction = gold(COMPACT, TABLE).replace("nb 2 = 3", "nb 7 = 8").replace("= 6", "= 11").replace("15", "20")
    assert first_error(diagnosed(COMPACT, TABLE, prediction)) == ("perception", 2, "value", "2", "7")


def test_a_chain_that_is_cut_is_a_matter_of_form_where_it_ends() -> None:
    assert first_error(diagnosed(COMPACT, TABLE, "na 1 = 1 nb 2 = 3 ob"))[:3] == ("format", 3, "step")
    cut = gold(PAPER, PAPER_TABLE).partition("2\t2\t")[0]
    assert first_error(diagnosed(PAPER, PAPER_TABLE, cut))[:3] == ("format", 3, "missing step")


@hypothesis_settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), drop=st.integers(0, 10_000), style=st.sampled_from(["paper", "compact"]))
def test_a_chain_with_one_word_missing_is_not_chain_correct(seed: int, drop: int, style: str) -> None:
    task = {"paper": PAPER, "compact": COMPACT}[style]
    puzzle = task.sample(generator(seed, "drop"), "SIMPLE", "train")
    words = task.chain_of_thought(puzzle).split(" ")
    del words[drop % len(words)]
    diagnosis = diagnosed(task, puzzle, " ".join(words) + "\n" + task.answer_block(puzzle))
    assert diagnosis.correct
    assert not diagnosis.chain_correct


@hypothesis_settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), place=st.integers(0, 10_000), pick=st.integers(0, 10_000))
def test_a_chain_with_one_word_replaced_is_not_chain_correct(seed: int, place: int, pick: int) -> None:
    puzzle = COMPACT.sample(generator(seed, "replace"), "HARD", "train")
    words, known = COMPACT.chain_of_thought(puzzle).split(), sorted(COMPACT.vocabulary())
    place, word = place % len(words), known[pick % len(known)]
    if word != words[place]:
        prediction = " ".join([*words[:place], word, *words[place + 1 :], COMPACT.answer_block(puzzle)])
        assert not diagnosed(COMPACT, puzzle, prediction).chain_correct


@pytest.mark.parametrize(
    ("prediction", "values"),
    [
        ("The total is 3 + 4 + 5 = 12", [3, 4, 5]),
        ("the total is 1 = 1, no, the total is 3 + 4 = 7\nAnswer: 7", [3, 4]),
        ("The total is 3 + 4", [3, 4]),
        ("total is 1,234 + 5,6 = 7", [1234, 5, 6]),
        ("total is 1,234,567 + 12,34 + 1234,567", [1234567, 12, 34, 1234, 567]),
        ("3 + 4 = 7", []),
        ("The total is seven", []),
        ("total is = 7", []),
        ("", []),
        ("total is 123456789 = 1", [123456789]),
        ("total is 5 + 1234567890 + 3 = 1", []),
        ("total is " + "9" * 40_000, []),
        ("total is ٣ = 3", []),
    ],
)
def test_values_are_read_from_the_last_sentence(prediction: str, values: list[int]) -> None:
    assert total_values(prediction) == values


@pytest.mark.parametrize(
    ("prediction", "values"),
    [
        ("row\tvalue\n1\t2\tNova Tool\tMay\t3\r\n2\t2\tFlux\tMay\t 1,004 \nThe total is 3 + 4 = 7", [3, 1004]),
        ("1\t2\tNova Tool\tMay\tthree\n2\t2\tFlux\tMay\t4", [4]),
        ("1\t12345678901\n1\t2", []),
        ("na 3 = 3 nb 4 = 7 Answer: 7", [3, 4]),
        ("na 3 = 3\nnb x = 7", [3]),
        ("= 3", []),
        ("The total is 3 = 3", []),
        ("Answer: 7", []),
        ("", []),
    ],
)
def test_values_are_read_from_the_steps(prediction: str, values: list[int]) -> None:
    assert step_values(prediction) == values


@pytest.mark.parametrize(
    ("old", "new", "metrics"),
    [
        ("Answer: 15", "Answer: 99", (1, 1)),  # as in the paper neither the answer nor the sum counts
        ("9 = 15", "9 = 99", (1, 1)),
        ("3 + 9", "9 + 3", (0, 1)),  # but the order of the list does
        ("June\t2", "June\t7", (1, 0)),
        ("The total is", "It is", (0, 1)),
    ],
)
def test_the_metrics_look_at_the_lists_alone(old: str, new: str, metrics: tuple[float, float]) -> None:
    found = paper(old, new).metrics
    assert (found["exact_match"], found["cot_exact_match"], found["transcription"]) == (*metrics, None)


def test_the_compact_style_has_no_list_but_its_steps() -> None:
    for old, new, match in (("= 6", "= 7", 1), ("ob 3", "ob 4", 0), ("Answer: 15", "Answer: 1", 1)):
        found = compact(old, new).metrics
        assert (found["exact_match"], found["cot_exact_match"]) == (match, match)


def test_an_answer_alone_has_no_steps_to_be_measured() -> None:
    for task, puzzle in ((PAPER, PAPER_TABLE), (COMPACT, TABLE)):
        found = diagnosed(task, puzzle, "Answer: 15").metrics
        assert found == {"exact_match": 0, "cot_exact_match": None, "transcription": None}
