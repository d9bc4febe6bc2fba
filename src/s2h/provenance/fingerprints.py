"""What a file or folder holds, and whether it still holds it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

_PART = 1 << 24  # bytes read at once
# Files of a trained model that tell how it was made, with times and hosts: they are checked, but decide nothing.
_STORIES = ("manifest.json", "metrics.jsonl")


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
    """The fingerprint of a file or folder as it is now; empty where there is nothing. All of it is read."""
    return {name: _mark(file) for name, file in _files(path).items()}


def contents_digest(fingerprint: Fingerprint) -> str:
    """One digest for what a file or folder holds, whatever its name and age."""
    kept = [f"{name}\n{mark.sha256}" for name, mark in sorted(fingerprint.items()) if name not in _STORIES]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def same_contents(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether all files are there, and hold the same."""
    return {name: mark.sha256 for name, mark in one.items()} == {name: mark.sha256 for name, mark in other.items()}


def looks_unchanged(path: str | Path, fingerprint: Fingerprint) -> bool:
    """Whether all files still have their sizes and ages: a cheap look that reads nothing."""
    found = {}
    for name, file in _files(path).items():
        status = file.stat()
        found[name] = (status.st_size, status.st_mtime_ns)
    return found == {name: (mark.bytes, mark.mtime_ns) for name, mark in fingerprint.items()}


def _files(path: str | Path) -> dict[str, Path]:
    path = Path(path)
    if path.is_dir():
        # Snakemake marks the folders that it made with a hidden file.
        below = (file for file in sorted(path.rglob("*")) if file.is_file() and file.name != ".snakemake_timestamp")
        return {file.relative_to(path).as_posix(): file for file in below}
    return {"": path} if path.is_file() else {}


def _mark(file: Path) -> FileMark:
    status, digest = file.stat(), hashlib.sha256()
    with file.open("rb") as opened:
        while part := opened.read(_PART):
            digest.update(part)
    return FileMark(status.st_size, status.st_mtime_ns, digest.hexdigest())
