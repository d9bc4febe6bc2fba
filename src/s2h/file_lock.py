"""Work that only one process does at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

_POLL = 0.2  # seconds between two looks at a lock that another process holds
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # what file systems without locks answer


@contextlib.contextmanager
def file_lock(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock while the block runs; on file systems without locks nobody waits.

    The kernel frees the lock when the process ends, however it ends.

    Args:
        path: a file that is there for the lock alone: it is made, and removed in the end. Who waited for it then locks
            the file that takes its place.
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
        path.unlink(missing_ok=True)  # while it is held: nobody else has locked this file
        lock.release()  # does nothing where it is not held


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock; on file systems without locks none does."""
    try:
        with path.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return False


def _acquire(lock: FileLock, on_wait: Callable[[], None]) -> None:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        on_wait()
        lock.acquire()
