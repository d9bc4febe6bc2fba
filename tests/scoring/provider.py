"""A server on this machine that answers as those of providers do: replies of all kinds, refusals, limits, faults."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any, Mapping[str, str]]
"""Status, body and headers."""


def reply(content: Any = "Answer: 7", finish: str | None = "stop", **message: Any) -> Answer:
    """A reply of 10 tokens to a prompt of 100."""
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return 200, completion(content, finish, usage, **message), {}


def completion(content: Any, finish: str | None, usage: Any, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
    return {"object": "chat.completion", "model": "model-2026-01-01", "choices": [choice], "usage": usage}


def error(status: int, message: str, *, code: Any = None, param: Any = None, **headers: str) -> Answer:
    """An error as OpenAI words it; headers with _ for -."""
    body = {"error": {"message": message, "type": "x", "param": param, "code": code}}
    return status, body, {name.replace("_", "-"): value for name, value in headers.items()}


class Provider(ThreadingHTTPServer):
    """Answers prompts.

    Attributes:
        script: by the text of a prompt the answers to come, the last of which is repeated; others get a reply.
        at_once: most requests that it takes at once; it asks others to come again after ``retry_after`` seconds.
        seconds: that an answer takes.
        asked: the requests: body, headers (names in lower case), time.
        most: requests that were under way at once.
    """

    daemon_threads = True
    request_queue_size = 300

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: dict[str, list[Answer]] = {}
        self.at_once, self.retry_after, self.seconds = 10**9, "0.05", 0.0
        self.asked: list[dict[str, Any]] = []
        self.sent: list[int] = []
        self.under_way = self.most = 0
        self.counts: dict[str, int] = defaultdict(int)
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def prompts(self) -> list[str]:
        """The texts that were sent, in order."""
        return [text_of(each["body"]) for each in self.asked]


@contextmanager
def provider() -> Iterator[Provider]:
    server = Provider()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def text_of(body: Mapping[str, Any]) -> str:
    user = next(message for message in body["messages"] if message["role"] == "user")
    return str(user["content"][-1]["text"])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Provider

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server, text = self.server, text_of(body)
        with server.lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.asked.append({"body": body, "headers": headers, "time": time.monotonic()})
            server.under_way += 1
            busy = server.under_way > server.at_once
            server.most = max(server.most, server.under_way)
            answers = server.script.get(text, [reply()])
            answer = answers[min(server.counts[text], len(answers) - 1)]
            server.counts[text] += not busy
        if busy:
            answer = error(429, "Rate limit reached", retry_after=server.retry_after)
        time.sleep(0.01 if busy else server.seconds)
        with server.lock:
            server.under_way -= 1
            server.sent.append(answer[0])
        self._send(*answer)

    def _send(self, status: int, body: Any, headers: Mapping[str, str]) -> None:
        if status == 0:
            self.close_connection = True  # without a word, as a proxy that restarts
            return
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""
