"""A stand-in for the program ``vllm``: its command line, its answers over HTTP, our own model behind them.

Its options are those of vLLM 0.33.0 that this project uses, read as strictly. What it does amiss stands in the
environment variable FAKE_VLLM, as JSON: ``sleep`` (seconds before it answers), ``crash`` (what it says when it ends at
once), ``most`` (predictions after which it dies), ``engine`` (file for the process id of a child that ignores SIGTERM),
``echo`` (no model: predictions repeat the question), ``asked`` (file to which requests and options are written).
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FAULTS = json.loads(os.environ.get("FAKE_VLLM", "{}"))
LOCK = threading.Lock()


def program(folder: Path) -> Path:
    """Put it into a folder, as an executable that finds what it needs by itself."""
    root = Path(__file__).parents[2]
    path = folder / "vllm"
    lines = ["import sys", f"sys.path[:0] = [{str(root)!r}, {str(root / 'src')!r}]"]
    lines += ["from tests.scoring.fake_vllm import main", "main()"]
    path.write_text("\n".join([f"#!{sys.executable}", *lines, ""]))
    path.chmod(0o755)
    return path


def options() -> argparse.Namespace:
    """What vLLM 0.33.0 makes of the words of ``vllm serve``."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("model")
    for name in ("served-model-name", "host", "dtype", "generation-config", "chat-template-content-format"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("port", "seed", "tensor-parallel-size", "data-parallel-size"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--max-model-len", choices=["auto"], required=True)
    for name in ("limit-mm-per-prompt", "mm-processor-kwargs"):
        parser.add_argument(f"--{name}", type=json.loads, default={})
    parser.add_argument("--disable-uvicorn-access-log", action="store_true")
    return parser.parse_args()


class Server(ThreadingHTTPServer):
    """Answers for the model that the command line names."""

    daemon_threads = True
    request_queue_size = 300
    allow_reuse_address = False

    def __init__(self, told: argparse.Namespace) -> None:
        super().__init__((told.host, told.port), Handler)
        self.told, self.predictions = told, 0
        self.decoder = None if FAULTS.get("echo") else load(told)


def load(told: argparse.Namespace) -> Any:
    from s2h.models.settings import ScoringSettings
    from s2h.scoring.decoding import load_decoder

    settings = ScoringSettings(batch_size=1, max_new_tokens=1)
    return load_decoder(told.model, settings, device="cpu", **told.mm_processor_kwargs)


def prediction(server: Server, asked: dict[str, Any]) -> tuple[str, int, str]:
    """What the model says to the parts of a turn, in how many tokens, and why it ends.

    A message that it continues is echoed, and its tokens are not counted.
    """
    parts = asked["messages"][0]["content"]
    if server.decoder is None:
        return parts[-1]["text"], 1, "stop"
    from s2h.scoring.decoding import Prompt

    images = [part["image_url"]["url"].partition("base64,")[2] for part in parts if part["type"] == "image_url"]
    assert [part["type"] for part in parts] == ["image_url", "text"][1 - len(images) :]
    conversion = conversion_of(asked)
    prompt = Prompt(parts[-1]["text"], base64.b64decode(images[0]) if images else None, conversion)
    given = len(server.decoder._opening) if conversion == "forced" else 0
    server.decoder.model.generation_config.max_new_tokens = asked["max_tokens"] + given
    (found,) = server.decoder([prompt])
    return found.text, found.tokens - given, found.finish


def conversion_of(asked: dict[str, Any]) -> Any:
    """What a request wants of the conversion, by vLLM's own parameters; AssertionError where they do not fit."""
    asks = [asked.get(name) for name in ("continue_final_message", "add_generation_prompt", "echo", "bad_words")]
    turn, *given = asked["messages"]
    assert turn["role"] == "user"
    if given:
        assert asks == [True, False, True, None]
        assert given == [{"role": "assistant", "content": [{"type": "text", "text": "Converted to text:\n\n"}]}]
        return "forced"
    assert asks in ([None] * 4, [None] * 3 + [["Converted"]])
    return "forbidden" if asks[3] else "free"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        name = self.server.told.served_model_name
        self._send({"/v1/models": {"data": [{"id": name}]}, "/version": {"version": "0.0"}}.get(self.path, {}))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with LOCK:
            self._answer(asked)

    def _answer(self, asked: dict[str, Any]) -> None:
        if self.server.predictions == FAULTS.get("most"):
            print("CUDA error: the engine is dead", flush=True)
            os._exit(7)
        if "asked" in FAULTS:
            with Path(FAULTS["asked"]).open("a") as file:
                file.write(json.dumps({"told": vars(self.server.told), "asked": asked}) + "\n")
        text, tokens, finish = prediction(self.server, asked)
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": 1 + tokens}
        found = {"id": "x", "object": "chat.completion", "created": 0, "model": asked["model"]}
        self._send(found | {"choices": [choice], "usage": usage})
        self.server.predictions += 1

    def _send(self, values: object) -> None:
        data = json.dumps(values).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""


def main() -> None:
    told = options()
    if "engine" in FAULTS:
        stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        engine = subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True)
        Path(FAULTS["engine"]).write_text(str(engine.pid))
    if "crash" in FAULTS:
        sys.exit(FAULTS["crash"])
    time.sleep(FAULTS.get("sleep", 0))
    Server(told).serve_forever()
