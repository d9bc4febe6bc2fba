"""The lock of a file, between real processes."""

from __future__ import annotations

import errno
import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from s2h.file_lock import file_lock, is_locked

HOLDER = """
import sys
from pathlib import Path
from s2h.file_lock import file_lock
with file_lock(Path(sys.argv[1]), lambda: print("waits", flush=True)):
    print("has it", flush=True)
    sys.stdin.read()
"""
"""Holds the lock until its input is closed."""


def holder(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_second_process_says_that_it_waits_and_gets_the_lock_of_a_killed_one(tmp_path: Path) -> None:
    path = tmp_path / "deep/record.json.lock"
    first = holder(path)
    assert says(first) == "has it"
    second = holder(path)
    assert says(second) == "waits"
    first.send_signal(signal.SIGKILL)
    assert says(second) == "has it"
    second.communicate()
    first.communicate()


def test_the_file_is_removed_and_whoever_waited_for_it_locks_the_one_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "record.json.lock"
    first = holder(path)
    assert says(first) == "has it"
    second = holder(path)
    assert says(second) == "waits"
    first.communicate()
    assert says(second) == "has it"
    third = holder(path)
    assert says(third) == "waits"
    second.communicate()
    assert says(third) == "has it"
    third.communicate()
    assert not list(tmp_path.iterdir())


def test_a_lock_is_held_by_the_living_only(tmp_path: Path) -> None:
    path = tmp_path / "record.json.lock"
    assert not is_locked(path)
    first = holder(path)
    assert says(first) == "has it"
    assert is_locked(path)
    first.kill()
    first.communicate()
    assert path.exists()
    assert not is_locked(path)


def test_a_file_system_without_locks_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    started = time.monotonic()
    with file_lock(tmp_path / "one"), file_lock(tmp_path / "two"):
        assert time.monotonic() - started < 5
        assert not is_locked(tmp_path / "one")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError), file_lock(tmp_path / "folder"):
        pass
