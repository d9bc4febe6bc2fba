"""The supervision formats: one puzzle seen in four ways, each with or without a chain of thought, in polars."""

from __future__ import annotations

from typing import Literal

import polars as pl

Format = Literal["text", "image", "image_via_text", "image_to_text"]
FORMATS: tuple[Format, ...] = ("text", "image", "image_via_text", "image_to_text")
"""Text, Image, Image-via-Text, and the transcription alone, whose response is the puzzle as text."""

FULL, NONE, INTERNALISED = "full", "none", "internalised"
"""Chains of thought of every task: all of it, the answer alone, and less and less of it. A task may have others."""

TRANSCRIPTION_HEADER = "Converted to text:"
"""The line that announces the transcription of the image to text; an Image-via-Text response begins with it."""
CONVERT_TOKEN = "<Convert>"
"""Stands, some times over, in place of a transcription that is not written out."""

WORDS = frozenset({*TRANSCRIPTION_HEADER.split(), CONVERT_TOKEN})
"""The words that supervision adds to those of a task."""

TEXT_COLUMNS = (
    "puzzle_id", "text", "text_question", "image_question", "transcription_question", "reasoning", "alternatives",
    "answer_block",
)  # fmt: skip
"""The puzzle columns that supervision is made of; no image bytes are read for it."""


def prompt(form: Format) -> pl.Expr:
    """The user's turn without the image itself. Image-via-Text asks exactly what Image asks."""
    if form == "text":
        return pl.concat_str(["text", "text_question"], separator="\n\n").alias("prompt")
    return pl.col("transcription_question" if form == "image_to_text" else "image_question").alias("prompt")


def transcription(form: Format, convert_tokens: int = 0) -> pl.Expr:
    """The part of the response before its reasoning: the puzzle as text, or as tokens; empty for most formats.

    The transcription alone writes the text and nothing else.
    """
    if form == "image_to_text":
        return pl.col("text")
    if form != "image_via_text":
        return pl.lit("")
    if convert_tokens:
        return pl.lit(" ".join([CONVERT_TOKEN] * convert_tokens))
    return pl.concat_str([pl.lit(TRANSCRIPTION_HEADER), pl.col("text")], separator="\n\n")


def chain_of_thought(form: Format, chain: str = FULL) -> pl.Expr:
    """The chain of thought in the words of ``chain``; empty where there is none, null where the puzzle has no such one.

    An internalised chain is whole here: how much is kept of it depends on an example's place in its mixture.
    """
    if form == "image_to_text" or chain == NONE:
        return pl.lit("")
    if chain in (FULL, INTERNALISED):
        return pl.col("reasoning")
    chains = pl.element().filter(pl.element().struct.field("name") == chain).struct.field("reasoning")
    return pl.col("alternatives").list.eval(chains).list.first()


def answer_block(form: Format) -> pl.Expr:
    """How the response ends; empty for the transcription alone, which does not answer."""
    return pl.lit("") if form == "image_to_text" else pl.col("answer_block")


def joined(parts: list[pl.Expr]) -> pl.Expr:
    """Parts with a blank line between them, empty ones left out; null where one of them is."""
    filled = [pl.when(part == "").then(pl.lit("")).otherwise(part + "\n\n") for part in parts]
    return pl.concat_str(filled).str.strip_chars_end("\n").alias("response")


def response(form: Format, chain: str = FULL, convert_tokens: int = 0) -> pl.Expr:
    """The model's turn; null where a puzzle has no chain of that name.

    Args:
        form: the supervision format.
        chain: ``full``, ``none`` or the name of an alternative.
        convert_tokens: how many tokens replace the transcription; 0 writes it out.
    """
    return joined([transcription(form, convert_tokens), chain_of_thought(form, chain), answer_block(form)])


def has_image(form: Format) -> bool:
    """Whether the user's turn holds the image."""
    return form != "text"
