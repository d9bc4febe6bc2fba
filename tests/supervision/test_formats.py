"""The four formats, each with and without a chain of thought, on real puzzles of every task."""

from __future__ import annotations

import dataclasses
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from s2h.phases import Part
from s2h.puzzles.shards import PuzzleSet, make_record
from s2h.supervision.formats import FORMATS, FULL, NONE, TEXT_COLUMNS, TRANSCRIPTION_HEADER, has_image, prompt, response
from tests.contracts.settings import CASES, shipped_task


def frame(name: str, style: str, level: Any) -> pl.DataFrame:
    records = [make_record(shipped_task(name, style), PuzzleSet(0, level, "train"), index) for index in range(3)]
    return pl.DataFrame([{name: dataclasses.asdict(record)[name] for name in TEXT_COLUMNS} for record in records])


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_every_format_asks_and_answers_as_it_should(name: str, style: str, level: str) -> None:
    puzzles = frame(name, style, level)
    for form in FORMATS:
        for chain in (FULL, NONE, *shipped_task(name, style).alternative_chains):
            said = puzzles.select(prompt(form), response(form, chain)).to_dicts()
            for row, puzzle in zip(said, puzzles.to_dicts(), strict=True):
                question = {
                    "text": f"{puzzle['text']}\n\n{puzzle['text_question']}",
                    "image_to_text": puzzle["transcription_question"],
                }.get(form, puzzle["image_question"])
                chains = {each["name"]: each["reasoning"] for each in puzzle["alternatives"] or []}
                chains |= {FULL: puzzle["reasoning"]}
                parts = [puzzle["answer_block"]]
                if chain != NONE:
                    parts.insert(0, chains[chain])
                if form == "image_via_text":
                    parts = [TRANSCRIPTION_HEADER, puzzle["text"], *parts]
                if form == "image_to_text":
                    parts = [puzzle["text"]]
                assert row == {"prompt": question, "response": "\n\n".join(parts)}


def test_an_unknown_chain_gives_no_response() -> None:
    puzzles = frame("visual_analogy", "paper", "HARD")
    assert puzzles.select(response("text", "another"))["response"].null_count() == 3


def test_only_text_shows_no_image() -> None:
    assert [form for form in FORMATS if not has_image(form)] == ["text"]


def test_a_transcription_with_a_chain_is_refused() -> None:
    with pytest.raises(ValidationError, match="image_to_text has no chain"):
        Part(level="SIMPLE", format="image_to_text", share=1, chain="none")  # type: ignore[arg-type]
