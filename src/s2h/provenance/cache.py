"""A common store of results, by all that decides them: a second checkout, or another user, takes them from there.

An entry is the folder ``<first two digits of the key>/<key>`` with the outputs ``0``, ``1``, ... and their records. It
appears whole, by one rename; it is checked when it is taken out, and thrown away where it is damaged.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from s2h.errors import DataError
from s2h.files import atomic_path
from s2h.logs import LOGGER
from s2h.provenance.fingerprints import same_contents, take_fingerprint
from s2h.provenance.records import Record, read_record


class Cache:
    """The store below a folder, which may be shared by many users and machines.

    Args:
        folder: where it lies; made when first used.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()

    def _entry(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def fetch(self, key: str, outputs: Sequence[str]) -> list[Record] | None:
        """Copy the outputs of a job to where they belong.

        Returns:
            The records of the job that made them; None where the cache lacks them, or had them damaged.
        """
        entry = self._entry(key)
        if not entry.is_dir():
            return None
        try:
            records = [read_record(entry / f"{place}.json") for place in range(len(outputs))]
            for place, (output, record) in enumerate(zip(outputs, records, strict=True)):
                with atomic_path(output) as temporary:
                    _copy(entry / str(place), temporary)
                    if not same_contents(take_fingerprint(temporary), record.files):
                        raise DataError(f"{entry / str(place)} is damaged.")
        except (OSError, DataError) as error:
            LOGGER.warning("the cache has this result, but it cannot be used (%s): it is made anew", error)
            self._drop(entry)
            return None
        return records

    def store(self, key: str, outputs: Sequence[str], records: Sequence[Record]) -> None:
        """Add the outputs of a job; a cache that cannot take them costs a warning, never the result."""
        entry = self._entry(key)
        if entry.exists():
            return
        temporary = self.folder / f".{uuid.uuid4().hex}.part"
        try:
            temporary.mkdir(parents=True)
            for place, (output, record) in enumerate(zip(outputs, records, strict=True)):
                _copy(Path(output), temporary / str(place))
                (temporary / f"{place}.json").write_text(record.to_json())
            entry.parent.mkdir(exist_ok=True)
            temporary.rename(entry)  # fails where another job was faster: its entry is as good
        except OSError as error:
            if not entry.exists():
                LOGGER.warning("the result is not kept in the cache %s: %s", self.folder, error)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _drop(self, entry: Path) -> None:
        """Take an entry away in one step, so that nobody sees half of it."""
        rubbish = self.folder / f".{uuid.uuid4().hex}.part"
        try:
            entry.rename(rubbish)
        except OSError:
            return
        shutil.rmtree(rubbish, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """Copy a file or folder; where the file system can, both share their blocks."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_copy_file)
    else:
        _copy_file(source, target)


def _copy_file(source: str | Path, target: str | Path) -> None:
    with open(source, "rb") as read, open(target, "wb") as written:
        left = os.fstat(read.fileno()).st_size
        try:
            while left > 0 and (copied := os.copy_file_range(read.fileno(), written.fileno(), left)):
                left -= copied
        except OSError:  # not on every file system
            read.seek(0)
            written.seek(0)
            shutil.copyfileobj(read, written)
