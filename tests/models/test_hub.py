"""Models from the hub, fetched through its real client from a small hub on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import COMMIT, Server, serving
from tests.shipped import ROOT

FILES = {
    "config.json": b'{"model_type": "llava"}',
    "model.safetensors": bytes(range(256)) * 200,
    "pytorch_model.bin": b"a second copy of the weights",
    "modeling.py": b"raise SystemExit",
}
LARGE = bytes(range(256)) * 10_000


@pytest.fixture
def hub() -> Iterator[Server]:
    with serving(dict(FILES)) as server:
        yield server


def start(folder: Path, home: Path, endpoint: str) -> subprocess.Popen[str]:
    code = (
        "import sys; from pathlib import Path; from s2h.logs import job_log\n"
        "from s2h.models.hub import fetch_model; from s2h.models.sources import OutsideSource\n"
        f"with job_log({str(home / 'log')!r}):\n"
        f"    fetch_model(OutsideSource(name='org/model'), Path({str(folder)!r}))\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    told = {"PYTHONPATH": str(ROOT / "src"), "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_ENDPOINT": endpoint}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=kept | told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def fetch(folder: Path, home: Path, endpoint: str) -> tuple[int, str]:
    """Exit code and what was printed on standard error."""
    process = start(folder, home, endpoint)
    _, errors = process.communicate()
    return process.returncode, errors


def test_a_model_is_fetched_without_code_and_second_copies(hub: Server, tmp_path: Path) -> None:
    code, errors = fetch(tmp_path / "model", tmp_path, hub.address)
    assert code == 0, errors
    names = {path.name for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert names == {"config.json", "model.safetensors", "fetched.json"}
    assert (tmp_path / "model/model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert not (tmp_path / "model.part").exists()


def test_it_says_its_commit_and_the_checksums_of_its_files(hub: Server, tmp_path: Path) -> None:
    assert fetch(tmp_path / "model", tmp_path, hub.address)[0] == 0
    told = json.loads((tmp_path / "model/fetched.json").read_text())
    kept = ("config.json", "model.safetensors")
    assert told["commit"] == COMMIT
    assert told["files"] == {name: hashlib.sha256(FILES[name]).hexdigest() for name in kept}


def test_a_file_with_another_checksum_is_removed_and_alone_fetched_anew(hub: Server, tmp_path: Path) -> None:
    hub.corrupt.add("model.safetensors")
    code, errors = fetch(tmp_path / "model", tmp_path, hub.address)
    assert code == 1
    (line,) = [line for line in errors.splitlines() if line.startswith("s2h: ")]
    assert "/model.safetensors gave 51,200 bytes with sha256 " in line
    assert "running again fetches the file anew" in line
    assert "Traceback" not in errors
    assert not (tmp_path / "model").exists()
    hub.corrupt.clear()
    hub.asked.clear()
    code, errors = fetch(tmp_path / "model", tmp_path, hub.address)
    assert code == 0, errors
    assert hub.asked == [("model.safetensors", "")]
    assert (tmp_path / "model/model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_download_that_was_killed_goes_on_where_it_was(hub: Server, tmp_path: Path) -> None:
    hub.files["model.safetensors"] = LARGE
    hub.most, hub.stalls = 1_000_000, True
    process = start(tmp_path / "model", tmp_path, hub.address)
    part = tmp_path / "model.part/model.safetensors.part"
    while not part.exists() or part.stat().st_size < 900_000:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate()
    hub.most = None
    hub.asked.clear()
    code, errors = fetch(tmp_path / "model", tmp_path, hub.address)
    assert code == 0, errors
    ((_, span),) = [asked for asked in hub.asked if asked[0] == "model.safetensors"]
    assert int(span.removeprefix("bytes=").removesuffix("-")) >= 900_000
    assert (tmp_path / "model/model.safetensors").read_bytes() == LARGE


def test_weights_in_torchs_form_are_fetched_where_there_are_no_others(hub: Server, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    code, errors = fetch(tmp_path / "model", tmp_path, hub.address)
    assert code == 0, errors
    names = {path.name for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert names == {"config.json", "pytorch_model.bin", "fetched.json"}


def test_without_a_network_the_message_says_how_else_to_bring_the_model(tmp_path: Path) -> None:
    code, errors = fetch(tmp_path / "model", tmp_path, "http://127.0.0.1:9")
    assert code == 1
    assert errors.startswith("s2h: the model org/model (revision main) cannot be fetched")
    assert "snakemake models" in errors
    assert f"copy FOLDER to {tmp_path / 'model'}" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "model").exists()
