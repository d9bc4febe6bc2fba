"""Sets that are fetched: whole, resumed, checked, and a clear word where that cannot be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from s2h import fetching
from s2h.errors import DataError
from s2h.scoring.eval_set_fetching import fetch_external_eval
from tests.server import Server, serving

DATA = b"index\tquestion\tanswer\n" + b"".join(b"%d\tq\ta\n" % row for row in range(50_000))
SHA256 = hashlib.sha256(DATA).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize {len(DATA)}\n".encode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetching, "_PAUSE", 0)
    with serving({"set.tsv": DATA, "pointer.tsv": POINTER}) as server:
        yield server


def url(server: Server, name: str = "set.tsv") -> str:
    return f"{server.address}/files/{name}"


def test_a_set_is_fetched_whole(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "outside/mine.tsv"
    fetch_external_eval(url(server), SHA256, path)
    assert path.read_bytes() == DATA
    assert [file.name for file in path.parent.iterdir()] == ["mine.tsv"]


def test_a_connection_that_is_cut_is_taken_up_where_it_was(server: Server, tmp_path: Path) -> None:
    server.most = len(DATA) // 2
    fetch_external_eval(url(server), SHA256, tmp_path / "mine.tsv")
    assert [span for _, span in server.asked] == ["", f"bytes={len(DATA) // 2}-"]
    assert (tmp_path / "mine.tsv").read_bytes() == DATA


def test_a_server_that_gives_nothing_more_is_left_and_the_next_run_goes_on(server: Server, tmp_path: Path) -> None:
    path, part = tmp_path / "mine.tsv", tmp_path / "mine.tsv.part"
    part.write_bytes(DATA[:300_000])
    server.most = 0
    with pytest.raises(DataError, match=r"the connection ended after 0 of [\d,]+ bytes"):
        fetch_external_eval(url(server), SHA256, path)
    assert server.asked == [("set.tsv", "bytes=300000-")] * 3
    assert part.stat().st_size == 300_000
    assert not path.exists()
    server.most = None
    fetch_external_eval(url(server), SHA256, path)
    assert path.read_bytes() == DATA


def test_what_was_whole_already_is_checked_and_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "mine.tsv.part").write_bytes(DATA)
    fetch_external_eval(url(server), SHA256, tmp_path / "mine.tsv")
    assert (tmp_path / "mine.tsv").read_bytes() == DATA


def test_another_file_is_removed_and_fetched_anew(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    (tmp_path / "mine.tsv.part").write_bytes(b"torn" * 10)
    with pytest.raises(DataError, match=rf"bytes with sha256 \w+, but {SHA256} was expected"):
        fetch_external_eval(url(server), SHA256, path)
    assert not list(tmp_path.iterdir())
    fetch_external_eval(url(server), SHA256, path)
    assert path.read_bytes() == DATA


def test_a_pointer_of_git_lfs_is_called_one(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gave a Git LFS pointer and not the file .*media.githubusercontent.com"):
        fetch_external_eval(url(server, "pointer.tsv"), SHA256, tmp_path / "mine.tsv")
    assert not list(tmp_path.iterdir())


def test_without_a_network_the_message_says_what_to_fetch_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_PAUSE", 0)
    with pytest.raises(DataError) as raised:
        fetch_external_eval("http://127.0.0.1:9/set.tsv", SHA256, tmp_path / "mine.tsv")
    message = str(raised.value)
    assert message.startswith("http://127.0.0.1:9/set.tsv cannot be fetched: ")
    assert "  snakemake external_evals\n" in message
    assert f"to {tmp_path / 'mine.tsv'} (sha256 {SHA256})" in message


def test_an_address_without_a_file_is_asked_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be fetched: Not Found"):
        fetch_external_eval(url(server, "none.tsv"), SHA256, tmp_path / "mine.tsv")
