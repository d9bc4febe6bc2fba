"""What a study keeps of results that took long: listed, and removed when asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from pathlib import Path

from s2h.errors import DataError
from s2h.provenance.cache import KEPT, kept_results
from s2h.provenance.records import Record, read_record, record_path


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """A job whose results are kept.

    Attributes:
        record: of its first output.
        in_use: whether the results in their places are these, so that both share their space.
    """

    record: Record
    in_use: bool

    @property
    def bytes(self) -> int:
        """What removing it sets free."""
        return 0 if self.in_use else sum(mark.bytes for mark in self.record.files.values())


def kept_jobs(results: str | Path) -> Iterator[Kept]:
    """The jobs whose results are kept below a results folder, those of one output together, the oldest first."""
    found = []
    for place in (Path(results) / KEPT).glob("*/*/0.json"):
        try:
            found.append(read_record(place))
        except DataError:
            continue  # removed just now
    for record in sorted(found, key=lambda record: (record.output, record.job["started"], record.key)):
        yield Kept(record, in_use=_key_in_place(record.output, results) == record.key)


def _key_in_place(output: str, results: str | Path) -> str | None:
    place = record_path(output, results)
    try:
        return read_record(place).key if place and Path(output).exists() else None
    except DataError:
        return None


def drop(results: str | Path, keys: Collection[str]) -> list[Record]:
    """Remove what is kept under keys, each given by its first digits.

    Returns:
        Records of what was removed.

    Raises:
        DataError: nothing, or more than one job, is kept under one of them.
    """
    chosen = []
    for key in keys:
        found = [kept.record for kept in kept_jobs(results) if kept.record.key.startswith(key)]
        if len(found) != 1:
            raise DataError(f"{len(found)} results are kept under {key}: give a key that s2h kept lists.")
        chosen += found
    for record in chosen:
        kept_results(results).drop(record.key)
    return chosen
