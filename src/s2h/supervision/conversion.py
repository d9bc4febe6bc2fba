"""The conversion of an image to text, with which a response may begin: left to the model, forced, or forbidden."""

from __future__ import annotations

from typing import Literal

from s2h.supervision.formats import TRANSCRIPTION_HEADER

Conversion = Literal["free", "forced", "forbidden"]
"""Whether a response begins with the conversion: as the model decides, always, or never."""

CONVERSIONS: tuple[Conversion, ...] = ("free", "forced", "forbidden")

OPENING = f"{TRANSCRIPTION_HEADER}\n\n"
"""The beginning of every Image-via-Text response, up to the first character of the puzzle's text.

The blank line belongs to it: many tokenizers have one token for a colon and the line breaks behind it.
"""

CONVERTED = r"^\s*" + r"\s+".join(TRANSCRIPTION_HEADER.split()) + r"(\s|$)"
"""A regular expression, for Python and for polars, that finds the conversion at the beginning of a response."""
