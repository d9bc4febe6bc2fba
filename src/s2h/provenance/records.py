"""A record beside every result: which job made it, from what, with which code; and what it holds.

The record of ``results/scores/x.parquet`` is ``results/provenance/scores/x.parquet.json``. It is written last: a
result is whole when its record is. While a job makes a result, the record is empty, and the job holds the lock of the
file ``….json.lock`` beside it, which is there for that long.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from s2h.errors import DataError
from s2h.file_lock import file_lock, is_locked
from s2h.logs import LOGGER
from s2h.provenance.fingerprints import (
    FileMark,
    Fingerprint,
    contents_digest,
    looks_unchanged,
    same_contents,
    take_fingerprint,
)

FOLDER = "provenance"


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """How one output came to be.

    Attributes:
        output: its path.
        rule: of the workflow.
        wildcards: of the job.
        params: parameters of the job.
        key: digest of all that decides the output: rule, wildcards, params, code, and what the inputs hold.
        inputs: what each input held, by its path.
        files: what the output holds.
        job: when, where and by which version it was made.
        fetched: the cache from which it was taken; empty where it was made here.
    """

    output: str
    rule: str
    wildcards: dict[str, str]
    params: dict[str, Any]
    key: str
    inputs: dict[str, str]
    files: dict[str, FileMark]
    job: dict[str, Any]
    fetched: str = ""

    def to_json(self) -> str:
        """The record as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Read what ``to_json`` wrote; raises ValueError, KeyError or TypeError for anything else."""
        values = json.loads(text)
        values["files"] = {name: FileMark(**mark) for name, mark in values["files"].items()}
        return cls(**values)

    @property
    def contents(self) -> str:
        """Digest of what the output holds."""
        return contents_digest(self.files)


def record_path(output: str | Path, results: str | Path) -> Path | None:
    """The path of the record of an output; None for a file that is not below ``results``."""
    try:
        below = Path(output).absolute().relative_to(Path(results).absolute())
    except ValueError:
        return None
    return Path(results) / FOLDER / f"{below}.json"


def recorded_output(place: Path, results: str | Path) -> str:
    """The output of which the record at ``place`` tells, below ``results`` as they lie now."""
    return str(Path(results) / place.relative_to(Path(results) / FOLDER).with_suffix(""))


def making(output: str | Path, place: Path) -> AbstractContextManager[None]:
    """Wait until no other process makes an output, and keep others away; ``place`` is that of its record."""
    return file_lock(_lock_of(place), functools.partial(_say_waiting, output))


def is_being_made(place: Path) -> bool:
    """Whether a living process makes the result whose record lies at ``place``."""
    return is_locked(_lock_of(place))


def _lock_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.lock")


def _say_waiting(output: str | Path) -> None:
    message = f"another process is making {output}; waiting for it"
    LOGGER.warning(message)
    print(f"[s2h] {message}", file=sys.stderr, flush=True)


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        DataError: it is not whole.
    """
    try:
        return Record.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"the record {path} is not whole ({type(error).__name__}: {error}).") from None


def all_records(results: str | Path, kind: str = "") -> Iterator[Path]:
    """The records below a results folder in order, or those of one kind of results, as ``models``."""
    yield from sorted((Path(results) / FOLDER / kind).rglob("*.json"))


def input_contents(path: str | Path, results: str | Path) -> str:
    """Digest of what an input holds, after a look whether it is what its job wrote.

    A file that looks untouched is believed; one that does not is read as a whole. One that another process is just
    making again, for instance a workflow in another folder, is waited for.

    Raises:
        DataError: it is torn, edited or was never finished; the message says what to delete.
    """
    place = record_path(path, results)
    if place is None or not place.exists():
        return contents_digest(take_fingerprint(path))
    try:
        return _recorded_contents(path, place)
    except DataError:
        with making(path, place):
            if not Path(path).exists():
                raise DataError(f"{path} was to be made again by another process, which failed: run again.") from None
            return _recorded_contents(path, place)


def _recorded_contents(path: str | Path, place: Path) -> str:
    """The contents of a result as its record has them, if it holds them."""
    try:
        record = read_record(place)
    except DataError as error:
        raise DataError(f"{path} was never finished: {error}\n{advice(path)}") from None
    if not looks_unchanged(path, record.files) and (problem := damage(path, record.files)):
        raise DataError(f"{path} is not what {record.rule} wrote: {problem}\n{advice(path)}")
    return record.contents


def damage(path: str | Path, expected: Fingerprint) -> str:
    """The damage to a file or folder, as text; empty where it holds what is expected."""
    fingerprint = take_fingerprint(path)
    if same_contents(fingerprint, expected):
        return ""
    problems = []
    for name, mark in expected.items():
        where = f"{name}: " if name else ""
        if name not in fingerprint:
            problems.append(f"{where}it is gone")
        elif fingerprint[name].bytes != mark.bytes:
            problems.append(f"{where}it has {fingerprint[name].bytes:,} bytes, not {mark.bytes:,}")
        elif fingerprint[name].sha256 != mark.sha256:
            problems.append(f"{where}it has the right size but other contents")
    problems += [f"{name}: it was added" for name in fingerprint if name not in expected]
    more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
    return f"{'; '.join(problems[:3])}{more}."


def advice(path: str | Path) -> str:
    """Advice on a damaged result."""
    return f"It was torn or edited. To have it made again:\n  rm -r {path}\nand run again."
