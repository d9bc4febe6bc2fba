"""The beginning of a response that converts its image to text."""

from __future__ import annotations

import re

import polars as pl
import pytest

from s2h.supervision.conversion import CONVERTED, OPENING
from s2h.supervision.formats import FORMATS, response
from tests.contracts.settings import CASES
from tests.supervision.test_formats import frame


@pytest.mark.parametrize(("name", "style", "level"), CASES)
def test_image_via_text_begins_with_the_conversion_and_no_other_format_does(name: str, style: str, level: str) -> None:
    puzzles = frame(name, style, level)
    for form in FORMATS:
        responses = puzzles.select(response(form))["response"]
        assert responses.str.starts_with(OPENING).to_list() == [form == "image_via_text"] * 3
        assert responses.str.contains(CONVERTED).to_list() == [form == "image_via_text"] * 3
    puzzles = puzzles.with_columns(opened=OPENING + pl.col("text"))
    assert puzzles.select(response("image_via_text").str.starts_with(pl.col("opened")))["response"].all()


@pytest.mark.parametrize(
    ("text", "converts"),
    [
        ("Converted to text:", True),
        (" \nConverted to\ntext: n a:7", True),
        ("Converted to text:\n\nn a:7", True),
        ("n a 7 = 7\n\nConverted to text:\n\nn a:7", False),
        ("Converted to text:n", False),
        ("Converted to tex", False),
        ("", False),
    ],
)
def test_python_and_polars_find_the_same_conversions(text: str, converts: bool) -> None:
    assert bool(re.match(CONVERTED, text)) == converts
    assert pl.Series([text]).str.contains(CONVERTED).item() == converts
