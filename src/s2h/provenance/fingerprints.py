"""Fingerprints of files and folders: sizes, times and checksums."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from s2h.errors import unreadable

REMOVED = "removed.json"
"""In a folder: what files were that have been removed on purpose (``s2h.models.weights``)."""
_UNSEEN = (".snakemake_timestamp", REMOVED)  # Snakemake marks the folders that it made with a hidden file
_PART = 1 << 24  # bytes read at once
# Files of a trained model that tell how it was made, with times and hosts: they are checked, but decide nothing.
_RUN_RECORDS = ("manifest.json", "metrics.jsonl")


@dataclasses.dataclass(frozen=True, slots=True)
class FileMark:
    """One file.

    Attributes:
        bytes: its size.
        mtime_ns: when it was last changed, nanoseconds.
        sha256: of its contents, hexadecimal.
    """

    bytes: int
    mtime_ns: int
    sha256: str


Fingerprint = Mapping[str, FileMark]
"""For a file its mark under the name ""; for a folder one for each file below it, by its path there."""


def take_fingerprint(path: str | Path) -> dict[str, FileMark]:
    """The fingerprint of a file or folder as it is now; empty where there is nothing. All of it is read.

    What was removed on purpose counts as it was: the folder is still the one from which other results were made.
    """
    found = removed_files(path)
    for name, file in files_below(path).items():
        with suppress(FileNotFoundError):  # it may be removed just now
            found[name] = _mark(file)
    return found


def removed_files(folder: str | Path) -> dict[str, FileMark]:
    """The fingerprints of files removed on purpose from a folder, by their relative paths.

    Raises:
        DataError: the file that says so cannot be read.
    """
    place = Path(folder) / REMOVED
    try:
        marks = json.loads(place.read_text(encoding="utf-8"))["files"]
        return {name: FileMark(**mark) for name, mark in marks.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable("file", place, error, remove=folder) from None


def contents_digest(fingerprint: Fingerprint) -> str:
    """One digest for what a file or folder holds, whatever its name and age."""
    kept = [f"{name}\n{mark.sha256}" for name, mark in sorted(fingerprint.items()) if name not in _RUN_RECORDS]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def same_contents(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether two fingerprints have the same files with the same contents."""
    return {name: mark.sha256 for name, mark in one.items()} == {name: mark.sha256 for name, mark in other.items()}


def looks_unchanged(path: str | Path, fingerprint: Fingerprint) -> bool:
    """Whether all files still have their sizes and ages: a cheap look that reads nothing."""
    marks = {name: (mark.bytes, mark.mtime_ns) for name, mark in removed_files(path).items()}
    for name, file in files_below(path).items():
        with suppress(FileNotFoundError):  # it may be removed just now
            status = file.stat()
            marks[name] = (status.st_size, status.st_mtime_ns)
    return marks == {name: (mark.bytes, mark.mtime_ns) for name, mark in fingerprint.items()}


def files_below(path: str | Path) -> dict[str, Path]:
    """The files below a folder by their paths there, or a file under the name ""; none where there is nothing."""
    path = Path(path)
    if path.is_dir():
        below = (file for file in sorted(path.rglob("*")) if file.is_file() and file.name not in _UNSEEN)
        return {file.relative_to(path).as_posix(): file for file in below}
    return {"": path} if path.is_file() else {}


def _mark(file: Path) -> FileMark:
    status, digest = file.stat(), hashlib.sha256()
    with file.open("rb") as opened:
        while part := opened.read(_PART):
            digest.update(part)
    return FileMark(status.st_size, status.st_mtime_ns, digest.hexdigest())
