"""Models from the hub, fetched through its real client from a small hub on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.shipped import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"model_type": "llava"}',
    "model.safetensors": bytes(range(256)) * 200,
    "pytorch_model.bin": b"a second copy of the weights",
    "modeling.py": b"raise SystemExit",
}


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's interface that a download needs."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if "/resolve/" in self.path:
            data = FILES[self.path.rpartition("/")[2]]
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        else:
            files = [{"rfilename": name} for name in FILES]
            data = json.dumps({"id": "org/model", "sha": COMMIT, "siblings": files}).encode()
            headers = {"Content-Type": "application/json"}
            if "/tree/" in self.path:
                tree = [
                    {"type": "file", "path": name, "size": len(held), "oid": "0" * 40} for name, held in FILES.items()
                ]
                data = json.dumps(tree).encode()
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def fetch(folder: Path, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from pathlib import Path; from s2h.logs import job_log\n"
        "from s2h.models.hub import fetch_model; from s2h.models.settings import PretrainedSettings\n"
        f"with job_log({str(home / 'log')!r}):\n"
        f"    fetch_model(PretrainedSettings(name='org/model'), Path({str(folder)!r}))\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": str(ROOT / "src"), "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_model_is_fetched_without_code_and_second_copies_and_says_its_commit(hub: str, tmp_path: Path) -> None:
    run = fetch(tmp_path / "model", tmp_path, HF_ENDPOINT=hub)
    assert run.returncode == 0, run.stderr
    names = {path.name for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert names == {"config.json", "model.safetensors", "fetched.json"}
    assert (tmp_path / "model/model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert json.loads((tmp_path / "model/fetched.json").read_text())["commit"] == COMMIT
    assert not (tmp_path / "model.part").exists()


def test_weights_in_torchs_form_are_fetched_where_there_are_no_others(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(FILES, "model.safetensors")
    run = fetch(tmp_path / "model", tmp_path, HF_ENDPOINT=hub)
    assert run.returncode == 0, run.stderr
    names = {path.name for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert names == {"config.json", "pytorch_model.bin", "fetched.json"}


def test_without_a_network_the_message_says_how_else_to_bring_the_model(tmp_path: Path) -> None:
    run = fetch(tmp_path / "model", tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert run.returncode == 1
    assert run.stderr.startswith("s2h: the model org/model (revision main) cannot be fetched")
    assert "snakemake models" in run.stderr
    assert f"copy FOLDER to {tmp_path / 'model'}" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "model").exists()
