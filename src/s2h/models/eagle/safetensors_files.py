"""Tensors moved between safetensors files, byte for byte or in another type, a piece at a time: never all at once.

The format: the length of a header (8 bytes, little endian), the header (JSON: type, shape and place of each tensor),
then the tensors' bytes one after another (https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from s2h.errors import DataError

INDEX = "model.safetensors.index.json"
_WHOLE = "model.safetensors"
_PIECE = 2**24  # bytes copied at once: all that is in memory
_LONGEST_HEADER = 100_000_000  # bytes, as in the format's own reader
_TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in a file.

    Attributes:
        file: that holds it.
        dtype: as the format writes it, e.g. ``BF16``.
        shape: of the tensor.
        start: of its bytes in the file.
        size: number of its bytes, as they are written.
        read_as: the type that it has in the file, where it is to be written in another.
    """

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int
    read_as: str | None = None

    @property
    def numbers(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def cast(self, dtype: str) -> Stored:
        """This tensor, to be written as ``dtype``.

        Raises:
            DataError: one of the two is no type of floating-point numbers.
        """
        if dtype == self.dtype:
            return self
        if not {dtype, self.dtype} <= _TYPES.keys():
            raise DataError(f"{self.file} holds numbers of type {self.dtype}, which are not weights in full precision.")
        size = self.numbers * _TYPES[dtype].itemsize
        return dataclasses.replace(self, dtype=dtype, size=size, read_as=self.dtype)


def read_folder(folder: Path) -> dict[str, Stored]:
    """All tensors of a model folder, by name; only headers are read.

    Raises:
        DataError: there are no safetensors files, one is missing or torn, or they are not what the index says.
    """
    tensors: dict[str, Stored] = {}
    for file in _files(folder):
        for name, stored in read_header(file).items():
            if name in tensors:
                raise DataError(f"{name} lies twice in {folder}: in {tensors[name].file.name} and in {file.name}.")
            tensors[name] = stored
    return tensors


def read_header(file: Path) -> dict[str, Stored]:
    """The tensors of a safetensors file.

    Raises:
        DataError: it is not such a file, or its end is missing.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise DataError(f"{file} is torn or no safetensors file: fetch it again.")
        try:
            header = json.loads(opened.read(length))
            tensors = {
                name: _stored(file, entry, 8 + length) for name, entry in header.items() if name != "__metadata__"
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{file} has no header of a safetensors file: fetch it again.") from None
    end = max((stored.start + stored.size for stored in tensors.values()), default=8 + length)
    if end != size:
        raise DataError(f"{file} has {size:,} bytes, but its header speaks of {end:,}: fetch it again.")
    return tensors


def write_folder(folder: Path, tensors: Mapping[str, Stored], *, largest: int) -> None:
    """Copy tensors into new files, with an index where there are several.

    Args:
        folder: that is there.
        tensors: by the names that they shall have; they are written in this order.
        largest: bytes of a file's tensors; a tensor that has more gets a file of its own.

    Raises:
        DataError: the disk has too little room.
    """
    total, free = sum(stored.size for stored in tensors.values()), shutil.disk_usage(folder).free
    if total > free:
        raise DataError(f"{folder.parent} has room for {free:,} bytes, but the weights take {total:,}.")
    groups = list(_groups(tensors, largest))
    places = {}
    for number, names in enumerate(groups, start=1):
        file = _WHOLE if len(groups) == 1 else f"model-{number:05}-of-{len(groups):05}.safetensors"
        _write(folder / file, {name: tensors[name] for name in names})
        places.update(dict.fromkeys(names, file))
    if len(groups) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")


def _files(folder: Path) -> list[Path]:
    """The weight files of a folder: those of its index, or the only one."""
    if (folder / INDEX).is_file():
        files = [folder / name for name in sorted(set(read_json(folder / INDEX).get("weight_map", {}).values()))]
        missing = [file.name for file in files if not file.is_file()]
        if missing or not files:
            raise DataError(
                f"{folder} lacks {', '.join(missing) or 'weights'}, of which {INDEX} speaks: fetch it again."
            )
        return files
    if (folder / _WHOLE).is_file():
        return [folder / _WHOLE]
    if any(folder.glob("*.bin")):
        raise DataError(f"{folder} holds weights as .bin files alone, which are not read: bring it as safetensors.")
    raise DataError(f"{folder} holds no weights: neither {INDEX} nor {_WHOLE} is there.")


def read_json(file: Path) -> dict[str, Any]:
    """The contents of a JSON file.

    Raises:
        DataError: it is missing, or holds no object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}.") from None
    if not isinstance(content, dict):
        raise DataError(f"{file} does not hold names and values.")
    return content


def _stored(file: Path, entry: Mapping[str, Any], data: int) -> Stored:
    begin, end = entry["data_offsets"]
    return Stored(file, str(entry["dtype"]), tuple(map(int, entry["shape"])), data + int(begin), int(end) - int(begin))


def _groups(tensors: Mapping[str, Stored], largest: int) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for name, stored in tensors.items():
        if group and size + stored.size > largest:
            yield group
            group, size = [], 0
        group.append(name)
        size += stored.size
    yield group


def _write(file: Path, tensors: Mapping[str, Stored]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # transformers asks for it
    at = 0
    for name, stored in tensors.items():
        header[name] = {"dtype": stored.dtype, "shape": stored.shape, "data_offsets": [at, at + stored.size]}
        at += stored.size
    words = json.dumps(header).encode()
    words += b" " * (-len(words) % 8)  # tensors begin at a multiple of 8 bytes
    with file.open("wb") as written:
        written.write(len(words).to_bytes(8, "little") + words)
        for stored in tensors.values():
            with stored.file.open("rb") as read:
                read.seek(stored.start)
                if stored.read_as is None:
                    _copy(read, written, stored.size)
                else:
                    _cast(read, written, stored, _TYPES[stored.read_as])


def _copy(read: BinaryIO, written: BinaryIO, size: int) -> None:
    for piece in _pieces(read, size):
        written.write(piece)


def _cast(read: BinaryIO, written: BinaryIO, stored: Stored, before: torch.dtype) -> None:
    rest = b""  # a piece may end within a number
    for piece in _pieces(read, stored.numbers * before.itemsize):
        whole = (len(rest) + len(piece)) // before.itemsize * before.itemsize
        found = bytearray(rest + piece)
        rest = bytes(found[whole:])
        if whole:
            values = torch.frombuffer(found, dtype=before, count=whole // before.itemsize).to(_TYPES[stored.dtype])
            written.write(values.view(torch.uint8).numpy().tobytes())


def _pieces(read: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = read.read(min(size, _PIECE))
        if not piece:
            raise DataError(f"{read.name} ended before its last tensor: it changed while it was read.")
        yield piece
        size -= len(piece)
