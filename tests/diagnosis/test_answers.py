"""Answers in any dress: what is right is right, what is wrong is wrong, and what leaves a doubt is none."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from s2h.diagnosis.answers import AnswerForm, read_answer, without_thinking
from s2h.diagnosis.diagnoser_registry import DIAGNOSERS, find_diagnoser
from s2h.diagnosis.diagnosis import Diagnosis
from s2h.puzzles.grid_navigation import MOVES
from s2h.puzzles.task import Task
from s2h.seeding import generator
from tests.contracts.settings import shipped_task
from tests.diagnosis.dress import ANNOUNCED, AROUND, DRESSES
from tests.diagnosis.predictions import first_error, gold
from tests.shipped import PAPER_TASKS

FORMS: dict[str, AnswerForm] = {name: DIAGNOSERS[name].form for name in PAPER_TASKS}
RIGHT = {**dict.fromkeys(PAPER_TASKS, "89"), "visual_analogy": "3", "grid_navigation": "down down right up right"}
EXAMPLES = [(FORMS[name], RIGHT[name]) for name in ("table_readout", "visual_analogy", "grid_navigation")]
LAW = hypothesis_settings(max_examples=60, deadline=None)
each_task = pytest.mark.parametrize("name", PAPER_TASKS)
each_form = pytest.mark.parametrize(("form", "right"), EXAMPLES, ids=["total", "option", "moves"])


def answer(reply: str, form: AnswerForm) -> str:
    return read_answer(without_thinking(reply), form).answer


@lru_cache
def puzzles(name: str, style: str) -> tuple[Any, ...]:
    task = shipped_task(name, style)
    return tuple(task.sample(generator(7, "answers", name, index), "SIMPLE", "eval") for index in range(12))


def diagnosed(task: Task[Any], puzzle: Any, reply: str) -> Diagnosis:
    return find_diagnoser(task).diagnose(puzzle, reply)


@st.composite
def worded(draw: st.DrawFn, right: str) -> str:
    """An answer in one of the ways in which models write it."""
    if right.isdigit():
        return draw(
            st.sampled_from([right, f"{right}.0", f"{int(right):,}", "".join(chr(ord(d) + 0xFEE0) for d in right)])
        )
    moves = right.split()
    names = draw(
        st.sampled_from(
            [
                moves,
                [move.capitalize() for move in moves],
                [move.upper() for move in moves],
                [move[0] for move in moves],
                [move[0].upper() for move in moves],
                [{"up": "↑", "down": "↓", "left": "←", "right": "→"}[move] for move in moves],
                [{"up": "⬆️", "down": "⬇️", "left": "⬅️", "right": "➡️"}[move] for move in moves],
            ]
        )
    )
    joins = [" ", ", ", "; ", "\n", ",\n", "\n\n", " | "]
    if names[0].isalpha():
        joins += [" → ", " -> ", "->", " →\n", " > ", "-", ", then ", "\n- "]
        join = draw(st.sampled_from(joins))
    else:
        join = draw(st.sampled_from([*joins, ""]))
    numbered = [f"{number}. {name}" for number, name in enumerate(names, 1)]
    return draw(st.sampled_from([join.join(names), "\n".join(numbered)]))


@each_task
@pytest.mark.parametrize("style", ["compact", "paper"])
@LAW
@given(data=st.data())
def test_right_in_any_dress_is_right_and_wrong_in_any_dress_is_wrong(
    name: str, style: str, data: st.DataObject
) -> None:
    task = shipped_task(name, style)
    puzzle, other = (data.draw(st.sampled_from(puzzles(name, style))) for _ in range(2))
    dress = data.draw(st.sampled_from(DRESSES))
    right, wrong = task.answer(puzzle), task.answer(other)
    found = diagnosed(task, puzzle, dress.replace("@", right))
    assert (found.correct, found.parsed, found.answer) == (True, True, right), dress
    assert found.chain_correct is False
    assume(not task.judge(puzzle, f"Answer: {wrong}").correct)
    found = diagnosed(task, puzzle, dress.replace("@", wrong))
    assert (found.correct, found.answer) == (False, wrong), dress


@each_task
@LAW
@given(data=st.data())
def test_the_wording_of_an_answer_does_not_matter(name: str, data: st.DataObject) -> None:
    task = shipped_task(name, "paper")
    puzzle, other = (data.draw(st.sampled_from(puzzles(name, "paper"))) for _ in range(2))
    announced = data.draw(st.sampled_from(ANNOUNCED))
    right, wrong = task.answer(puzzle), task.answer(other)
    reply = announced.replace("@", data.draw(worded(right)))
    assert diagnosed(task, puzzle, reply).correct, reply
    assume(not task.judge(puzzle, f"Answer: {wrong}").correct)
    assert not diagnosed(task, puzzle, announced.replace("@", data.draw(worded(wrong)))).correct


@each_task
@LAW
@given(data=st.data())
def test_a_dressed_answer_after_a_right_chain_is_right_from_end_to_end(name: str, data: st.DataObject) -> None:
    task = shipped_task(name, "paper")
    puzzle = data.draw(st.sampled_from(puzzles(name, "paper")))
    around = data.draw(st.sampled_from([each for each in AROUND if "\u200b" not in each and "{\n" not in each]))
    right = task.answer(puzzle)
    bare = f"Answer: {right}"
    for dressed in (around.replace("@", bare), bare.replace(right, around.replace("@", right))):
        found = diagnosed(task, puzzle, gold(task, puzzle).replace(bare, dressed))
        assert first_error(found) == (None,) * 5, dressed
        assert found.chain_correct


@each_task
@pytest.mark.parametrize("style", ["compact", "paper"])
@LAW
@given(noise=st.text(max_size=40) | st.text("lrudefighton Aswp:.,0123456789()[]*\n", max_size=40))
def test_what_stands_as_asked_is_what_the_task_reads(name: str, style: str, noise: str) -> None:
    task, puzzle = shipped_task(name, style), puzzles(name, style)[0]
    for text in (noise, f"Answer: {noise}", f"Answer: {task.answer(puzzle)}{noise}"):
        asked = FORMS[name].asked(text)
        assert asked == task.judge(puzzle, text).answer
        strictly = find_diagnoser(task, strict=True).diagnose(puzzle, text)
        assert (strictly.answer, strictly.tolerant) == (asked, False)
        if "\n" not in text.strip() and "answer" not in noise.lower():
            found = diagnosed(task, puzzle, text)
            assert not asked or (found.answer, found.tolerant) == (asked, False)


@each_form
@LAW
@given(
    noise=st.text(max_size=60), dress=st.sampled_from(DRESSES), place=st.sampled_from(["@", "@ {}", "{} @", "{}@{}"])
)
def test_no_text_raises(form: AnswerForm, right: str, noise: str, dress: str, place: str) -> None:
    read_answer(without_thinking(dress.replace("@", place.replace("{}", noise).replace("@", right))), form)


HOSTILE = (
    "Answer: ", "Answer: 1\n", "answer is ", "the answer is up up\n", "\\boxed{", "\\boxed{1} ", "\\text{", "{", "}",
    "[", "(", "*", "`", "```\n", '"answer": ', '"answer": [', '{"answer":', "<answer>", "</answer>", "<think>",
    "</think>", "up ", "up\n", "1. ", "→", "up → ", "\n", "\t \n", "the ", "3 + ", "= ", "9", "9,", "$", "<", "-",
)  # fmt: skip


@each_form
@pytest.mark.parametrize("unit", HOSTILE, ids=ascii)
def test_long_texts_are_read_in_no_time(form: AnswerForm, right: str, unit: str) -> None:
    for start in ("", "Answer: "):
        text, began = start + unit * (20_000 // len(unit)), time.process_time()
        read_answer(without_thinking(text), form)
        assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "reply",
    [
        "Answer: The total is 1089.", "Answer: the sum of all values is 1089", "Answer: 3 + 4 + 1082 = 1089",
        "Answer: The total is 3 + 4 + 1082 = **1089**.", "Answer: $3 + 4 + 1082 = 1089$", "Answer: 1089 units",
        "Answer: 1,089", "Answer: １０８９", "Answer: 1089.0", "Answer: $1089", "Answer: 1089!", r"\boxed{1{,}089}",
        "Answer: 1089 (the sum of the highlighted values)", "Answer: 1089, because the values add up to it.",
        "The total is 1089.", "The sum of the values along the path is 1089.", "Answer: 1089 is the total.",
        '{"answer": 1089}', '{"answer": 1089.0}', '{"answer": [1089]}', "Answer: **Total = 1089**", "Total: 1089",
        "The answer is 3 + 4 + 1082 = 1089.", "Answer: 1089\n---\nThe cells are 3, 4 and 1082.",
        "<answer>The total is 1089</answer>", "Answer: The total is 1089. I read the cells one by one.",
    ],
)  # fmt: skip
def test_a_total_may_stand_in_a_sentence_or_a_sum(reply: str) -> None:
    assert answer(reply, FORMS["table_readout"]) == "1089"


@pytest.mark.parametrize(
    "reply",
    [
        "Answer: Option 3", "Answer: option (3)", "Answer: [Option 3]", "Answer: The correct option is 3.",
        "Answer: #3", "Answer: Option 3: (shape size, XOR), consistent", "Answer: three", "Answer: Option Three",
        "I choose option 3.", "Answer: Option 3 is consistent",
        "Answer: **Option 3** (it follows XOR)", "Answer: 3 because it follows XOR", "Answer: 3 – consistent",
        "The answer is option 3.", "Option 3", '{"answer": 3}', '{"answer": "Option 3"}',
        r"\boxed{\text{Option 3}}", "<answer>option 3</answer>", "Answer: Option 3.\n\nNo other one is consistent.",
    ],
)  # fmt: skip
def test_an_option_may_stand_in_a_sentence(reply: str) -> None:
    assert answer(reply, FORMS["visual_analogy"]) == "3"


@pytest.mark.parametrize(
    "reply",
    [
        "Answer: down → down -> right > up → right", "Answer: ↓↓→↑→", "Answer: DDRUR", "Answer: ddr, ur",
        "Answer: D→D→R→U→R", "Answer: down down right\nup right", "Answer: down →\ndown →\nright → up → right",
        '{"answer": ["down", "down", "right", "up", "right"]}',
        '{"answer": [\n"down", "down",\n"right", "up", "right"]}',
        "Answer: Move down, move down, move right, then move up and finally right.",
        r"Answer: $\downarrow \downarrow \rightarrow \uparrow \rightarrow$",
        r"Answer: down $\rightarrow$ down $\rightarrow$ right $\to$ up $\to$ right",
        "Answer: Step 1: down, Step 2: down, Step 3: right, Step 4: up, Step 5: right",
        "Answer:\n- down\n- down\n- right\n- up\n- right\n\nThis collects all objects.",
        "Answer: down down right up right\n\nI checked it: the answer is right.",
        "The walk is: down, down, right, up, right",
    ],
)  # fmt: skip
def test_moves_may_be_words_arrows_or_initials_on_many_lines(reply: str) -> None:
    assert answer(reply, FORMS["grid_navigation"]) == RIGHT["grid_navigation"]


NOT_THE_NUMBER = (
    "-@", "−@", "- @", "@.5", "0.@", ".@", "@%", "@/2", "1/@", "@^2", "@²", "@k", "@e3", "@-@0", "@–95", "~@", "≈ @",
    "about @", "approximately @", "not @", "isn't @", "≠ @", "!= @", ">= @", "<= @", "> @", "<@", "@ or 2", "2 or @",
    "either @ or 2", "@, 2", "[@, 2]", "2 and @", "between 2 and @", "@ is wrong", "@ is not the answer", "minus @",
    "half of @", "@ minus 1", "@ + 1", "2 + @", "2 * @", "@ thousand", "1@", "@1", "@ 1", "1 @", "@,1", "x@", "@x",
    "@th", "~~@~~", "~~@~~ 2", "<del>@</del>", "2 (not @)", "@?", "2, no, @", "@. No, 2", "@. Wait, 2.", "2 = @",
    "@ = 2", "0x@", "Unknown, maybe 2 or @", "The table has @ rows", "there are @ options", "none of @", "@ cells",
    "number of cells: @", "2, (first I had @)", "@ × 2", "I refuse to answer question @", "anything but @", "@ or @1",
    r"\cancel{@}",
)  # fmt: skip
NOT_THE_ANSWER = (
    "Wrong answer: @", "Not the answer: @", "My first answer: @", "Possible answer: @", "Answer: @\nWait, no.",
    "Answer: @\nActually, it is 2.", "Answer: @\nSorry, 2.", "Answer: @\nAnswer: 2", "Answer: @\n\\boxed{2}",
    "Answer: @\nThe final answer is 2.", "Answer: @\nThe answer is not @.", "\\boxed{@}\n\\boxed{2}",
    "\\boxed{@} or \\boxed{2}", "It is not \\boxed{@}.", '{"answer": "@", "answer": "2"}', '{"wrong_answer": "@"}',
    '{"answer": {"a": "@"}}', '{"answer": null, "value": "@"}', "<answer>@</answer><answer>2</answer>",
    "I doubt that the answer is @", "If the answer is @, fine", "Someone said the answer is @?", "The answer is not @",
    "<think>Answer: @", "<think>Answer: @</think>", "Answer: @</think>", "Answer: @\n<think>hm",
    "Answer: I do not know\n@", "Answer: unknown.\n\n@", "Answer: @.\nCorrection: 2", "Answer: @\nI made a mistake: 2",
    "I think\n@\nis not right",
)  # fmt: skip


@pytest.mark.parametrize("text", NOT_THE_NUMBER)
@pytest.mark.parametrize(("form", "right"), EXAMPLES[:2], ids=["total", "option"])
def test_a_text_around_a_number_may_make_it_another(form: AnswerForm, right: str, text: str) -> None:
    said = text.replace("@", right)
    for reply in (said, f"Answer: {said}", f"The answer is {said}", f"\\boxed{{{said}}}", f"<answer>{said}</answer>"):
        assert answer(reply, form) != right, reply


@each_form
@pytest.mark.parametrize("reply", NOT_THE_ANSWER)
def test_what_is_retracted_denied_or_thought_is_no_answer(form: AnswerForm, right: str, reply: str) -> None:
    assert answer(reply.replace("@", right).replace("2", "2" if right.isdigit() else "up"), form) != right


@pytest.mark.parametrize(
    "said",
    [
        "down 2 right", "down x2 right", "2 down 1 right", "down (2) right", "down*2 right", "1. down 3. right",
        "down 1. right 2.", "down or right", "down right or left", "don't go down", "down… right", "down ↓ right",
        "↓ right", "→ down", "down → → right", "down D right", "S D", "north", "down/right", "~~down~~ right", "Dd",
        "back down", "left to right", "right, first down", "down downn right",
    ],
)  # fmt: skip
def test_moves_that_can_be_read_in_two_ways_are_no_answer(said: str) -> None:
    for reply in (said, f"Answer: {said}", f"The answer is {said}", f"\\boxed{{{said}}}"):
        assert answer(reply, FORMS["grid_navigation"]) == ""


@given(st.lists(st.sampled_from([*MOVES, "2", "or", "then", "→", "->", "u", "D", "1.", ",", "…"]), max_size=8))
def test_a_list_of_moves_is_read_whole_or_not_at_all(words: list[str]) -> None:
    found = answer(f"Answer: {' '.join(words)}", FORMS["grid_navigation"]).split()
    assert not found or found == [word for word in words if word in MOVES] or not set(words) & MOVES.keys()


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("so Answer: 5", "so Answer: 5"),
        ("<think>a\nb</think>\nAnswer: 5", "Answer: 5"),
        (" <thinking>a</thinking><thought>b</thought>c", "c"),
        ("Answer: 1\n</think>\nAnswer: 2", "Answer: 2"),
        ("  1 < 2 and <think> is a tag", "  1 < 2 and <think> is a tag"),
        ("<think>a</think>b, and <think> is a tag", "b, and <think> is a tag"),
        ("Answer: 5<THINK>b</THINK>", "Answer: 5"),
        ("a</think>Answer: 5", "Answer: 5"),
        ("<think>a<think>b</think>c</think>Answer: 5", "Answer: 5"),
        ("<think>a</think>b<think>c</think>d", "bd"),
        ("<think>a<think>b</think>d", "d"),
        ("Answer: 5\n <think>so", ""),
        ("<think>a</think>b\n<think>c", ""),
        ("<thinking>a</thinking>b", "b"),
        ("", ""),
    ],
)
def test_thinking_is_left_out(reply: str, text: str) -> None:
    assert without_thinking(reply) == text


def test_thinking_counts_neither_for_the_chain_nor_for_the_metrics() -> None:
    task, puzzle = shipped_task("table_readout", "paper"), puzzles("table_readout", "paper")[0]
    right, block = gold(task, puzzle), task.answer_block(puzzle)
    found = diagnosed(task, puzzle, f"<think>Hm, 7?\n\nAnswer: 7</think>\n\n{right}")
    assert (found.chain_correct, found.tolerant, found.metrics["exact_match"]) == (True, False, 1)
    found = diagnosed(task, puzzle, f"<think>{right}</think>\n\n{block}")
    assert (found.correct, found.chain_correct, found.error, found.metrics["exact_match"]) == (True, False, None, 0)
    for cut in (f"<think>{right}", f"{right}\n<think>so"):
        found = diagnosed(task, puzzle, cut)
        assert (found.parsed, found.correct, found.error, found.metrics["exact_match"]) == (False, False, "format", 0)


@each_task
def test_a_diagnosis_says_whether_only_the_tolerant_reader_found_the_answer(name: str) -> None:
    task, puzzle = shipped_task(name, "paper"), puzzles(name, "paper")[0]
    block = task.answer_block(puzzle)
    dressed = block.replace("Answer:", "**Answer**:")
    for reply, tolerant in ((block, False), (dressed, True), ("", False)):
        assert diagnosed(task, puzzle, reply).tolerant == tolerant
    strictly = find_diagnoser(task, strict=True).diagnose(puzzle, dressed)
    assert (strictly.parsed, strictly.correct, strictly.error) == (False, False, "format")
    metrics = diagnosed(task, puzzle, dressed).metrics
    assert (metrics["exact_match"], metrics.get("partial_score", 0)) == (0, 0)  # the paper's own read no dress
