"""Files of evaluation sets, fetched once from an address that the config names, and checked.

The standard library's client does all that is needed, proxies of the environment included.
"""

from __future__ import annotations

import hashlib
import os
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from s2h.errors import DataError
from s2h.scoring.tsv import is_pointer

_PIECE = 2**20  # bytes
_TIMEOUT = 60  # seconds without a byte
_TRIES = 3
_NOTHING_LEFT = 416  # the status of a range that begins at the end of the file, or behind it


def fetch_set(url: str, sha256: str, path: Path) -> None:
    """Fetch a file; what an interrupted download left, in ``<name>.part`` beside it, is not fetched again.

    Args:
        url: of the file.
        sha256: of its bytes, in hexadecimal digits.
        path: of the file to write; it gets its name when it is whole and checked.

    Raises:
        DataError: it cannot be had from here, or another file lies there; the message says what to do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    for left in reversed(range(_TRIES)):
        try:
            _append(url, part)
            break
        except (OSError, HTTPException) as error:
            if not left or isinstance(error, urllib.error.HTTPError):
                raise _unreachable(url, sha256, path, error) from error
            time.sleep(1)
    _check(url, sha256, part)
    os.replace(part, path)


def _append(url: str, part: Path) -> None:
    """Fetch what a file lacks; raises OSError where it cannot be had or is cut off."""
    have = part.stat().st_size if part.exists() else 0
    asked = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(asked, timeout=_TIMEOUT) as answer:
            goes_on = answer.status == 206
            with part.open("ab" if goes_on else "wb") as file:
                _copy(answer, file)
                os.fsync(file.fileno())
    except urllib.error.HTTPError as error:
        if not (have and error.code == _NOTHING_LEFT):
            raise


def _copy(answer: HTTPResponse, file: BinaryIO) -> None:
    """Write what comes as it comes; raises OSError where less came than was promised."""
    promised, came = answer.headers.get("Content-Length"), 0
    while piece := answer.read1(_PIECE):
        file.write(piece)
        came += len(piece)
    if promised is not None and came < int(promised):
        raise ConnectionError(f"the connection ended after {came:,} of {int(promised):,} bytes")


def _check(url: str, sha256: str, part: Path) -> None:
    """Raise DataError, and remove the file, where it is not the one that was asked for."""
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found == sha256:
        return
    pointer, size = is_pointer(part), part.stat().st_size
    part.unlink()
    if pointer:
        raise DataError(
            f"{url} gave a Git LFS pointer and not the file that it stands for: name the address of the file itself "
            "(on GitHub https://media.githubusercontent.com/media/…)."
        )
    raise DataError(
        f"{url} gave {size:,} bytes with sha256 {found}, but the config expects {sha256}: it was removed, and running "
        "again fetches it anew; where that changes nothing, another file lies there now."
    )


def _unreachable(url: str, sha256: str, path: Path, error: Exception) -> DataError:
    reason = getattr(error, "reason", None) or error
    return DataError(
        f"{url} cannot be fetched: {reason}\n"
        "Where there is a network, fetch all sets of the config:\n"
        "  snakemake sets\n"
        f"or bring the file yourself, to {path} (sha256 {sha256})."
    )
