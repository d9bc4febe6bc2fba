"""Shards of a corpus: its good entries in Parquet files, each made alone from the corpus's index.

Shard k of n holds what is good of the entries from k/n to (k+1)/n of the list: a function of the corpus alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from s2h.corpora.annotations import read_entry
from s2h.corpora.archives import ImageReader, Member
from s2h.corpora.conversations import Unusable, entry_id, parse_entry
from s2h.corpora.corpus_images import STARTS, check_picture
from s2h.corpora.corpus_report import Findings
from s2h.corpora.index import Index, read_index
from s2h.errors import DataError, unreadable
from s2h.files import atomic_file

_ROWS_PER_GROUP = 200  # images of one group are in memory together: 30 MB for photographs
_PAGE_HEADER = 1 << 16  # bytes that may lie between two images: the header of a page and which rows have none


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One conversation.

    Attributes:
        position: place of its entry in the annotations, from 0.
        entry_id: as the corpus has it; not always unique.
        turns: each with its ``role``, user or assistant in turn, and its ``text`` without image marks; the image comes
            before the first.
        image: the file as it lies in its archive and its name there, as Hugging Face's Image feature stores them;
            both null for text alone.
        image_bytes: size of that file; 0 for text alone.
        image_format: JPEG, PNG, ...; empty for text alone.
        width: of the image, pixels; 0 for text alone.
        height: the same.
    """

    position: int
    entry_id: str
    turns: list[dict[str, str]]
    image: dict[str, Any]
    image_bytes: int
    image_format: str
    width: int
    height: int


SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("entry_id", pa.string()),
        ("turns", pa.list_(pa.struct([("role", pa.string()), ("text", pa.string())]))),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("image_bytes", pa.int32()),
        ("image_format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})},
)
_COMPRESSED = (
    "position", "entry_id", "turns.list.element.role", "turns.list.element.text", "image.path", "image_bytes",
    "image_format", "width", "height",
)  # fmt: skip


def entry_range(shard: int, shards: int, entries: int) -> tuple[int, int]:
    """First entry of a shard and the entry after its last."""
    return entries * shard // shards, entries * (shard + 1) // shards


def shard_entries(index: str | Path, shard: int, shards: int) -> int:
    """How many entries a shard looks at; raises DataError where the index cannot be read."""
    first, end = entry_range(shard, shards, read_index(index).rows.height)
    return end - first


def write_shard(
    path: str | Path,
    *,
    index: str | Path,
    pack: str | Path,
    shard: int,
    shards: int,
    progress: Callable[[int], None],
) -> None:
    """Check the entries of a shard and write the good ones; the findings stand in the file's metadata.

    Args:
        path: the Parquet file; it appears whole or not at all.
        index: of the corpus.
        pack: images of its compressed archives.
        shard: number of the shard, from 0.
        shards: how many there are.
        progress: called with the number of entries looked at.

    Raises:
        DataError: the corpus is not the one that was indexed.
    """
    corpus = read_index(index)
    corpus.check()
    span = entry_range(shard, shards, corpus.rows.height)
    findings, written = Findings(), []
    columns: Any = dict.fromkeys(_COMPRESSED, "zstd") | {"image.bytes": "none"}  # compressed already, and read alone
    with atomic_file(path) as temporary:
        with pq.ParquetWriter(temporary, SCHEMA, compression=columns, use_dictionary=False) as writer:
            for group in _groups(_good_records(corpus, pack, span, findings, progress)):
                written += [_digest(record.image["bytes"]) for record in group]
                values = {name: [getattr(record, name) for record in group] for name in SCHEMA.names}
                writer.write_table(pa.Table.from_pydict(values, schema=SCHEMA))
            writer.add_key_value_metadata({"findings": findings.to_json()})
        _check_places(temporary, written)


def read_findings(shard: str | Path) -> Findings:
    """The findings that the job of a shard wrote; raises DataError where the file is torn or foreign."""
    try:
        return Findings.from_json(pq.read_metadata(shard).metadata[b"findings"])
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowInvalid) as error:
        raise unreadable("corpus shard", shard, error) from None


def image_places(shard: str | Path) -> list[tuple[int, int]]:
    """Where the image of each row lies in a shard's file: (offset, size) in bytes; (-1, 0) for text alone.

    Raises:
        DataError: the file cannot be read, or its images are not stored as ``write_shard`` stores them.
    """
    places: list[tuple[int, int]] = []
    try:
        with (
            pq.ParquetFile(shard) as parquet,
            open(shard, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            for group in range(parquet.metadata.num_row_groups):
                kinds = parquet.read_row_group(group, columns=["image_bytes", "image_format"]).to_pylist()
                places += _places_of(data, parquet.metadata.row_group(group), kinds)
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise unreadable("corpus shard", shard, error) from None
    return places


def _places_of(data: mmap.mmap, group: Any, kinds: list[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    """Places of the images of one row group: each value is its length in four bytes, then the image file."""
    chunks = (group.column(place) for place in range(group.num_columns))
    chunk = next(chunk for chunk in chunks if chunk.path_in_schema == "image.bytes")
    at, end = chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size
    for kind in kinds:
        size = kind["image_bytes"]
        if not size:
            yield -1, 0
            continue
        at = _next_image(data, at, end, size, STARTS[kind["image_format"]])
        yield at, size
        at += size


def _next_image(data: mmap.mmap, at: int, end: int, size: int, starts: tuple[bytes, ...]) -> int:
    length = size.to_bytes(4, "little")
    found = data.find(length, at, min(at + _PAGE_HEADER, end))
    while found >= 0:
        if data[found + 4 : found + 12].startswith(starts) and found + 4 + size <= end:
            return found + 4
        found = data.find(length, found + 1, min(at + _PAGE_HEADER, end))
    raise ValueError(f"its images are not stored as they are: none of {size} bytes follows byte {at}")


def _check_places(path: Path, written: list[str]) -> None:
    """Check that the images lie at their places: a version of Parquet that stores them otherwise fails here."""
    with open(path, "rb") as file:
        for (offset, size), digest in zip(image_places(path), written, strict=True):
            file.seek(max(offset, 0))
            if size and _digest(file.read(size)) != digest:
                raise DataError(f"{path}: the image at byte {offset} is not the one that was written there.")


def _digest(data: bytes | None) -> str:
    return hashlib.blake2b(data or b"", digest_size=16).hexdigest()


def _groups(records: Iterator[Record]) -> Iterator[list[Record]]:
    group: list[Record] = []
    for record in records:
        group.append(record)
        if len(group) == _ROWS_PER_GROUP:
            yield group
            group = []
    if group:
        yield group


def _good_records(
    corpus: Index, pack: str | Path, span: tuple[int, int], findings: Findings, progress: Callable[[int], None]
) -> Iterator[Record]:
    """The records of the good entries of a span; the findings count all of them."""
    reader = ImageReader(corpus.archives, pack)
    with open(corpus.annotations, "rb") as annotations:
        rows = corpus.rows[span[0] : span[1]].iter_rows(named=True)
        for position, row in enumerate(rows, start=span[0]):
            entry = read_entry(annotations, row["entry_offset"], row["entry_bytes"])
            try:
                record = _record(entry, position, row, reader)
            except Unusable as error:
                findings.drop(error.reason, entry_id(entry, position), error.detail)
            else:
                findings.keep(turns=len(record.turns) // 2, image_bytes=record.image_bytes, form=record.image_format)
                yield record
            progress(position - span[0] + 1)
    reader.close()


def _record(entry: Any, position: int, row: dict[str, Any], reader: ImageReader) -> Record:
    found = parse_entry(entry, position)
    turns = [{"role": ("user", "assistant")[n % 2], "text": text} for n, text in enumerate(found.turns)]
    if not found.image:
        return Record(position, found.entry_id, turns, {"bytes": None, "path": None}, 0, "", 0, 0)
    if row["archive"] is None:
        raise Unusable("missing image", found.image)
    member = Member(row["member"], *(row[name] for name in ("offset", "stored", "size", "method", "crc")))
    try:
        data = reader(row["archive"], row["kind"], member)
        picture = check_picture(data)
    except Unusable as error:
        raise Unusable(error.reason, f"{found.image}: {error.detail}") from None
    image = {"bytes": data, "path": found.image}
    return Record(position, found.entry_id, turns, image, len(data), picture.format, picture.width, picture.height)
