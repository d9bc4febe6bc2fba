"""The supervision formats: one puzzle seen in four ways, each with or without a chain of thought, in polars."""

from __future__ import annotations

from typing import Literal

import polars as pl

Format = Literal["text", "image", "image_via_text", "image_to_text"]
FORMATS: tuple[Format, ...] = ("text", "image", "image_via_text", "image_to_text")
"""Text, Image, Image-via-Text, and the conversion alone, whose response is the puzzle as text."""

FULL, NONE = "full", "none"
"""Chains of thought of every task: the whole of it, and the answer alone. A task may have alternatives by name."""

CONVERSION = "Converted to text:"
"""The line that announces the conversion of the image to text; an Image-via-Text response begins with it."""

WORDS = frozenset(CONVERSION.split())
"""The words that supervision adds to those of a task."""

TEXT_COLUMNS = (
    "puzzle_id", "text", "text_question", "image_question", "conversion_question", "reasoning", "alternatives",
    "answer_block",
)  # fmt: skip
"""The puzzle columns that supervision is made of; no image bytes are read for it."""


def prompt(form: Format) -> pl.Expr:
    """The user's turn without the image itself. Image-via-Text asks exactly what Image asks."""
    if form == "text":
        return pl.concat_str(["text", "text_question"], separator="\n\n").alias("prompt")
    return pl.col("conversion_question" if form == "image_to_text" else "image_question").alias("prompt")


def response(form: Format, chain: str = FULL) -> pl.Expr:
    """The model's turn; null where a puzzle has no chain of that name.

    An Image-via-Text response first writes the image down as text; the conversion alone does nothing else.

    Args:
        form: the supervision format.
        chain: ``full``, ``none`` or the name of an alternative; the conversion has none.
    """
    if form == "image_to_text":
        return pl.col("text").alias("response")
    parts = [pl.lit(CONVERSION), pl.col("text")] if form == "image_via_text" else []
    if chain != NONE:
        parts.append(pl.col("reasoning") if chain == FULL else _alternative(chain))
    return pl.concat_str([*parts, pl.col("answer_block")], separator="\n\n").alias("response")


def _alternative(name: str) -> pl.Expr:
    chains = pl.element().filter(pl.element().struct.field("name") == name).struct.field("reasoning")
    return pl.col("alternatives").list.eval(chains).list.first()


def shows_image(form: Format) -> bool:
    """Whether the user's turn holds the image."""
    return form != "text"
