"""What every registered task owes, in both styles and at each of its levels."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from s2h.errors import ConfigError
from s2h.puzzles.task import Task
from s2h.puzzles.task_registry import TASKS
from s2h.seeding import generator
from tests.contracts.settings import CASES, SCENE_CASES, TASKS_WITHOUT_SETTINGS, shipped_task, styles
from tests.shipped import PAPER_TASKS

COMPACT_CASES = [case for case in CASES if case[1] == "compact"]
HOSTILE = (
    "",
    " \t\r\n",
    "Answer:",
    "Answer: ",
    "Answer: " * 5_000,
    "Answer: " + "9" * 40_000,
    "Answer: " + "up " * 13_000,
    "(" * 40_000,
    "Example 1: (" * 3_000 + "\nAnswer: 1",
    "Answer: \x00\x01\x1b[31m\u202e\ud800",
    "Answer: ٣",  # a digit to Python's int, but not one that any task writes
    "Answer: ²",
    "Answer: __import__('os').abort()",
    "Answer: -1\nAnswer: nan",
)


def _sample(name: str, style: str, level: Any, index: int) -> Any:
    return shipped_task(name, style).sample(generator(5, "contract", name, level, index), level, "train")


@lru_cache
def _puzzles(name: str, style: str, level: str) -> tuple[Any, ...]:
    return tuple(_sample(name, style, level, index) for index in range(40))


def _prediction(task: Task[Any], puzzle: Any) -> str:
    return task.chain_of_thought(puzzle) + "\n\n" + task.answer_block(puzzle)


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_the_oracle_prediction_is_right(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    for puzzle in _puzzles(name, style, level):
        verdict = task.judge(puzzle, _prediction(task, puzzle))
        assert verdict.parsed
        assert verdict.correct


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_the_answer_alone_is_correct(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    for puzzle in _puzzles(name, style, level):
        verdict = task.judge(puzzle, task.answer_block(puzzle))
        assert verdict.parsed
        assert verdict.correct


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_a_prediction_for_another_puzzle_is_wrong(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    puzzle, *others = _puzzles(name, style, level)
    wrong = [other for other in others if task.answer(other) != task.answer(puzzle)]
    assert wrong
    for other in wrong:
        assert not task.judge(puzzle, _prediction(task, other)).correct


@pytest.mark.parametrize("prediction", HOSTILE, ids=lambda prediction: ascii(prediction[:24]))
@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_a_hostile_prediction_does_no_harm(name: str, style: str, level: str, prediction: str) -> None:
    verdict = shipped_task(name, style).judge(_puzzles(name, style, level)[0], prediction)
    assert verdict.parsed or not verdict.correct


@pytest.mark.parametrize(("name", "style", "level"), CASES)
@hypothesis_settings(max_examples=30, deadline=None)
@given(noise=st.text(max_size=200), after_marker=st.booleans())
def test_any_text_can_be_judged(name: str, style: str, level: str, noise: str, after_marker: bool) -> None:
    prediction = f"Answer: {noise}" if after_marker else noise
    verdict = shipped_task(name, style).judge(_puzzles(name, style, level)[0], prediction)
    assert verdict.parsed == bool(verdict.answer)


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_a_puzzle_survives_json(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    for puzzle in _puzzles(name, style, level)[:3]:
        again = task.from_json(task.to_json(puzzle))
        assert again == puzzle
        assert task.answer(again) == task.answer(puzzle)
        assert task.to_text(again) == task.to_text(puzzle)
        assert task.chain_of_thought(again) == task.chain_of_thought(puzzle)
    assert task.render(again) == task.render(puzzle)


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_the_same_seed_gives_the_same_bytes(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    first, second = (_sample(name, style, level, 0) for _ in range(2))
    assert task.to_json(first) == task.to_json(second)
    assert task.render(first) == task.render(second)


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_different_indexes_give_different_puzzles(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    texts = [task.to_json(puzzle) for puzzle in _puzzles(name, style, level)]
    assert texts[0] != texts[1]
    assert len(set(texts)) >= 0.95 * len(texts)


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_the_image_is_a_png_of_the_declared_size(name: str, style: str, level: str) -> None:
    image = Image.open(io.BytesIO(shipped_task(name, style).render(_puzzles(name, style, level)[0])))
    image.load()
    assert image.format == "PNG"
    assert image.size == shipped_task(name, style).image_size
    if style == "compact":  # patches of the tiny model's vision tower
        assert image.width == image.height
        assert image.width % 16 == 0
    assert len(set(image.convert("RGB").getdata())) > 2


@pytest.mark.parametrize(("name", "style", "level"), COMPACT_CASES)
def test_compact_words_are_a_closed_vocabulary(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    known = task.vocabulary()
    for index in range(200):
        puzzle = _sample(name, style, level, index)
        questions = [task.question(puzzle, "text"), task.question(puzzle, "image"), task.transcription_question()]
        text = " ".join([task.to_text(puzzle), *questions, task.chain_of_thought(puzzle), task.answer_block(puzzle)])
        assert set(text.split()) <= known, sorted(set(text.split()) - known)
        assert "\t" not in text


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_text_and_questions_never_give_the_answer_away(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    for puzzle in _puzzles(name, style, level):
        block = task.answer_block(puzzle)
        assert block.splitlines()[-1].startswith("Answer: ")
        for modality in ("text", "image"):
            assert block not in task.question(puzzle, modality)  # type: ignore[arg-type]
        assert block not in task.to_text(puzzle)
    assert task.transcription_question().strip()


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_alternative_chains_have_their_names_and_other_words(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    for puzzle in _puzzles(name, style, level)[:5]:
        chains = task.alternatives(puzzle)
        assert tuple(chains) == task.alternative_chains
        assert len({task.chain_of_thought(puzzle), *chains.values()}) == len(chains) + 1


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_measures_are_numbers_with_the_same_names(name: str, style: str, level: str) -> None:
    task = shipped_task(name, style)
    measures = [task.difficulty(puzzle) for puzzle in _puzzles(name, style, level)]
    assert all(isinstance(value, int) for measured in measures for value in measured.values())
    assert len({tuple(measured) for measured in measures}) == 1


@lru_cache
def _scenes(name: str, style: str) -> tuple[Any, ...]:
    task = shipped_task(name, style)
    return tuple(task.sample_scene(generator(5, "contract", name, "SCENES", index)) for index in range(40))


@pytest.mark.parametrize(("name", "style"), SCENE_CASES)
def test_scenes_are_pictures_and_texts_like_those_of_puzzles(name: str, style: str) -> None:
    task, scenes = shipped_task(name, style), _scenes(name, style)
    assert len({task.to_text(scene) for scene in scenes}) >= 0.95 * len(scenes)
    for scene in scenes[:5]:
        assert type(scene) is task.puzzle_type
        assert Image.open(io.BytesIO(task.render(scene))).size == task.image_size
        assert task.from_json(task.to_json(scene)) == scene
    assert task.sample_scene(generator(5, "contract", name, "SCENES", 0)) == scenes[0]


@pytest.mark.parametrize(("name", "style"), [case for case in SCENE_CASES if case[1] == "compact"])
def test_scenes_have_no_words_but_those_of_the_vocabulary(name: str, style: str) -> None:
    task = shipped_task(name, style)
    words = {word for scene in _scenes(name, style) for word in task.to_text(scene).split()}
    assert words <= task.vocabulary()


def test_a_task_without_scenes_says_so() -> None:
    with pytest.raises(ConfigError, match=r"Grid Navigation has no scenes: .* does not define sample_scene"):
        Task.sample_scene(shipped_task("grid_navigation", "compact"), generator(0))


def test_the_tasks_of_the_paper_have_scenes() -> None:
    assert {name for name, _ in SCENE_CASES} >= set(PAPER_TASKS)


@pytest.mark.parametrize(("name", "style"), [(name, style) for name in TASKS for style in styles(name)])
def test_an_unknown_level_is_refused(name: str, style: str) -> None:
    with pytest.raises(ConfigError, match="EASY"):
        _sample(name, style, "EASY", 0)


@pytest.mark.parametrize("name", list(TASKS))
def test_a_task_carries_its_registered_name(name: str) -> None:
    assert TASKS[name].name == name
    assert TASKS[name].title
    assert name not in PAPER_TASKS or TASKS[name].title == name.replace("_", " ").title()


def test_every_task_has_settings_in_a_config_and_so_is_tested() -> None:
    assert not TASKS_WITHOUT_SETTINGS
