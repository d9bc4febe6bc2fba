"""Work that only one process does at a time."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

_POLL = 0.2  # seconds between two looks at a lock that another process holds
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # what file systems without locks answer


@contextlib.contextmanager
def file_lock(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of a file while the block runs; on file systems without locks nobody waits.

    A missing file is made, and the contents of one that is there stay as they are. The kernel frees the lock when the
    process ends, however it ends. Where the holder removes the file, the next one locks the file that takes its place.

    Args:
        path: the file.
        on_wait: called before waiting for a process that holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, poll_interval=_POLL, fallback_to_soft=False)
    try:
        _acquire(lock, on_wait)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()  # does nothing where it is not held


def _acquire(lock: FileLock, on_wait: Callable[[], None]) -> None:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        on_wait()
        lock.acquire()
