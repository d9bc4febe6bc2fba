"""What the requests to a model behind an API say beside the prompt, and what its tokens cost."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from s2h.errors import ModelError
from s2h.settings import Settings

_OURS = {"messages", "model", "n", "stream", "max_tokens", "max_completion_tokens", "temperature", "reasoning_effort"}
_SECRET = re.compile(r"auth|cookie|key|secret|token", re.IGNORECASE)


class RequestSettings(Settings):
    """What a request says beside the prompt.

    Attributes:
        max_tokens_field: the field that carries ``scoring.max_new_tokens``; OpenAI's reasoning models take
            ``max_completion_tokens`` alone.
        temperature: null leaves the field out, for models that take no other than their own.
        reasoning_effort: e.g. ``low`` or ``high``; null leaves the field out.
        system_prompt: a message of the system before the user's turn; empty for none.
        image_format: in which images are sent. ``original`` sends PNG and JPEG files as they are and others as PNG;
            JPEG files lose detail, and are smaller.
        image_detail: ``detail`` of an image (OpenAI: ``low``, ``high``, ``auto``); null leaves it out.
        extra_body: further fields of the body, e.g. ``{top_p: 1}`` or ``{provider: {order: [one]}}``.
        headers: further headers. A value may name environment variables, as in ``$MY_KEY``; those of headers for keys
            must, so that no key stands in a config or in a result.
    """

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: float | None = Field(0.0, ge=0)
    reasoning_effort: str | None = None
    system_prompt: str = ""
    image_format: Literal["original", "png", "jpeg"] = "original"
    image_detail: str | None = None
    extra_body: dict[str, Any] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)

    @field_validator("extra_body")
    @classmethod
    def _changes_no_other_setting(cls, fields: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(_OURS & fields.keys()):
            raise ValueError(f"{', '.join(taken)} cannot be set here: there are settings for what may be changed")
        return fields

    @field_validator("headers")
    @classmethod
    def _hold_no_secrets(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if _SECRET.search(name) and "$" not in value:
                raise ValueError(f"{name}: name the environment variable that holds the value, as in $MY_KEY")
        return headers

    @property
    def deciding(self) -> dict[str, Any]:
        """The settings that decide a reply."""
        return self.model_dump(mode="json", exclude={"max_tokens_field", "headers"})

    def filled_headers(self) -> dict[str, str]:
        """The headers with the values of environment variables.

        Raises:
            ModelError: a variable is not set.
        """
        return {name: _filled(name, value, os.environ) for name, value in self.headers.items()}


def _filled(header: str, value: str, variables: Mapping[str, str]) -> str:
    def look_up(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not variables.get(name):
            raise ModelError(f"the environment variable {name} holds nothing for the header {header}: set it.")
        return variables[name]

    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", look_up, value)


class PriceSettings(Settings):
    """The price of a model's tokens, USD per million.

    Attributes:
        input: of a prompt, images included.
        output: of a reply, reasoning included.
    """

    input: float = Field(ge=0)
    output: float = Field(ge=0)

    def usd(self, prompt_tokens: int, tokens: int) -> float:
        """The price of so many tokens of prompts and of replies."""
        return (prompt_tokens * self.input + tokens * self.output) / 1e6
