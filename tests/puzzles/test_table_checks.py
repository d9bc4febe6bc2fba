"""Every table is checked from its text form alone, and the check finds what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from s2h.puzzles import table_checks
from s2h.puzzles.registry import TASKS
from s2h.seeding import generator
from tests.contracts.settings import task_settings

ORDER = {"consecutive_table_readout": table_checks.run_along_rows, "table_readout": table_checks.walk}
READ = {"paper": table_checks.read_latex, "compact": table_checks.read_compact}
CASES = [(name, style, level) for name in ORDER for style in READ for level in task_settings(name, style)["levels"]]


def views(name: str, style: str, level: Any, seed: int) -> tuple[str, str, str, str]:
    """Text, question, chain of thought and answer of a puzzle."""
    kind = TASKS[name]
    task = kind(kind.settings_type.model_validate(task_settings(name, style)))
    puzzle = task.sample(generator(seed, "checked", name, level), level)
    return task.describe(puzzle), task.question(puzzle, "text"), task.reason(puzzle), task.answer(puzzle)


def check(name: str, style: str, text: str, question: str, reasoning: str, answer: str) -> None:
    table = READ[style](text)
    path = ORDER[name](table, *table_checks.ends(table, question))
    table_checks.check_response(table, path, reasoning, answer)


@pytest.mark.parametrize(("name", "style", "level"), CASES)
@hypothesis_settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_text_question_chain_and_answer_agree(name: str, style: str, level: str, seed: int) -> None:
    check(name, style, *views(name, style, level, seed))


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_a_changed_cell_answer_or_step_is_found(name: str, style: str, level: str) -> None:
    text, question, reasoning, answer = views(name, style, level, 0)
    star = "*" if style == "compact" else " *"
    lines = reasoning.split("\n")
    first = 0 if style == "compact" else 2
    changed = lines[first][:-1] + str((int(lines[first][-1]) + 1) % 10)
    for wrong in (
        (text.replace(star, "", 1), question, reasoning, answer),
        (text, question, reasoning, str(int(answer) + 1)),
        (text, question, "\n".join([*lines[:first], *lines[first + 1 :]]), answer),
        (text, question, "\n".join([*lines[:first], changed, *lines[first + 1 :]]), answer),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            check(name, style, *wrong)
