"""Files are written under a temporary name and renamed when whole, so that a torn file is never taken for one."""

from __future__ import annotations

import glob
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path next to ``path``, for a file or folder; rename it to ``path`` on success.

    What was written is on the disk before it gets its name, so that not even a machine that dies leaves a torn one.
    On any failure it is removed.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{socket.gethostname()}.{os.getpid()}.part")
    _remove(temporary)
    try:
        yield temporary
        _flush(temporary)
        if temporary.is_dir():
            _remove(final)
        os.replace(temporary, final)
    finally:
        _remove(temporary)


atomic_file = atomic_path


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder next to ``path``, and rename it to ``path`` on success, replacing what was there."""
    with atomic_path(path) as temporary:
        temporary.mkdir()
        yield temporary


def remove_parts(path: str | Path) -> None:
    """Remove what killed processes left unfinished of ``path``."""
    final = Path(path)
    for part in final.parent.glob(f".{glob.escape(final.name)}.*.part"):
        _remove(part)


def _flush(path: Path) -> None:
    """Have the disk write what the system still holds of a file, or of all files below a folder."""
    for file in [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
