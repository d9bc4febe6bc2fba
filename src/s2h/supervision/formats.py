"""The supervision formats: one puzzle seen as Text, Image or Image-via-Text, as polars expressions."""

from __future__ import annotations

from typing import Literal

import polars as pl

Format = Literal["text", "image", "image_via_text"]
FORMATS: tuple[Format, ...] = ("text", "image", "image_via_text")

CONVERSION = "Converted to text:"
"""The line that announces the conversion of the image to text; an Image-via-Text response begins with it."""

WORDS = frozenset(CONVERSION.split())
"""The words that supervision adds to those of a task."""

TEXT_COLUMNS = ("puzzle_id", "text", "text_question", "image_question", "reasoning", "answer_block")
"""The puzzle columns that supervision is made of; no image bytes are read for it."""


def prompt(form: Format) -> pl.Expr:
    """The user's turn without the image itself. Image-via-Text asks exactly what Image asks."""
    if form == "text":
        return pl.concat_str(["text", "text_question"], separator="\n\n").alias("prompt")
    return pl.col("image_question").alias("prompt")


def response(form: Format) -> pl.Expr:
    """The model's turn: an Image-via-Text response first writes the image down as text."""
    parts = [pl.col("reasoning"), pl.col("answer_block")]
    if form == "image_via_text":
        parts = [pl.lit(CONVERSION), pl.col("text"), *parts]
    return pl.concat_str(parts, separator="\n\n").alias("response")


def shows_image(form: Format) -> bool:
    """Whether the user's turn holds the image."""
    return form != "text"
