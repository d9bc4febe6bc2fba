"""A small server on this machine: the part of the Hugging Face hub that a download needs, and plain files."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Server(ThreadingHTTPServer):
    """Serves ``/files/NAME``, and the same files as those of any model of the hub.

    Attributes:
        files: by name.
        corrupt: names of files that are sent with another last byte.
        most: bytes after which an answer ends although more was promised; None for no such end.
        stalls: whether such an answer stays open instead, and sends nothing more.
        asked: of every GET of a file its name and its Range header.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.corrupt: set[str] = set()
        self.most: int | None = None
        self.stalls = False
        self.ended = threading.Event()
        self.asked: list[tuple[str, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    """A server that runs until the block ends."""
    server = Server(files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if found := re.match(r"/files/(.+)|/.+/resolve/\w+/(.+)", self.path):
            self._send_file(found[1] or found[2])
        elif "/tree/" in self.path:
            self._send_json([_entry(name, data) for name, data in self.server.files.items()])
        else:
            siblings = [_sibling(name, data) for name, data in self.server.files.items()]
            self._send_json({"id": "org/model", "sha": COMMIT, "siblings": siblings})

    def _send_json(self, values: object) -> None:
        self._send(json.dumps(values).encode(), {"Content-Type": "application/json"})

    def _send_file(self, name: str) -> None:
        if name not in self.server.files:
            self.send_error(404)
            return
        data, span = self.server.files[name], self.headers.get("Range", "")
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        if name in self.server.corrupt:
            data = data[:-1] + bytes([data[-1] ^ 1])
        if self.command == "GET":
            self.server.asked.append((name, span))
        start = int(span.removeprefix("bytes=").removesuffix("-") or 0)
        if span and start >= len(data):
            self.send_error(416)
            return
        if span:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._send(data[start:], headers, status=206 if span else 200)

    def _send(self, data: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        most = self.server.most
        self.wfile.write(data[:most])
        if most is not None and most < len(data):
            self.wfile.flush()
            if self.server.stalls:
                self.server.ended.wait()
            self.close_connection = True

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""


def _is_lfs(name: str) -> bool:
    return name.endswith((".safetensors", ".bin"))


def _sibling(name: str, data: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": "0" * 40}
    lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return entry | ({"lfs": lfs} if _is_lfs(name) else {})


def _entry(name: str, data: bytes) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
