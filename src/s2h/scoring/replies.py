"""What servers answer to a request: a reply, or one of many kinds of failure, as those in use word them."""

from __future__ import annotations

import dataclasses
import email.utils
import json
import re
import time
from collections.abc import Mapping
from typing import Any, Literal

from s2h.scoring.decoding import Prediction

Kind = Literal["busy", "unreachable", "broken", "empty", "refused", "fatal"]
"""Of a failure: the server wants to be asked later; it cannot be reached; something went wrong, and may not go wrong
again; there is a reply without any text; this prompt is refused for good; every request would fail."""

_FINISHES = {"max_tokens": "length", "safety": "content_filter", "recitation": "content_filter"}
"""Words of servers for why a reply ended, and OpenAI's for the same; compared in lower case."""

_FILTERED = re.compile(r"content.?(filter|polic|management)|moderation|responsible.?ai|safety|flagged|prohibited", re.I)
_TOO_LONG = re.compile(
    r"context.?(length|window)|too (long|large|many)|maximum (context|length)|string_above_max", re.I
)
_NO_MONEY = re.compile(r"insufficient.?(quota|credit|balance|fund)|billing_hard_limit|spending.?limit", re.I)
_TOLD_WAIT = re.compile(r'(?:retryDelay": "|(?:try again|retry) in )(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)(ms|s))?', re.I)
_BUSY, _FATAL = (429, 503, 529), (401, 402, 403, 404, 405)
_LONGEST = 300  # characters of a server's message in ours


class ReplyError(Exception):
    """A request without a reply that can be used.

    Args:
        kind: what to do about it.
        cause: what the server said, in one line.
        seconds: that the server asks to wait; None where it does not say.
    """

    def __init__(self, kind: Kind, cause: str, *, seconds: float | None = None) -> None:
        super().__init__(cause)
        self.kind, self.cause, self.seconds = kind, cause, seconds


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of a request, all that are paid; None where the server does not tell.

    Attributes:
        prompt_tokens: of the prompt.
        tokens: of the reply, reasoning included.
        reasoning_tokens: of these.
    """

    prompt_tokens: int | None = None
    tokens: int | None = None
    reasoning_tokens: int | None = None


def read_usage(answer: Any) -> Usage:
    """The tokens that an answer tells. Some servers count reasoning in the total alone."""
    found = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        return Usage()
    prompt, tokens, total = (_count(found.get(f"{name}_tokens")) for name in ("prompt", "completion", "total"))
    if tokens is not None and prompt is not None and total is not None:
        tokens = max(tokens, total - prompt)
    details = found.get("completion_tokens_details")
    reasoning = details.get("reasoning_tokens") if isinstance(details, dict) else None
    return Usage(prompt, tokens, _count(reasoning))


def read_reply(answer: Any, *, seconds: float) -> Prediction:
    """The prediction in an answer with status 200.

    Args:
        answer: its JSON.
        seconds: that it took.

    Raises:
        ReplyError: there is none.
    """
    if not isinstance(answer, dict):
        raise ReplyError("broken", f"an answer that is not a JSON object: {_line(answer)}")
    choice = _first(answer.get("choices"))
    problem = answer.get("error") or choice.get("error")
    if problem:
        raise read_failure(_status(problem), {"error": problem}, {})
    message = choice.get("message")
    if not isinstance(message, dict):
        raise ReplyError("broken", f"an answer without a message: {_line(answer)}")
    finish = _finish(choice.get("finish_reason"))
    response = _text(message.get("content")) or _text(message.get("refusal"))
    if not response.strip() and finish == "content_filter":
        raise ReplyError("refused", "content_filter")
    if not response.strip() and finish != "length":
        raise ReplyError("empty", f"an empty reply (finish_reason: {finish})")
    usage, version = read_usage(answer), answer.get("model")
    return Prediction(
        with_reasoning(_text(message.get("reasoning_content") or message.get("reasoning")), response),
        usage.tokens,
        seconds,
        prompt_tokens=usage.prompt_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        finish=finish,
        version=version if isinstance(version, str) else None,
    )


def read_failure(
    status: int, answer: Any, headers: Mapping[str, str], *, settings: Mapping[str, Any] | None = None
) -> ReplyError:
    """What an answer with another status, or an error in one with status 200, means.

    Args:
        status: of HTTP; 0 where there is none.
        answer: its JSON or text.
        headers: in lower case.
        settings: fields of the request beside model and messages; a complaint about one of them is about all requests.
    """
    answer = answer[0] if isinstance(answer, list) and answer else answer
    problem = answer.get("error", answer) if isinstance(answer, dict) else answer
    words = _words(answer)
    cause = f"{status or 'error'}: {_message(problem)}"
    seconds = read_wait(headers, words)
    if status in _BUSY and not _NO_MONEY.search(words):
        return ReplyError("busy", cause, seconds=seconds)
    if status in (400, 403, 413, 422, 451) and _FILTERED.search(words):
        return ReplyError("refused", cause)
    if status in (400, 413, 422, 451):
        return ReplyError("fatal" if _concerns(problem, words, settings or {}) else "refused", cause)
    if status in _FATAL or _NO_MONEY.search(words):
        return ReplyError("fatal", cause)
    if status >= 500 and seconds is not None:
        return ReplyError("busy", cause, seconds=seconds)
    return ReplyError("broken" if status in (0, 408, 409, 425) or status >= 500 else "fatal", cause)


def _concerns(problem: Any, words: str, settings: Mapping[str, Any]) -> bool:
    """Whether a complaint is about a setting of the request, not about its prompt."""
    if _TOO_LONG.search(words):
        return False
    named = problem.get("param") if isinstance(problem, dict) else None
    return named in settings or any(re.search(rf"\b{re.escape(name)}\b", words) for name in settings)


def read_wait(headers: Mapping[str, str], words: str = "") -> float | None:
    """Seconds that a server asks to wait; None where it does not say.

    Args:
        headers: of its answer, names in lower case: Retry-After holds seconds or a date, retry-after-ms milliseconds.
        words: of its answer, where some say it instead.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            return max(float(headers[name]) * unit, 0.0)
        except (KeyError, ValueError):
            continue
    try:
        return max(email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time(), 0.0)
    except (KeyError, ValueError):
        return _told_wait(words)


def _told_wait(words: str) -> float | None:
    """Seconds in "try again in 1m2.5s" (OpenAI) or "retryDelay": "36s" (Google)."""
    found = _TOLD_WAIT.search(words)
    if not found or not any(found.groups()):
        return None
    minutes, number, unit = found.groups()
    return 60.0 * int(minutes or 0) + float(number or 0) * (1e-3 if unit == "ms" else 1.0)


def _first(choices: Any) -> dict[str, Any]:
    found = choices[0] if isinstance(choices, list) and choices else None
    return found if isinstance(found, dict) else {}


def _text(content: Any) -> str:
    """Content as a text; a list of parts is joined."""
    if isinstance(content, list):
        return "".join(map(_text, content))
    if isinstance(content, dict):
        return _text(content.get("text"))
    return content if isinstance(content, str) else ""


def _finish(word: Any) -> str | None:
    return _FINISHES.get(word.lower(), word.lower()) if isinstance(word, str) else None


def _count(number: Any) -> int | None:
    return number if isinstance(number, int) and number >= 0 else None


def _status(problem: Any) -> int:
    """The status of HTTP that an error names, as gateways do; 0 where it names none."""
    code = str(problem.get("code", problem.get("status"))) if isinstance(problem, dict) else ""
    return int(code) if re.fullmatch(r"[45]\d\d", code) else 0


def _message(problem: Any) -> str:
    """What an error says, with its code."""
    if not isinstance(problem, dict) or not problem.get("message"):
        return _line(problem)
    code = problem.get("code")
    return _line(problem["message"] if code is None else f"{problem['message']} ({code})")


def _words(answer: Any) -> str:
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    return " ".join(text.split())


def _line(answer: Any) -> str:
    """An answer in one line, as much of it as a person wants to read."""
    return _words(answer)[:_LONGEST]


def with_reasoning(reasoning: str, response: str) -> str:
    """A prediction from what a server gives apart; ``s2h.diagnosis.answers`` leaves the reasoning out of judging."""
    return f"<think>\n{reasoning}\n</think>\n\n{response}" if reasoning else response
