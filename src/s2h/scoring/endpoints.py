"""A model behind an OpenAI-compatible address: what a request holds, and what is done about each failure."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit

from s2h.diagnosis.answers import without_thinking
from s2h.errors import ModelError
from s2h.images import image_type, portable_image
from s2h.models.endpoint_settings import RequestSettings
from s2h.models.settings import ScoringSettings
from s2h.models.sources import EndpointSource
from s2h.scoring.decoding import Prediction, Prompt
from s2h.scoring.openings import opening_message
from s2h.scoring.pacing import Pace, PatienceError
from s2h.scoring.parallel import Chunk, ask_in_parallel
from s2h.scoring.replies import Kind, ReplyError, read_failure, read_reply, read_usage
from s2h.scoring.spending import Spending
from s2h.supervision.conversion import CONVERTED, Conversion
from s2h.supervision.formats import TRANSCRIPTION_HEADER

_TRIES = {"empty": 3, "broken": 6}
"""How often a prompt is sent that fails in these ways, while the server answers others."""

_CONVERSION_PARAMETERS: Mapping[Conversion, Mapping[str, Any]] = {
    "free": {},
    "forced": {"add_generation_prompt": False, "continue_final_message": True, "echo": True},
    "forbidden": {"bad_words": TRANSCRIPTION_HEADER.split()[:1]},
}
"""What a request says of the conversion, in vLLM's parameters: OpenAI's own have nothing for it.

The response is echoed from its beginning, so that a server that did not continue it is found out.
"""

_ADVICE: Mapping[Conversion, str] = {
    "free": "",
    "forced": "A conversion is forced by servers that continue the last message of a conversation, as vLLM does "
    "(continue_final_message, echo); for others leave forced out of the conversions of the model's runs.",
    "forbidden": "A conversion is forbidden by servers that keep words out of a response, as vLLM does (bad_words); "
    "for others leave forbidden out of the conversions of the model's runs, or set scoring.backend to transformers.",
}
"""What to do where a server refuses a conversion, or ignores it."""


class EndpointBackend:
    """A model behind an OpenAI-compatible address.

    A prompt that the server refuses for good, or to which it gives nothing that can be used in several tries, gets a
    prediction with an error. A conversion is forced or forbidden only by a server that takes vLLM's parameters for it.

    Args:
        source: address, name, and what requests say.
        settings: longest prediction.
        spending: to which every answer is added; by default none is limited.
        allowed_failures: predictions that may have an error; more are an error of the job.

    Raises:
        ModelError: the key is missing.
    """

    batched = False
    metadata: Mapping[str, str] = {}
    chunk_size = 1
    more: Mapping[str, Any] = {}
    """Further parameters of every request."""
    opening_tokens = 0
    """Tokens of a forced conversion; 0 where the model's tokenizer is not known."""

    def __init__(
        self,
        source: EndpointSource,
        settings: ScoringSettings,
        *,
        spending: Spending | None = None,
        allowed_failures: int = 0,
    ) -> None:
        self.source, self.settings, self.allowed_failures = source, settings, allowed_failures
        self.spending = spending or Spending(None, source.price, source.spending_limit)
        self._client  # noqa: B018 - a missing key is said now

    @cached_property
    def _secrets(self) -> dict[str, str]:
        """The key and the headers, from the environment."""
        key = os.environ.get(self.source.api_key_env, "") if self.source.api_key_env else "none"
        if not key:
            raise ModelError(
                f"the environment variable {self.source.api_key_env} holds no key for {self.source.url}: set it."
            )
        return {"": key, **self.source.request.filled_headers()}

    @cached_property
    def _client(self) -> Any:
        from openai import DefaultHttpxClient, OpenAI

        remote = urlsplit(self.source.url).hostname not in ("127.0.0.1", "localhost")  # else a proxy would lead astray
        headers = {name: value for name, value in self._secrets.items() if name}
        return OpenAI(
            base_url=self.source.url,
            api_key=self._secrets[""],
            timeout=self.source.timeout,
            max_retries=0,  # Pace knows better when
            default_headers=headers,
            http_client=DefaultHttpxClient(trust_env=remote),
        )

    def generate(self, chunks: Sequence[Chunk], *, sequential: bool = False) -> Iterator[tuple[int, list[Prediction]]]:
        connections = 1 if sequential else self.source.connections
        pace = Pace(connections, patience=self.source.patience * 60)
        yield from ask_in_parallel(
            lambda prompt: self._prediction(prompt, pace),
            chunks,
            connections=connections,
            allowed_failures=self.allowed_failures,
            stop=pace.stop,
        )

    def _prediction(self, prompt: Prompt, pace: Pace) -> Prediction:
        """The prediction for a prompt, however often it must be sent."""
        since = time.monotonic()
        for attempt in itertools.count(1):
            try:
                return self._turn(prompt, pace, attempt)
            except ReplyError as failure:
                if failure.kind == "refused":
                    return Prediction("", None, 0.0, finish="refused", error=failure.cause)
                if self._gives_up(failure, attempt, time.monotonic() - since):
                    return Prediction("", None, 0.0, finish="failed", error=failure.cause)
                if failure.kind != "busy":  # then the next turn waits
                    pace.pause(attempt)
        raise AssertionError

    def _turn(self, prompt: Prompt, pace: Pace, attempt: int) -> Prediction:
        """The prediction from one request; the pace learns how the server took it.

        Raises:
            ReplyError: there is none.
            ModelError: every other request would fail as well, or the spending limit is reached.
        """
        with pace.turn() as began:
            self.spending.check()
            try:
                prediction = self._ask(prompt)
            except ReplyError as failure:
                self._tell(pace, failure, attempt, began, prompt.conversion)
                raise
            pace.answered()
            return prediction

    def _tell(self, pace: Pace, failure: ReplyError, attempt: int, began: float, conversion: Conversion) -> None:
        """Tell the pace of a request without a reply; raises ModelError where that is the end of the job."""
        if failure.kind == "fatal":
            raise self._error(failure.cause, conversion) from None
        try:
            if failure.kind == "busy":
                pace.busy(began, seconds=failure.seconds, attempt=attempt)
            elif failure.kind in ("broken", "unreachable"):
                pace.failed()
            else:
                pace.answered()
        except PatienceError as end:
            raise self._error(f"{failure.cause}; {end}", "free") from None

    def _gives_up(self, failure: ReplyError, attempt: int, seconds: float) -> bool:
        """Whether a prompt that has failed so often, for so long, is sent no more."""
        if failure.kind in _TRIES:
            return attempt >= _TRIES[failure.kind]
        return seconds > self.source.patience * 60

    def _ask(self, prompt: Prompt) -> Prediction:
        """The prediction from one request.

        Raises:
            ReplyError: there is none.
            ModelError: the server ignored what it was told of the conversion.
        """
        from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAIError

        body, started = self.body(prompt), time.perf_counter()
        try:
            raw = self._client.chat.completions.with_raw_response.create(
                model=body.pop("model"), messages=body.pop("messages"), extra_body=body
            )
            answer = _json(raw.http_response.text)
        except APIStatusError as error:
            raise self._failure(error.response, body, prompt) from None
        except APITimeoutError:
            raise ReplyError("broken", f"no response within {self.source.timeout:.0f} seconds") from None
        except OpenAIError as error:
            kind: Kind = "unreachable" if isinstance(error, APIConnectionError) else "broken"
            raise ReplyError(kind, f"{type(error).__name__}: {error.__cause__ or error}") from None
        self.spending.add(read_usage(answer))
        prediction = read_reply(answer, seconds=time.perf_counter() - started)
        self._check_conversion(without_thinking(prediction.text), prompt.conversion)
        given = self.opening_tokens if prompt.conversion == "forced" else 0
        tokens = None if prediction.tokens is None else prediction.tokens + given
        version = None if prediction.version == self.source.name else prediction.version
        return dataclasses.replace(prediction, tokens=tokens, version=version)

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """What is sent for a prompt."""
        request, given = self.source.request, self.opening_tokens if prompt.conversion == "forced" else 0
        named = {"temperature": request.temperature, "reasoning_effort": request.reasoning_effort}
        return {
            "model": self.source.name,
            "messages": _messages(prompt, request),
            request.max_tokens_field: max(self.settings.max_new_tokens - given, 1),
            **{name: value for name, value in named.items() if value is not None},
            **self.more,
            **_CONVERSION_PARAMETERS[prompt.conversion],
            **request.extra_body,
        }

    def _failure(self, response: Any, settings: Mapping[str, Any], prompt: Prompt) -> ReplyError:
        """The failure that a response with an error tells of; keys that it repeats are left out."""
        text = response.text
        for secret in self._secrets.values():
            text = text.replace(secret, "…")
        failure = read_failure(response.status_code, _json(text), response.headers, settings=settings)
        if failure.kind == "refused" and prompt.conversion != "free" and response.status_code in (400, 422):
            return ReplyError("fatal", failure.cause)
        return failure

    def _error(self, cause: str, conversion: Conversion) -> ModelError:
        message = (
            f"{self.source.url} gave no response of {self.source.name} ({cause}): see that the server runs and knows "
            "the model, then run again; predictions so far are kept."
        )
        return ModelError(" ".join(filter(None, [message, _advice(cause), _ADVICE[conversion]])))

    def _check_conversion(self, text: str, conversion: Conversion) -> None:
        """Raise ModelError where a server ignored what it was told of the conversion."""
        if conversion != "free" and bool(re.match(CONVERTED, text)) != (conversion == "forced"):
            raise ModelError(
                f"the conversion is {conversion}, but {self.source.url} gave a response that begins with "
                f"{text[:40]!r}. {_ADVICE[conversion]}"
            )


def _advice(cause: str) -> str:
    """The setting to change where a server complains of one."""
    if "max_completion_tokens" in cause:
        return "Set request: {max_tokens_field: max_completion_tokens} in the model's source."
    return "Set request: {temperature: null} in the model's source." if "temperature" in cause else ""


def _messages(prompt: Prompt, request: RequestSettings) -> list[dict[str, Any]]:
    """The conversation that a server is asked to go on with."""
    content: list[dict[str, Any]] = [{"type": "text", "text": prompt.text}]
    if prompt.image is not None:
        image = {"url": _data_url(prompt.image, request.image_format)}
        detail = {} if request.image_detail is None else {"detail": request.image_detail}
        content.insert(0, {"type": "image_url", "image_url": image | detail})
    system = [{"role": "system", "content": request.system_prompt}] * bool(request.system_prompt)
    return [*system, {"role": "user", "content": content}, *[opening_message()] * (prompt.conversion == "forced")]


def _data_url(image: bytes, form: Literal["original", "png", "jpeg"]) -> str:
    """A picture file in a URL."""
    file = portable_image(image, form)
    return f"data:{image_type(file)};base64,{base64.b64encode(file).decode()}"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
