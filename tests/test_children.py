"""A command that never outlives the one that started it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import psutil
import pytest

from s2h.children import with_this_code

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


def kept(command: Sequence[str]) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "s2h.children", *command]
    environment = os.environ | {"PYTHONPATH": with_this_code()}
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize(("code", "wanted"), [("pass", 0), ("exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_its_exit_code_is_that_of_the_command(code: str, wanted: int) -> None:
    assert kept([sys.executable, "-c", code]).wait(60) == wanted


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found by the kernel's help")
def test_orphans_of_a_command_that_ended_are_ended_too() -> None:
    start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], start_new_session=True)"
    command = f"{start}; print(sys.stdin.read())"  # which has nothing to read
    process = kept([sys.executable, "-c", command])
    assert process.wait(60) == 0
    assert not [each for each in psutil.process_iter(["cmdline"]) if STUBBORN in (each.info["cmdline"] or [])]


def test_a_command_ends_when_nobody_is_at_the_other_end_of_its_input() -> None:
    process = kept([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"])
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "up\n"
    process.stdin.close()
    assert process.wait(60) == 128 + 15
