"""The reasoning that a model writes down before its response, and the response after it."""

from __future__ import annotations

import re

_NAMES = "think|thinking|thought|reasoning"
_OPENED = re.compile(rf"\s*(<({_NAMES})>|\[THINK\]|◁think▷)")
_CLOSED = re.compile(rf"</({_NAMES})>|\[/THINK\]|◁/think▷")


def with_reasoning(reasoning: str, response: str) -> str:
    """A prediction from both, where a server gives them apart."""
    return f"<think>\n{reasoning}\n</think>\n\n{response}" if reasoning else response


def response_of(prediction: str) -> str:
    """What a prediction says once its reasoning has ended: all of it where there is none, nothing where it never ends.

    A chat template may open the block as part of the prompt, so that a prediction only closes it.
    """
    ends = [found.end() for found in _CLOSED.finditer(prediction)]
    if ends:
        return prediction[ends[-1] :].lstrip()
    return "" if _OPENED.match(prediction) else prediction
