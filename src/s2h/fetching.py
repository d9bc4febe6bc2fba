"""Files fetched from an address, resumed where a download was interrupted, and checked.

The standard library's client does all that is needed, proxies of the environment included. The hub's own client begins
a file anew after an interruption, which is long for weights.
"""

from __future__ import annotations

import hashlib
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from s2h.errors import DataError

_PIECE = 2**20  # bytes
_TIMEOUT = 60  # seconds without a byte
_TRIES = 3  # without a byte more
_PAUSE = 1.0  # seconds between two
_NOTHING_LEFT = 416  # the status of a range that begins at the end of the file, or behind it
_POINTER = b"version https://git-lfs.github.com/spec/"


def fetch_file(url: str, sha256: str, path: Path, *, headers: Mapping[str, str] | None = None) -> None:
    """Fetch a file; what an interrupted download left, in ``<name>.part`` beside it, is not fetched again.

    Args:
        url: of the file.
        sha256: of its bytes, in hexadecimal digits.
        path: of the file to write; it gets its name when it is whole and checked.
        headers: sent to the server that the address names, and to none to which that one points.

    Raises:
        OSError: it cannot be had from here.
        HTTPException: the same.
        DataError: another file lies there; what was fetched is removed.
    """
    if path.is_file() and sha256_of(path) == sha256:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    _fetch(url, part, headers or {})
    _check(url, sha256, part)
    os.replace(part, path)


def sha256_of(path: Path) -> str:
    """Checksum of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_pointer(path: str | Path) -> bool:
    """Whether a file is what Git LFS puts in the place of another that was not fetched."""
    with Path(path).open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def _fetch(url: str, part: Path, headers: Mapping[str, str]) -> None:
    """Fetch what a file lacks, again and again while anything comes."""
    failures = 0
    while True:
        before = _size(part)
        try:
            return _append(url, part, headers)
        except urllib.error.HTTPError:
            raise
        except (OSError, HTTPException):
            failures = 0 if _size(part) > before else failures + 1
            if failures == _TRIES:
                raise
            time.sleep(_PAUSE)


def _append(url: str, part: Path, headers: Mapping[str, str]) -> None:
    """Fetch what a file lacks, once; raises OSError where it cannot be had or is cut off."""
    have = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    try:
        with (
            urllib.request.urlopen(request, timeout=_TIMEOUT) as answer,
            part.open("ab" if answer.status == 206 else "wb") as file,
        ):
            _copy(answer, file)
            os.fsync(file.fileno())
    except urllib.error.HTTPError as error:
        if not (have and error.code == _NOTHING_LEFT):
            raise


def _copy(answer: HTTPResponse, file: BinaryIO) -> None:
    """Write what comes as it comes; raises OSError where less came than was promised."""
    promised, received = answer.headers.get("Content-Length"), 0
    while piece := answer.read1(_PIECE):
        file.write(piece)
        received += len(piece)
    if promised is not None and received < int(promised):
        raise ConnectionError(f"the connection ended after {received:,} of {int(promised):,} bytes")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _check(url: str, sha256: str, part: Path) -> None:
    """Raise DataError, and remove the file, where it is not the one that was asked for."""
    actual = sha256_of(part)
    if actual == sha256:
        return
    pointer, size = is_pointer(part), _size(part)
    part.unlink()
    if pointer:
        raise DataError(
            f"{url} gave a Git LFS pointer and not the file that it stands for: name the address of the file itself "
            "(on GitHub https://media.githubusercontent.com/media/…)."
        )
    raise DataError(
        f"{url} gave {size:,} bytes with sha256 {actual}, but {sha256} was expected: they were removed, and running "
        "again fetches the file anew; where that changes nothing, another one lies there."
    )
