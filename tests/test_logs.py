"""Progress: lines in batch logs, a bar at a terminal; errors of a user in one line."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from s2h.errors import DataError
from s2h.logs import LOGGER, Progress, clock, job_log

CODE = """
import sys, time
from s2h.logs import Progress, job_log
with job_log(sys.argv[1]):
    progress = Progress("make things", 4, every=0.0)
    for done in range(1, 5):
        progress(done, "going well")
"""


def test_lines_say_how_far_a_job_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("[s2h] make things: 2/4 (50%), 0:00 spent, 0:00 left, going well")
    assert (tmp_path / "log").read_text().count("make things") == 4


def test_a_bar_is_drawn_at_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", CODE, str(tmp_path / "log")]
    done = subprocess.run(command, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}, check=True)
    os.close(theirs)
    assert done.returncode == 0
    drawn = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "━" in drawn
    assert "4/4" in drawn
    assert "[s2h]" not in drawn
    assert (tmp_path / "log").read_text().count("make things") == 4


def test_an_error_of_the_user_ends_in_one_line_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit), job_log(tmp_path / "log"):
        raise DataError("the file is torn; delete it.")
    assert capsys.readouterr().err == "s2h: the file is torn; delete it.\n"
    log = (tmp_path / "log").read_text()
    assert "the file is torn" in log
    assert "Traceback" not in log


def test_ctrl_c_ends_a_job_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), job_log(tmp_path / "log"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "s2h: interrupted; the same command goes on\n"
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_an_error_of_the_program_leaves_its_traceback_in_the_log(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), job_log(tmp_path / "log"):
        LOGGER.info("%d", 1 // 0)
    assert "ZeroDivisionError" in (tmp_path / "log").read_text()


def test_progress_is_not_printed_more_often_than_asked(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("slow", 100, every=3600)
    for done in range(1, 101):
        progress(done)
    assert capsys.readouterr().err.count("[s2h]") == 1


def test_clocks() -> None:
    assert [clock(seconds) for seconds in (5, 65, 3700)] == ["0:05", "1:05", "1:01:40"]
