"""A small made-up corpus in the published layouts, with everything in it that real ones have: also what is broken."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from PIL import Image

Layout = Literal["zip", "zips", "tar", "parts", "folder"]
LAYOUTS: tuple[Layout, ...] = ("zip", "zips", "tar", "parts", "folder")
"""One zip, two of them, a plain tar, a compressed tar in parts, and a folder."""

WORDS = ("from", "to", "row", "column", "the", "is", "a", "picture", "What", "?")
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """What was written.

    Attributes:
        annotations: JSON file.
        images: what the config names.
        kept: ids of the good entries, in order.
        turns: their texts by id.
        files: bytes of the image of each by id; text alone is not among them.
        dropped: how many entries must be dropped for each reason.
    """

    annotations: Path
    images: list[str]
    kept: list[str]
    turns: dict[str, list[str]]
    files: dict[str, bytes]
    dropped: Counter[str]

    def settings(self, **more: Any) -> dict[str, Any]:
        """As an entry of the config."""
        return {"annotations": str(self.annotations), "images": self.images, **more}


def picture(rng: random.Random, form: str = "JPEG", side: int = 96) -> bytes:
    """An image file of random colours, sometimes grey or with transparency."""
    size = (rng.randrange(side // 2, side + 1), rng.randrange(side // 2, side + 1))
    image = Image.frombytes("RGB", (4, 4), rng.randbytes(48)).resize(size)
    mode = rng.choice(["RGB", "L"]) if form in ("JPEG", "PNG", "WEBP") else "RGB"
    file = io.BytesIO()
    image.convert(mode).save(file, form)
    return file.getvalue()


def bomb() -> bytes:
    """A valid PNG header that promises 60,000 x 60,000 pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + crc + b"\0\0\0\0IEND\xaeB`\x82"


class Generator:
    """Makes entries one by one.

    Args:
        seed: of all choices.
        words: of the conversations.
    """

    def __init__(self, seed: int, words: Sequence[str]) -> None:
        self.rng, self.words = random.Random(seed), list(words)
        self.entries: list[dict[str, Any]] = []
        self.archive: dict[str, bytes] = {}
        self.kept: list[str] = []
        self.turns: dict[str, list[str]] = {}
        self.files: dict[str, bytes] = {}
        self.dropped: Counter[str] = Counter()

    def text(self) -> str:
        return " ".join(self.rng.choices(self.words, k=self.rng.randrange(3, 12)))

    def conversation(self, rounds: int = 1, *, mark: str = "") -> list[dict[str, str]]:
        turns = []
        for number in range(rounds):
            asked = self.text()
            if number == 0 and mark:
                asked = f"{mark}\n{asked}" if self.rng.random() < 0.7 else f"{asked}\n{mark}"
            turns += [{"from": "human", "value": asked}, {"from": "gpt", "value": self.text()}]
        return turns

    def add(
        self, *, rounds: int = 1, image: bool = True, reason: str = "", data: bytes | None = None
    ) -> dict[str, Any]:
        """An entry, and its image in the archive; with a reason it counts as one that must be dropped."""
        number = len(self.entries)
        entry: dict[str, Any] = {"id": f"{number:09d}"}
        if image:
            form = self.rng.choice(_FORMATS)
            # JPEG files with the ending .png are common in what is published.
            entry["image"] = f"part{number % 3}/{number:09d}.{self.rng.choice(['jpg', 'png'])}"
            data = picture(self.rng, form) if data is None else data
            self.archive[entry["image"]] = data
        entry["conversations"] = self.conversation(rounds, mark="<image>" if image else "")
        self.entries.append(entry)
        if reason:
            self.dropped[reason] += 1
            return entry
        self.kept.append(entry["id"])
        self.turns[entry["id"]] = [turn["value"].replace("<image>", "").strip() for turn in entry["conversations"]]
        if image and data is not None:
            self.files[entry["id"]] = data
        return entry

    def add_oddities(self) -> None:
        """Good entries in other clothes."""
        entry = self.add()
        entry["conversations"][0]["value"] = self.turns[entry["id"]][0]  # an image, but no mark
        entry = self.add()
        entry["images"] = [entry.pop("image")]
        entry = self.add(rounds=2)
        for turn in entry["conversations"]:
            turn["from"] = {"human": "user", "gpt": "assistant"}[turn["from"]]
        entry = self.add(image=False)
        entry["conversations"].insert(0, {"from": "system", "value": self.words[0]})
        self.turns[entry["id"]][0] = f"{self.words[0]}\n\n{self.turns[entry['id']][0]}"
        shared = self.add()
        again = self.add()
        again["image"] = shared["image"]
        self.files[again["id"]] = self.files[shared["id"]]

    def add_faults(self) -> None:
        """One entry of every kind that is dropped, and two whose image is missing."""
        for _ in range(2):
            del self.archive[self.add(reason="missing image")["image"]]
        self.add(reason="broken image", data=picture(self.rng)[:-40])
        self.add(reason="broken image", data=b"<html>404</html>")
        self.add(reason="empty image", data=b"")
        self.add(reason="image too large", data=bomb())
        self.add(reason="image too small", data=picture(self.rng, "PNG", side=4))
        self.add(reason="several images")["images"] = ["part0/a.jpg", "part0/b.jpg"]
        self.add(reason="image mark without an image").pop("image")
        entry = self.add(reason="several image marks")
        entry["conversations"][0]["value"] = "<image> <image> x"
        entry = self.add(rounds=2, reason="image mark in a later turn")
        entry["conversations"][0]["value"] = "x"
        entry["conversations"][2]["value"] = "<image>\nx"
        entry = self.add(rounds=2, reason="special token")
        entry["conversations"][3]["value"] = "x <|im_end|>"
        self.add(reason="media that are not read")["video"] = "part0/a.mp4"
        entry = self.add(reason="media that are not read")
        entry["image"] = {"bytes": None, "path": entry["image"]}
        self.add(image=False, reason="empty turn")["conversations"][1]["value"] = " \n"
        self.add(image=False, reason="no last response")["conversations"].pop()
        self.add(image=False, reason="turns out of order")["conversations"].reverse()
        self.add(image=False, reason="unknown role")["conversations"][0]["from"] = "tool"
        self.add(image=False, reason="no conversation")["conversations"] = []

    def write(self, folder: Path, layout: Layout) -> Made:
        """Write annotations and images."""
        folder.mkdir(parents=True, exist_ok=True)
        annotations = folder / "chat.json"
        annotations.write_text(json.dumps(self.entries, ensure_ascii=False, indent=self.rng.choice([None, 2])))
        images = [str(path) for path in write_images(folder, self.archive, layout)]
        return Made(annotations, images, self.kept, self.turns, self.files, self.dropped)


def write_images(folder: Path, archive: dict[str, bytes], layout: Layout) -> list[Path]:
    """The images as they are published; folders or files for the config."""
    names = list(archive)
    if layout == "zip":
        return [_zip(folder / "images.zip", archive, zipfile.ZIP_STORED)]
    if layout == "zips":
        halves = [names[::2], names[1::2]]
        return [
            _zip(folder / f"images-{number}.zip", {name: archive[name] for name in half}, zipfile.ZIP_DEFLATED)
            for number, half in enumerate(halves)
        ]
    if layout == "tar":
        _tar(folder / "images.tar", archive, "w:")
        return [folder / "images.tar"]
    if layout == "parts":
        _tar(folder / "whole", archive, "w:gz")
        data = (folder / "whole").read_bytes()
        (folder / "whole").unlink()
        for number, name in enumerate("abc"):
            third = len(data) // 3 + 1
            (folder / f"images.tar.part_a{name}").write_bytes(data[number * third : (number + 1) * third])
        return [folder / "images.tar.part_*"]
    for name, data in archive.items():
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "images" / name).write_bytes(data)
    return [folder / "images"]


def _zip(path: Path, archive: dict[str, bytes], method: int) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in archive.items():
            file.writestr(name, data)
    return path


def _tar(path: Path, archive: dict[str, bytes], mode: Any) -> None:
    with tarfile.open(path, mode) as file:
        for name, data in archive.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))


def make_corpus(
    folder: Path, layout: Layout, *, good: int = 40, seed: int = 0, words: Sequence[str] = WORDS, faults: bool = True
) -> Made:
    """A corpus with ``good`` plain entries, a fifth of text alone, of one to three rounds; and all the rest."""
    made = Generator(seed, words)
    for number in range(good):
        made.add(rounds=1 + number % 3, image=number % 5 != 4)
        if number == good // 2 and faults:
            made.add_oddities()
            made.add_faults()
    return made.write(folder, layout)
