"""Image archives as they are published: which images lie where, and the bytes of one of them.

What is published (looked up in November 2026): LLaVA-CC3M-Pretrain-595K (liuhaotian on the Hugging Face hub) is
``chat.json`` and ``images.zip``, whose members lie flat. Eagle-1.8M (shi-labs) is ``eagle-1-sft-1_8M.json`` of 1.9 GB
and ``images.tar.part_aa`` to ``part_ak``, 232 GB; the README of the paper's code puts the parts together and unpacks
them as one compressed tar file, so that is what is expected, and a plain one is read as well.

A zip names its members at its end and a plain tar before each, so an image can be read by its place. A compressed tar
has no places: its images are copied, in one pass and as they are, behind each other into one file (the pack).
"""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import io
import lzma
import os
import posixpath
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, cast

from s2h.corpora.conversations import Unusable
from s2h.errors import DataError

Kind = Literal["folder", "zip", "tar", "stream"]
"""``stream`` is a compressed tar."""

_PART = re.compile(r"(.+)\.(?:part[_-]?[a-z]{2,3}|part[_-]?\d+|\d{3})$")
_ZIP_HEADER = 30  # bytes of a member's own header before its name (APPNOTE.TXT, 4.3.7)
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, ValueError)


@dataclasses.dataclass(frozen=True, slots=True)
class Archive:
    """A folder, or an archive with its parts in their order.

    Attributes:
        paths: the folder or file, or the parts of a split one.
    """

    paths: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name that messages use."""
        return self.paths[0] if len(self.paths) == 1 else f"{self.paths[0]} … {Path(self.paths[-1]).name}"


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """An image in an archive.

    Attributes:
        name: path in the archive.
        offset: of its bytes (zip: of its own header) in the archive, or in the pack.
        stored: bytes that it takes there.
        size: bytes of the image.
        method: how they are compressed, as zip counts it; 0 for not at all.
        crc: checksum of a zip's member; -1 where there is none.
    """

    name: str
    offset: int
    stored: int
    size: int
    method: int = 0
    crc: int = -1


def group_parts(paths: Sequence[str]) -> list[Archive]:
    """The archives of a corpus; parts of one (``x.tar.part_aa``, ``x.tar.001``) together, in order of their names."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        part = _PART.fullmatch(path)
        groups.setdefault(part[1] if part and not Path(path).is_dir() else path, []).append(path)
    return [Archive(tuple(sorted(group))) for group in groups.values()]


def plain_name(name: str) -> str:
    """A path in an archive as it is compared; empty for one that leads out of it."""
    normal = posixpath.normpath(name.replace("\\", "/").lstrip("/"))
    return "" if normal == "." or normal.split("/")[0] == ".." else normal


def kind_of(archive: Archive) -> Kind:
    """The kind of an archive, by its first bytes.

    Raises:
        DataError: none of those that are read here, or it cannot be opened.
    """
    if Path(archive.paths[0]).is_dir():
        return "folder"
    with _reading(archive), open_parts(archive) as file:
        head = file.read(512)
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return "zip"
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")):
        return "stream"
    if head[257:262] == b"ustar":
        return "tar"
    raise DataError(
        f"{archive.name} is not an image archive: it begins like neither a zip, a tar nor a compressed tar file. Is it "
        "whole, and the first of its parts?"
    )


def list_members(archive: Archive, kind: Kind) -> Iterator[Member]:
    """The members of a zip or plain tar.

    Raises:
        DataError: it is torn or foreign.
    """
    with _reading(archive), open_parts(archive) as file:
        yield from _zip_members(file) if kind == "zip" else _tar_members(file)


def pack_members(archive: Archive, wanted: Callable[[str], bool], pack: BinaryIO) -> Iterator[Member]:
    """Copy members of a compressed tar into a file that is open for writing, behind what it holds.

    Args:
        archive: read once, from its beginning to its end.
        wanted: whether a member of this name is copied.
        pack: where to; the members that are given lie there.

    Raises:
        DataError: it is torn or foreign.
    """
    # Not tarfile's own "r|*": it looks at no checksum, and takes a stream that is cut off between members for whole.
    with (
        _reading(archive),
        open_parts(archive) as file,
        _decompressed(file) as plain,
        tarfile.open(fileobj=plain, mode="r|") as tar,
    ):
        links: list[tuple[str, str]] = []
        packed: dict[str, Member] = {}
        for member in _each(tar):
            if member.isreg() and wanted(member.name):
                place, content = pack.tell(), tar.extractfile(member)
                assert content is not None
                pack.write(content.read())
                packed[member.name] = Member(member.name, place, member.size, member.size)
                yield packed[member.name]
            elif member.islnk() and wanted(member.name):
                links.append((member.name, member.linkname))
        while plain.read(1 << 20):  # to the end, so that its checksum is looked at
            pass
        yield from _linked(links, packed)


class ImageReader:
    """Reads the bytes of images by their places; archives are opened when they are first needed.

    Args:
        archives: of the corpus.
        pack: file with the images of its compressed archives.
    """

    def __init__(self, archives: Sequence[Archive], pack: str | Path) -> None:
        self._archives, self._pack = archives, Archive((str(pack),))
        self._open: dict[Archive, BinaryIO] = {}

    def __call__(self, archive: int, kind: Kind, member: Member) -> bytes:
        """The bytes of an image.

        Raises:
            Unusable: they are not there, or not what the archive says of them.
        """
        try:
            if kind == "folder":
                return (Path(self._archives[archive].paths[0]) / member.name).read_bytes()
            file = self._file(self._pack if kind == "stream" else self._archives[archive])
            data = _zip_bytes(file, member) if kind == "zip" else _bytes_at(file, member.offset, member.size)
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise Unusable("unreadable image", str(error) or type(error).__name__) from None
        return data

    def close(self) -> None:
        """Close all archives."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _file(self, archive: Archive) -> BinaryIO:
        if archive not in self._open:
            self._open[archive] = open_parts(archive)
        return self._open[archive]


def open_parts(archive: Archive) -> BinaryIO:
    """The parts of an archive as one file."""
    if len(archive.paths) == 1:
        return open(archive.paths[0], "rb")
    return cast(BinaryIO, io.BufferedReader(_Parts(archive.paths)))


class _Parts(io.RawIOBase):
    """Several files read as one."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._files = [open(path, "rb", buffering=0) for path in paths]  # noqa: SIM115 - closed by close
        sizes = [os.fstat(file.fileno()).st_size for file in self._files]
        self._starts = [sum(sizes[:place]) for place in range(len(sizes) + 1)]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._starts[-1]}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill from the part in which the place lies; the next call continues in the next part."""
        for file, start, end in zip(self._files, self._starts, self._starts[1:], strict=False):
            if start <= self._at < end:
                file.seek(self._at - start)
                read = file.readinto(buffer) or 0
                self._at += read
                return read
        return 0

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()


def _decompressed(file: BinaryIO) -> AbstractContextManager[IO[bytes]]:
    """A reader of the decompressed data of a file; it raises an error where the file is cut off."""
    head = file.read(2)
    file.seek(0)
    readers: dict[bytes, Callable[[BinaryIO], Any]] = {
        b"\x1f\x8b": lambda compressed: gzip.GzipFile(fileobj=compressed, mode="rb"),
        b"BZ": bz2.BZ2File,
        b"\xfd7": lzma.LZMAFile,
    }
    return cast(AbstractContextManager[IO[bytes]], readers[head](file))


def _zip_members(file: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                method = -1 if info.flag_bits & 1 else info.compress_type  # the first bit: it is encrypted
                yield Member(info.filename, info.header_offset, info.compress_size, info.file_size, method, info.CRC)


def _tar_members(file: BinaryIO) -> Iterator[Member]:
    links: list[tuple[str, str]] = []
    found: dict[str, Member] = {}
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for member in _each(archive):
            if member.islnk():
                links.append((member.name, member.linkname))
            elif member.isreg():
                found[member.name] = Member(member.name, member.offset_data, member.size, member.size)
                yield found[member.name]
    yield from _linked(links, found)


def _each(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of a tar; the archive's own list of them is emptied, as it would hold millions."""
    while (member := archive.next()) is not None:
        yield member
        archive.members = []  # type: ignore[attr-defined] # documented nowhere, and the only way


def _linked(links: Sequence[tuple[str, str]], found: dict[str, Member]) -> Iterator[Member]:
    """Members that are hard links to others: the same place under another name."""
    for name, target in links:
        if target in found:
            yield dataclasses.replace(found[target], name=name)


def _zip_bytes(file: BinaryIO, member: Member) -> bytes:
    if member.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is encrypted" if member.method < 0 else f"zip's method {member.method} is not read here")
    header = _bytes_at(file, member.offset, _ZIP_HEADER)
    if header[:4] != b"PK\3\4":
        raise ValueError(f"no member of a zip at byte {member.offset}")
    name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    data = _bytes_at(file, member.offset + _ZIP_HEADER + name + extra, member.stored)
    if member.method == zipfile.ZIP_DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, member.size + 1)
    if len(data) != member.size or zlib.crc32(data) != member.crc:
        raise ValueError("its checksum is not that of the archive")
    return data


def _bytes_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise EOFError(f"the archive ends after {len(data)} of its {size} bytes")
    return data


@contextmanager
def _reading(archive: Archive) -> Iterator[None]:
    """Turn the errors of libraries into one that names the archive."""
    try:
        yield
    except _BROKEN as error:
        reason = str(error) or type(error).__name__
        raise DataError(
            f"the image archive {archive.name} cannot be read: {reason}. Compare its size with the published one, and "
            "fetch it again."
        ) from None
