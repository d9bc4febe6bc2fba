"""What every diagnoser owes: it accepts what is right, survives all else, and is fast."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from s2h.diagnosis.diagnoser_registry import find_diagnoser
from s2h.diagnosis.diagnosis import Diagnosis
from s2h.puzzles.task import Task
from s2h.seeding import generator
from s2h.supervision.formats import CONVERT_TOKEN, TRANSCRIPTION_HEADER
from tests.contracts.settings import CASES, shipped_task
from tests.contracts.test_tasks import HOSTILE
from tests.diagnosis.predictions import diagnosed, first_error, gold, right_predictions

each_case = pytest.mark.parametrize(("name", "style", "level"), CASES)
SHARES = {"exact_match", "cot_exact_match", "partial_score", "source_dest_score", "labels_correct", "transcription"}
OWN_WAYS = {"grid_navigation"}
"""Tasks whose chains may be right in other ways than ours."""


@lru_cache
def puzzles(name: str, style: str, level: Any) -> tuple[Any, ...]:
    task = shipped_task(name, style)
    return tuple(task.sample(generator(6, "diagnosis", name, level, index), level, "train") for index in range(20))


def other_puzzle(task: Task[Any], puzzle: Any, among: tuple[Any, ...]) -> Any:
    """A puzzle with another answer."""
    return next(other for other in among if task.answer(other) != task.answer(puzzle))


def check_form(diagnosis: Diagnosis, task: Task[Any]) -> None:
    """What holds for every diagnosis."""
    assert tuple(diagnosis.metrics) == find_diagnoser(task).metrics
    assert not diagnosis.chain_correct or (diagnosis.correct and diagnosis.error is None)
    assert diagnosis.correct or diagnosis.error is not None
    assert (diagnosis.error is None) == (diagnosis.error_detail is None) == (diagnosis.observed is None)
    assert diagnosis.first_error_step is None or diagnosis.first_error_step >= 0
    for text in (diagnosis.expected, diagnosis.observed):
        assert text is None or (len(text) <= 80 and text.encode() is not None and "\n" not in text)
    for name, value in diagnosis.metrics.items():
        assert value is None or 0 <= value <= (1 if name in SHARES else 1_000_000)


@each_case
def test_every_right_prediction_is_right_from_its_first_word_to_its_last(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    for puzzle in puzzles(name, style, level):
        for prediction in right_predictions(task, puzzle):
            found = diagnosed(task, puzzle, prediction)
            assert first_error(found) == (None,) * 5, prediction
            assert found.chain_correct
            assert found.answer == task.answer(puzzle)
            shares = {metric: value for metric, value in found.metrics.items() if metric in SHARES}
            assert shares.pop("transcription") == (1 if TRANSCRIPTION_HEADER.split()[0] in prediction else None)
            assert set(shares.values()) <= {1.0}
            assert found.metrics.get("objects") == found.metrics.get("objects_collected")
            assert found.metrics.get("num_obstacles") is None


@each_case
def test_a_right_answer_alone_is_correct_without_a_chain(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    for puzzle in puzzles(name, style, level):
        for prediction in (task.answer_block(puzzle), gold(task, puzzle, "", transcribed=True)):
            for text in (prediction, " ".join(prediction.split())) if task.compact else (prediction,):
                found = diagnosed(task, puzzle, text)
                assert (found.correct, found.chain_correct, found.error) == (True, False, None)


@each_case
def test_a_wrong_answer_alone_is_unexplained(name: str, style: str, level: str) -> None:
    task, (puzzle, *others) = shipped_task(name, style), puzzles(name, style, level)
    wrong = other_puzzle(task, puzzle, tuple(others))
    found = diagnosed(task, puzzle, f"Answer: {task.answer(wrong)}")
    assert first_error(found)[:3] == ("unexplained", None, "answer")
    assert (found.correct, found.chain_correct) == (False, False)
    assert found.metrics.get("exact_match", 0) == 0


@each_case
def test_a_right_chain_does_not_excuse_a_wrong_answer(name: str, style: str, level: str) -> None:
    task, (puzzle, *others) = shipped_task(name, style), puzzles(name, style, level)
    wrong = other_puzzle(task, puzzle, tuple(others))
    block = task.answer_block(puzzle).replace(f"Answer: {task.answer(puzzle)}", f"Answer: {task.answer(wrong)}")
    found = diagnosed(task, puzzle, f"{task.chain_of_thought(puzzle)}\n\n{block}")
    assert found.error in ("reasoning", "arithmetic")
    assert (found.first_error_step, found.error_detail, found.chain_correct) == (None, "answer", False)


@each_case
def test_a_prediction_to_another_puzzle_is_wrong(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    puzzle, *others = puzzles(name, style, level)
    for other in others:
        for transcribed in (False, True):
            found = diagnosed(task, puzzle, gold(task, other, transcribed=transcribed))
            check_form(found, task)
            assert found.error is not None
            assert not found.chain_correct
            assert found.metrics.get("exact_match", 0) == 0 or found.correct
            if transcribed:
                assert first_error(found)[:3] == ("perception", 0, "transcription")
                assert found.metrics["transcription"] < 1  # type: ignore[operator]


@each_case
def test_an_answer_that_cannot_be_read_is_a_matter_of_form(name: str, style: str, level: str) -> None:
    task, puzzle = shipped_task(name, style), puzzles(name, style, level)[0]
    assert first_error(diagnosed(task, puzzle, ""))[:3] == ("format", None, "answer")
    cut = task.chain_of_thought(puzzle)
    found = diagnosed(task, puzzle, cut[: len(cut) // 2])
    assert found.error == "format"
    assert found.first_error_step is not None  # where the chain breaks off


@each_case
def test_text_after_the_answer_is_a_matter_of_form(name: str, style: str, level: str) -> None:
    task, puzzle = shipped_task(name, style), puzzles(name, style, level)[0]
    found = diagnosed(task, puzzle, f"{gold(task, puzzle)}\nThat was easy.")
    assert first_error(found) == ("format", None, "surplus text", "", "That was easy.")
    assert (found.correct, found.chain_correct) == (True, False)


@pytest.mark.parametrize("prediction", HOSTILE, ids=lambda prediction: ascii(prediction[:24]))
@each_case
def test_a_hostile_prediction_does_no_harm(name: str, style: str, level: str, prediction: str) -> None:
    task, puzzle = shipped_task(name, style), puzzles(name, style, level)[0]
    for text in (
        prediction,
        f"{TRANSCRIPTION_HEADER}\n\n{prediction}",
        f"{task.chain_of_thought(puzzle)}\n\n{prediction}",
    ):
        found = diagnosed(task, puzzle, text)
        check_form(found, task)
        assert not found.chain_correct


def bare(prediction: str) -> str:
    """A prediction without white space and without <Convert> tokens, whose number does not matter."""
    return "".join(prediction.replace(CONVERT_TOKEN, " ").split())


@st.composite
def damaged(draw: st.DrawFn, prediction: str) -> str:
    """A right prediction that was cut, repeated, or had characters, words or lines removed or swapped."""
    for _ in range(draw(st.integers(1, 3))):
        mark = draw(st.sampled_from(["", " ", "\n"]))
        parts = list(prediction) if not mark else prediction.split(mark)
        start, stop = sorted(draw(st.integers(0, len(parts))) for _ in range(2))
        match draw(st.sampled_from(["cut", "keep", "remove", "repeat", "swap", "reverse"])):
            case "cut":
                parts = parts[:stop]
            case "keep":
                parts = parts[start:stop]
            case "remove":
                parts = parts[:start] + parts[stop:]
            case "repeat":
                parts = parts[:stop] + parts[start:]
            case "swap" if parts:
                one, two = min(start, len(parts) - 1), min(stop, len(parts) - 1)
                parts[one], parts[two] = parts[two], parts[one]
            case "reverse":
                parts = parts[:start] + parts[start:stop][::-1] + parts[stop:]
        prediction = mark.join(parts)
    return prediction


@each_case
@hypothesis_settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_prediction_is_right_only_if_it_is_still_whole(name: str, style: str, level: str, data: Any) -> None:
    task = shipped_task(name, style)
    puzzle = data.draw(st.sampled_from(puzzles(name, style, level)))
    predictions = list(right_predictions(task, puzzle))
    prediction = data.draw(damaged(data.draw(st.sampled_from(predictions))))
    found = diagnosed(task, puzzle, prediction)
    check_form(found, task)
    if found.chain_correct and name not in OWN_WAYS:
        assert bare(prediction) in {bare(each) for each in predictions}


@each_case
@hypothesis_settings(max_examples=30, deadline=None)
@given(noise=st.text(max_size=200), place=st.sampled_from(["{}", "Answer: {}", "{} {gold}", "{gold} {}", "{gold}\n{}"]))
def test_any_text_can_be_diagnosed(name: str, style: str, level: str, noise: str, place: str) -> None:
    task, puzzle = shipped_task(name, style), puzzles(name, style, level)[0]
    found = diagnosed(task, puzzle, place.format(noise, gold=gold(task, puzzle)))
    check_form(found, task)
    assert not found.chain_correct or not any(each.isalnum() for each in noise)


def calls(task: Task[Any], puzzle: Any, prediction: str) -> int:
    """How many functions are called for a diagnosis."""
    count = 0

    def seen(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    diagnoser, before = find_diagnoser(task), sys.getprofile()
    diagnoser.diagnose(puzzle, "")  # what is worked out once for a puzzle
    sys.setprofile(seen)
    try:
        diagnoser.diagnose(puzzle, prediction)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("unit", ["gold", "chain", "line", "text", "up ", "(", "Answer: 1\n", "Example 1: (", "\n \n"])
@each_case
def test_work_grows_with_the_length_of_a_prediction_and_no_faster(name: str, style: str, level: str, unit: str) -> None:
    task, puzzle = shipped_task(name, style), puzzles(name, style, level)[0]
    chain = task.chain_of_thought(puzzle)
    forms = {
        "gold": f"{gold(task, puzzle)}\n",
        "chain": f"{chain}\n",
        "line": chain.split("\n")[-1] + "\n",
        "text": f"{TRANSCRIPTION_HEADER}\n\n{task.to_text(puzzle)}\n\n",
    }
    once = forms.get(unit, unit)
    times = max(1, 10_000 // len(once))
    one, two = (calls(task, puzzle, f"{chain}\n{once * n}") for n in (times, 2 * times))
    assert two <= 2.2 * one + 1000
