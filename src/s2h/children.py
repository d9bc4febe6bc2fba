"""Processes that never outlive the one that started them.

``python -m s2h.children COMMAND ...`` runs a command until it ends or standard input does, which it does when the
process at its other end dies, in whatever way. Then all that the command has started is ended too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil

_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER in linux/prctl.h
_GRACE = 20.0  # seconds that a command has to end by itself before it is killed


def end_with_parent() -> None:
    """Let the kernel end this process when its parent dies, even by kill -9 (Linux; elsewhere nothing happens).

    Otherwise an orphan would train on and write over the run that takes its place.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def with_this_code() -> str:
    """PYTHONPATH with the folder of this package first: Snakemake takes it out of jobs in a conda environment."""
    return os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])


def keep(command: Sequence[str]) -> int:
    """Run a command until it ends or standard input does, and end all that it has started.

    Returns:
        Its exit code; that of a signal is 128 and its number, as in a shell.
    """
    _adopt_orphans()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=end_with_parent)
    threading.Thread(target=_end_after_input, args=[process], daemon=True).start()
    code = process.wait()
    while left := psutil.Process().children(recursive=True):
        for each in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(left, timeout=_GRACE)
    return code if code >= 0 else 128 - code


def _adopt_orphans() -> None:
    """Become the parent of every orphan among the descendants, so that they are found (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)


def _end_after_input(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock this thread would hold when the interpreter ends
        pass
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
