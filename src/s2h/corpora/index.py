"""The index of a corpus: where each entry lies in the annotations, and where its image in the archives.

It is made once, in one pass over everything, and lets every shard be made alone: a job reads the entries of its shard
by their places, and their images by theirs.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from s2h.corpora.annotations import read_entries
from s2h.corpora.archives import Archive, Kind, Member, group_parts, kind_of, list_members, pack_members, plain_name
from s2h.corpora.conversations import image_names
from s2h.errors import DataError, unreadable
from s2h.files import atomic_file
from s2h.logs import LOGGER

SCHEMA = {
    "entry_offset": pl.Int64,  # place of the entry in the annotations, bytes
    "entry_bytes": pl.Int64,
    "image": pl.String,  # as the entry names it; empty for text alone and for entries of several images
    "archive": pl.Int32,  # number of the archive; null where the image is in none
    "kind": pl.String,  # of the archive
    "member": pl.String,  # name there
    "offset": pl.Int64,
    "stored": pl.Int64,
    "size": pl.Int64,
    "method": pl.Int32,
    "crc": pl.Int64,
}
_MEMBERS = {name: SCHEMA[name] for name in ("archive", "kind", "member", "offset", "stored", "size", "method", "crc")}
_SAID_EVERY = 100_000  # entries or members


@dataclasses.dataclass(frozen=True, slots=True)
class Index:
    """The index of a corpus.

    Attributes:
        rows: of ``SCHEMA``, one for each entry in its order.
        annotations: the JSON file.
        archives: in the order of their numbers.
        marks: path, size and age (nanoseconds) of every file that was read.
    """

    rows: pl.DataFrame
    annotations: str
    archives: tuple[Archive, ...]
    marks: tuple[tuple[str, int, int], ...]

    def check(self) -> None:
        """Raise DataError where a file has changed since: its places may be others."""
        for path, size, age in self.marks:
            if not os.path.exists(path):
                raise DataError(f"{path} is gone, from which the corpus was indexed: bring it back.")
            if _mark(path) != (path, size, age):
                raise DataError(f"{path} has changed since the corpus was indexed: delete the index and run again.")


def make_index(annotations: str, images: Sequence[str], path: str | Path, pack: str | Path) -> None:
    """Index a corpus.

    Args:
        annotations: the JSON file.
        images: folders, archives and parts of archives.
        path: Parquet file to write.
        pack: file to write that holds the images of compressed archives; empty without any.

    Raises:
        DataError: annotations or an archive cannot be read, or there is no entry.
    """
    entries = _entries(annotations)
    archives = group_parts(images)
    with atomic_file(pack) as temporary:
        with temporary.open("wb") as opened:
            members = _members(archives, _wanted(entries["image"]), opened)
        rows = _located(entries, members, archives)
        _write(path, Index(rows, annotations, tuple(archives), _marks(annotations, archives)))
    missing = rows.filter((pl.col("image") != "") & pl.col("archive").is_null()).height
    LOGGER.info("%d entries, %d with an image, of which %d are in no archive", rows.height, *_counts(rows), missing)


def read_index(path: str | Path) -> Index:
    """An index that ``make_index`` wrote; raises DataError where it cannot be read."""
    try:
        facts = json.loads(pl.read_parquet_metadata(path)["corpus"])
        rows = pl.read_parquet(path)
    except (OSError, KeyError, ValueError, pl.exceptions.PolarsError) as error:
        raise unreadable("index", path, error) from None
    archives = tuple(Archive(tuple(paths)) for paths in facts["archives"])
    return Index(rows, facts["annotations"], archives, tuple((p, s, a) for p, s, a in facts["marks"]))


def _counts(rows: pl.DataFrame) -> tuple[int]:
    return (rows.filter(pl.col("image") != "").height,)


def _entries(annotations: str) -> pl.DataFrame:
    """Place and image of every entry."""
    offsets, sizes, names = [], [], []
    for number, (offset, size, entry) in enumerate(read_entries(annotations), start=1):
        images = image_names(entry)
        offsets.append(offset)
        sizes.append(size)
        names.append(images[0].encode("utf-8", "replace").decode() if len(images) == 1 else "")
        if number % _SAID_EVERY == 0:
            LOGGER.info("%d entries read", number)
    if not offsets:
        raise DataError(f"the annotations {annotations} hold no entry.")
    return pl.DataFrame(
        {"entry_offset": offsets, "entry_bytes": sizes, "image": names},
        schema={name: SCHEMA[name] for name in ("entry_offset", "entry_bytes", "image")},
    )


def _wanted(images: pl.Series) -> Callable[[str], bool]:
    """Whether a member of a compressed archive may be an entry's image: by its name, or below its first folder."""
    names = {plain_name(name) for name in images.unique()} - {""}

    def wanted(name: str) -> bool:
        plain = plain_name(name)
        return plain in names or plain.partition("/")[2] in names

    return wanted


def _members(archives: Sequence[Archive], wanted: Callable[[str], bool], pack: BinaryIO) -> pl.DataFrame:
    """Every member of the archives that are files, and ``plain``, the name by which it is looked up."""
    frames = [pl.DataFrame(schema=_MEMBERS)]
    for number, archive in enumerate(archives):
        kind = kind_of(archive)
        if kind != "folder":
            LOGGER.info("reading the archive %s (%s)", archive.name, kind)
            listed = pack_members(archive, wanted, pack) if kind == "stream" else list_members(archive, kind)
            frames.append(_frame(number, kind, listed))
    plain = pl.col("member").map_elements(plain_name, return_dtype=pl.String).alias("plain")
    return pl.concat(frames).with_columns(plain).filter(pl.col("plain") != "")


def _frame(number: int, kind: Kind, members: Any) -> pl.DataFrame:
    columns: dict[str, list[Any]] = {name: [] for name in ("member", "offset", "stored", "size", "method", "crc")}
    for count, member in enumerate(members, start=1):
        for name, value in zip(columns, dataclasses.astuple(member), strict=True):
            columns[name].append(value)
        if count % _SAID_EVERY == 0:
            LOGGER.info("%d images found", count)
    frame = pl.DataFrame(columns, schema={name: _MEMBERS[name] for name in columns})
    constant = {"archive": number, "kind": kind}
    return frame.select(*(pl.lit(value).cast(_MEMBERS[name]).alias(name) for name, value in constant.items()), *columns)


def _located(entries: pl.DataFrame, members: pl.DataFrame, archives: Sequence[Archive]) -> pl.DataFrame:
    """The entries with the places of their images: under the very name; else below an archive's first folder; else in
    a folder of the user's."""
    names = entries.select(pl.col("image").unique()).with_columns(
        pl.col("image").map_elements(plain_name, return_dtype=pl.String).alias("plain")
    )
    exact = members.unique("plain", keep="first", maintain_order=True)
    # Two images that differ in that folder alone cannot be told apart, so neither is taken.
    below = members.with_columns(pl.col("plain").str.splitn("/", 2).struct[1].alias("plain")).drop_nulls("plain")
    below = below.unique("plain", keep="none")
    loose = _in_folders(names, archives)
    table = pl.concat([exact, below, loose]).unique("plain", keep="first", maintain_order=True)
    places = names.filter(pl.col("plain") != "").join(table, on="plain", how="inner").drop("plain")
    return entries.join(places, on="image", how="left", maintain_order="left").select(
        pl.col(name).cast(kind) for name, kind in SCHEMA.items()
    )


def _in_folders(names: pl.DataFrame, archives: Sequence[Archive]) -> pl.DataFrame:
    rows = []
    for number, archive in enumerate(archives):
        if Path(archive.paths[0]).is_dir():
            for name in names["plain"].unique().sort():
                if name and (file := Path(archive.paths[0]) / name).is_file():
                    member = Member(name, 0, 0, file.stat().st_size)
                    rows.append((number, "folder", *dataclasses.astuple(member), name))
    return pl.DataFrame(rows, schema={**_MEMBERS, "plain": pl.String}, orient="row")


def _marks(annotations: str, archives: Sequence[Archive]) -> tuple[tuple[str, int, int], ...]:
    files = [path for archive in archives for path in archive.paths if not Path(path).is_dir()]
    return tuple(_mark(path) for path in (annotations, *files))


def _mark(path: str) -> tuple[str, int, int]:
    status = os.stat(path)
    return path, status.st_size, status.st_mtime_ns


def _write(path: str | Path, index: Index) -> None:
    facts = {
        "annotations": index.annotations,
        "archives": [archive.paths for archive in index.archives],
        "marks": index.marks,
    }
    with atomic_file(path) as temporary:
        index.rows.write_parquet(temporary, compression="zstd", metadata={"corpus": json.dumps(facts)})
