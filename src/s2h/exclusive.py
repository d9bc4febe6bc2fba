"""Work that only one process does at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def exclusive(place: Path, wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of a file, which is made where it is missing; on file systems without locks nobody waits.

    Args:
        place: the file.
        wait: called before waiting for a process that holds it.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with place.open("a") as file:
            _lock(file, wait)
            if place.exists() and os.path.samestat(os.fstat(file.fileno()), place.stat()):
                yield
                return
        # The process that held it has failed and removed the file: lock the one that takes its place.


def _lock(file: IO[str], wait: Callable[[], None]) -> None:
    """Lock a file until it is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        wait()
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return
