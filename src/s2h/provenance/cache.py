"""Stores of results, by all that decides them.

The cache that a config names is common to checkouts and users, and holds copies. What a study itself has made and took
long is kept below its results as well, by hard links, which cost no space: Snakemake removes the outputs of a job
before it runs again, whatever the reason, and what a changed setting replaces is there when it is changed back.

An entry is the folder ``<first two digits of the key>/<key>`` with the outputs ``0``, ``1``, ... and their records. It
appears whole, by one rename; it is checked when it is taken out, and thrown away where its contents are not those that
were put in, and for no other reason.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from s2h.errors import DataError
from s2h.files import atomic_path
from s2h.logs import LOGGER
from s2h.provenance.fingerprints import files_below, same_contents, take_fingerprint
from s2h.provenance.records import Record, read_record

KEPT = "kept"
"""The folder, below the results, of what took long."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Cache:
    """The store below a folder, which may be shared by many users and machines.

    Args:
        folder: where it lies; made when first used.
        linked: whether files are hard links to those of the results, on the same file system, and not copies.
    """

    def __init__(self, folder: str | Path, *, linked: bool = False) -> None:
        self.folder = Path(folder).expanduser()
        self._transfer = _link if linked else _copy_file
        self._name = "what is kept of this study" if linked else f"the cache {self.folder}"

    def __str__(self) -> str:
        return self._name

    def _entry(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def fetch(self, key: str, outputs: Sequence[str]) -> list[Record] | None:
        """Copy the outputs of a job to where they belong.

        Returns:
            The records of the job that made them; None where there is no entry that can be used.

        Raises:
            OSError: there is no room for them, so that there is none for results that are made anew.
        """
        entry = self._entry(key)
        if not entry.is_dir():
            return None
        try:
            records = [read_record(entry / f"{place}.json") for place in range(len(outputs))]
            for place, (output, record) in enumerate(zip(outputs, records, strict=True)):
                with atomic_path(output) as temporary:
                    self._fill(temporary, entry / str(place), record)
        except DataError as error:
            LOGGER.warning("%s has this result, but damaged (%s): it is made anew", self._name, error)
            self._drop(entry)
            return None
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise
            LOGGER.warning("%s has this result, but it cannot be taken (%s): it is made anew", self._name, error)
            return None
        return records

    def _fill(self, target: Path, source: Path, record: Record) -> None:
        """Fill a path from an entry; raises DataError where the entry, and not only its copy, is damaged."""
        _transfer(source, target, self._transfer)
        if same_contents(take_fingerprint(target), record.files):
            return
        if same_contents(take_fingerprint(source), record.files):
            raise OSError(f"a copy of {source} came out different")
        raise DataError(f"{source} is damaged.")

    def store(self, key: str, outputs: Sequence[str], records: Sequence[Record]) -> None:
        """Add the outputs of a job; a cache that cannot take them costs a warning, never the result."""
        entry = self._entry(key)
        if entry.exists():
            return
        temporary = self.folder / f".{uuid.uuid4().hex}.part"
        try:
            temporary.mkdir(parents=True)
            for place, (output, record) in enumerate(zip(outputs, records, strict=True)):
                _transfer(Path(output), temporary / str(place), self._transfer)
                (temporary / f"{place}.json").write_text(record.to_json())
            entry.parent.mkdir(exist_ok=True)
            temporary.rename(entry)  # fails where another job was faster: its entry is as good
        except OSError as error:
            if not entry.exists():
                LOGGER.warning("the result does not go to %s: %s", self._name, error)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def drop(self, key: str) -> None:
        """Remove an entry, if it is there."""
        self._drop(self._entry(key))

    def _drop(self, entry: Path) -> None:
        """Take an entry away in one step, so that nobody sees half of it."""
        rubbish = self.folder / f".{uuid.uuid4().hex}.part"
        try:
            entry.rename(rubbish)
        except OSError:
            return
        shutil.rmtree(rubbish, ignore_errors=True)


def kept_results(results: str | Path) -> Cache:
    """What a study keeps of its own results, by hard links."""
    return Cache(Path(results) / KEPT, linked=True)


def _transfer(source: Path, target: Path, file: Callable[[str | Path, str | Path], object]) -> None:
    """Copy or link a file, or all files below a folder."""
    for name, each in files_below(source).items():
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        file(each, place)


def _link(source: str | Path, target: str | Path) -> None:
    os.link(source, target)


def _copy_file(source: str | Path, target: str | Path) -> None:
    """Copy a file; where the file system can, both share their blocks."""
    with open(source, "rb") as read, open(target, "wb") as written:
        left = os.fstat(read.fileno()).st_size
        try:
            while left > 0 and (copied := os.copy_file_range(read.fileno(), written.fileno(), left)):
                left -= copied
        except OSError:  # not on every file system
            read.seek(0)
            written.seek(0)
            shutil.copyfileobj(read, written)
