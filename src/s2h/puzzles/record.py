"""One puzzle or scene as a row of a shard: the dataclass and its Arrow schema, side by side."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from typing import Any, Final

import pyarrow as pa

LEVELS = ("SIMPLE", "MEDIUM", "HARD")
SPLITS = ("train", "eval")
MODALITIES: Final = ("text", "image")


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One puzzle, as an image and as equivalent text, with its answer and chain of thought.

    Of a scene, a drawing that is no puzzle, questions, chains of thought and answers are empty.

    Attributes:
        puzzle_id: unique over the whole study, ``{task}-{level}-{split}-{index:07d}``.
        task: registered name of the task.
        level: SIMPLE, MEDIUM or HARD; SCENES for a scene.
        split: train or eval.
        index: position in its set, counted over all shards, from 0.
        text: the puzzle as text.
        text_question: what is asked when the puzzle is given as text.
        image_question: what is asked when the puzzle is given as an image.
        transcription_question: what is asked when the image is only to be written down as text.
        reasoning: the chain of thought, the same for both modalities.
        alternatives: other wordings of the chain of thought, each with its ``name`` and its ``reasoning``.
        answer_block: how every response ends; its last line is ``Answer: `` and the answer.
        answer: the answer alone.
        puzzle: the symbolic puzzle as JSON; text, image and answer are functions of it.
        image: a PNG file and its name, as Hugging Face's Image feature stores them.
    """

    puzzle_id: str
    task: str
    level: str
    split: str
    index: int
    text: str
    text_question: str
    image_question: str
    transcription_question: str
    reasoning: str
    alternatives: list[dict[str, str]]
    answer_block: str
    answer: str
    puzzle: str
    image: dict[str, Any]


SCHEMA = pa.schema(
    [
        ("puzzle_id", pa.string()),
        ("task", pa.string()),
        ("level", pa.string()),
        ("split", pa.string()),
        ("index", pa.int64()),
        ("text", pa.string()),
        ("text_question", pa.string()),
        ("image_question", pa.string()),
        ("transcription_question", pa.string()),
        ("reasoning", pa.string()),
        ("alternatives", pa.list_(pa.struct([("name", pa.string()), ("reasoning", pa.string())]))),
        ("answer_block", pa.string()),
        ("answer", pa.string()),
        ("puzzle", pa.string()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    ],
    # Tells Hugging Face's datasets that the image column holds pictures, so that it decodes them by itself.
    metadata={"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})},
)


def descriptions() -> dict[str, str]:
    """A description of each column, from the docstring of ``Record``."""
    text = (inspect.getdoc(Record) or "").partition("Attributes:")[2]
    parts = re.findall(r"^    (\w+): (.+?)(?=^    \w+: |\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: " ".join(words.split()) for name, words in parts}
