"""Pages of HTML from templates, in which everything that is shown is data."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup


def open_template(path: Path) -> Template:
    """A template whose values are escaped and made visible; one that it does not get is an error."""
    environment = Environment(
        loader=FileSystemLoader(path.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalized,
    )
    return environment.get_template(path.name)


def visible(text: str) -> str:
    """The text with characters that are not seen, or change how others are seen, replaced by their numbers."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else f"⟨U+{ord(c):04X}⟩" for c in text)


def data_address(data: bytes, kind: str) -> str:
    """A file as an address, so that a page needs no file beside it; ``kind`` is its media type, as image/png."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _finalized(value: Any) -> Any:
    """The text of a value of the template, before it is escaped."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
