"""Every published layout gives the same shards; what is broken is dropped and told; bytes are those of the archive."""

from __future__ import annotations

import json
import random
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from s2h.corpora import corpus_shards as shards_module
from s2h.corpora.archives import group_parts
from s2h.corpora.corpus_report import Findings, write_report
from s2h.corpora.corpus_settings import CorpusSettings
from s2h.corpora.corpus_shards import SCHEMA, entry_range, image_places, read_findings, write_shard
from s2h.corpora.index import make_index, read_index
from s2h.errors import DataError
from tests.corpora.generated import LAYOUTS, Layout, Made, make_corpus, picture, write_images


def shard_files(made: Made, folder: Path, number: int) -> list[Path]:
    """All shards of a corpus."""
    settings = CorpusSettings.model_validate(made.settings())
    index, pack = folder / "index.parquet", folder / "images.pack"
    make_index(settings.annotations_path(), settings.image_paths(), index, pack)
    files = [folder / f"shard-{shard:05d}.parquet" for shard in range(number)]
    for shard, file in enumerate(files):
        write_shard(file, index=index, pack=pack, shard=shard, shards=number, progress=lambda done: None)
    return files


def write_entries(path: Path, images: list[str]) -> None:
    """Annotations with one short conversation about each image."""
    turns = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    path.write_text(json.dumps([{"image": image, "conversations": turns} for image in images]))


def rows_of(files: list[Path]) -> list[dict[str, object]]:
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def total(files: list[Path]) -> Findings:
    found = Findings()
    for file in files:
        found.add(read_findings(file))
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_keeps_the_good_and_tells_of_the_rest(layout: Layout, tmp_path: Path) -> None:
    made = make_corpus(tmp_path / "data", layout)
    files = shard_files(made, tmp_path, 3)
    rows = rows_of(files)
    assert [row["entry_id"] for row in rows] == made.kept
    for row in rows:
        name = str(row["entry_id"])
        turns, image = row["turns"], row["image"]
        assert isinstance(turns, list)
        assert isinstance(image, dict)
        assert [turn["text"] for turn in turns] == made.turns[name]
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
        assert image["bytes"] == made.files.get(name)
        assert (row["width"] == 0) == (name not in made.files)
    found = total(files)
    assert Counter(found.dropped) == made.dropped
    assert (found.kept, found.text_only) == (len(made.kept), len(made.kept) - len(made.files))
    assert found.responses == sum(len(turns) // 2 for turns in made.turns.values())
    assert sum(found.formats.values()) == len(made.files)


def test_what_is_kept_does_not_depend_on_the_number_of_shards(tmp_path: Path) -> None:
    made = make_corpus(tmp_path / "data", "zip")
    seen = []
    for number in (1, 2, 7, 100):
        (tmp_path / str(number)).mkdir()
        files = shard_files(made, tmp_path / str(number), number)
        seen.append((rows_of(files), total(files).to_json()))
    assert all(each == seen[0] for each in seen)


def test_a_shard_has_the_same_bytes_whenever_and_in_whatever_order_it_is_made(tmp_path: Path) -> None:
    made = make_corpus(tmp_path / "data", "parts")
    files = shard_files(made, tmp_path, 4)
    before = [file.read_bytes() for file in files]
    for shard in (2, 0, 3, 1):
        index, pack = tmp_path / "index.parquet", tmp_path / "images.pack"
        write_shard(files[shard], index=index, pack=pack, shard=shard, shards=4, progress=lambda done: None)
    assert [file.read_bytes() for file in files] == before


def test_an_image_is_read_by_its_place(tmp_path: Path) -> None:
    made = make_corpus(tmp_path / "data", "tar", good=400)
    (file,) = shard_files(made, tmp_path, 1)
    assert pq.read_metadata(file).num_row_groups > 1
    data, places = file.read_bytes(), image_places(file)
    assert len(places) == len(made.kept)
    for name, (offset, size) in zip(made.kept, places, strict=True):
        assert (data[offset : offset + size] if size else None) == made.files.get(name)


def test_large_images_that_fill_pages_of_their_own_have_places_too(tmp_path: Path) -> None:
    rng = random.Random(0)
    big = {f"{n}.bmp": picture(rng, "BMP", side=900) for n in range(6)}
    write_entries(tmp_path / "chat.json", list(big))
    images = write_images(tmp_path, big, "zip")
    made = Made(tmp_path / "chat.json", [str(path) for path in images], [], {}, {}, Counter())
    (file,) = shard_files(made, tmp_path, 1)
    data = file.read_bytes()
    assert [data[offset : offset + size] for offset, size in image_places(file)] == list(big.values())


def test_places_that_are_not_those_of_the_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_corpus(tmp_path / "data", "zip", faults=False)
    real = shards_module.image_places
    monkeypatch.setattr(
        shards_module, "image_places", lambda path: [(at + 1 if size else at, size) for at, size in real(path)]
    )
    with pytest.raises(DataError, match="is not the one that was written there"):
        shard_files(made, tmp_path, 1)
    assert not list(tmp_path.glob("shard-*"))


def test_parts_go_together_in_their_order() -> None:
    names = ["x/images.tar.part_ab", "b.zip", "x/images.tar.part_aa", "y.tar.001", "y.tar.002", "c.part.zip"]
    assert [archive.paths for archive in group_parts(names)] == [
        ("x/images.tar.part_aa", "x/images.tar.part_ab"), ("b.zip",), ("y.tar.001", "y.tar.002"), ("c.part.zip",),
    ]  # fmt: skip


def test_names_below_a_first_folder_are_found_but_not_where_two_could_be_meant(tmp_path: Path) -> None:
    rng = random.Random(1)
    archive = {name: picture(rng) for name in ("top/a/1.jpg", "top/2.jpg", "other/2.jpg", "3.jpg")}
    names = ["a/1.jpg", "2.jpg", "./3.jpg", "../3.jpg", "top/2.jpg"]
    write_entries(tmp_path / "chat.json", names)
    for layout in LAYOUTS[0], LAYOUTS[3]:
        (tmp_path / layout).mkdir()
        images = write_images(tmp_path / layout, archive, layout)
        paths = CorpusSettings(annotations="x", images=tuple(map(str, images))).image_paths()
        make_index(str(tmp_path / "chat.json"), paths, tmp_path / "index", tmp_path / "pack")
        found = read_index(tmp_path / "index").rows["member"].to_list()
        assert [name and name.removeprefix("./") for name in found] == [
            "top/a/1.jpg", None, "3.jpg", None, "top/2.jpg",
        ]  # fmt: skip


def test_hard_links_in_a_tar_are_followed(tmp_path: Path) -> None:
    made = make_corpus(tmp_path / "data", "tar", good=5, faults=False)
    with tarfile.open(made.images[0], "a") as file:
        info = tarfile.TarInfo("linked.jpg")
        info.type, info.linkname = tarfile.LNKTYPE, f"./{sorted(made.files)[0]}"
        first = file.getnames()[0]
        info.linkname = first
        file.addfile(info)
    make_index(str(made.annotations), made.images, tmp_path / "index", tmp_path / "pack")
    text = made.annotations.read_text().replace("part1/000000001", "linked", 1)
    for ending in (".jpg", ".png"):
        text = text.replace(f"linked{ending}", "linked.jpg")
    made.annotations.write_text(text)
    (file_,) = shard_files(made, tmp_path, 1)
    assert read_findings(file_).dropped == {}
    rows = rows_of([file_])
    assert rows[1]["image"]["bytes"] == rows[0]["image"]["bytes"]  # type: ignore[index]


WRONG = {
    "no list": ("chat.json", b'{"a": 1}', "not a JSON list of entries, at byte 0"),
    "torn list": ("chat.json", b'[{"id": 1}, {"id"', "not a JSON list of entries, at byte 12"),
    "no text": ("chat.json", b"\xff\xfe[", "not a JSON list of entries"),
    "no entry": ("chat.json", b"[]", "hold no entry"),
    "no archive": ("images.zip", b"<html>not found</html>", "is not an image archive"),
    "torn zip": ("images.zip", None, "images.zip cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_read_is_named_in_one_line(case: str, tmp_path: Path) -> None:
    made = make_corpus(tmp_path, "zip", good=5, faults=False)
    name, data, complaint = WRONG[case]
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-30] if data is None else data)
    with pytest.raises(DataError, match=complaint) as caught:
        make_index(str(made.annotations), made.images, tmp_path / "index", tmp_path / "pack")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("cut", [1, 9, 500, 3000])
def test_a_torn_compressed_archive_is_refused(cut: int, tmp_path: Path) -> None:
    make_corpus(tmp_path, "parts")
    last = tmp_path / "images.tar.part_ac"
    last.write_bytes(last.read_bytes()[:-cut])
    settings = CorpusSettings(annotations=str(tmp_path / "chat.json"), images=(str(tmp_path / "images.tar.part_*"),))
    with pytest.raises(DataError, match="cannot be read"):
        make_index(settings.annotations, settings.image_paths(), tmp_path / "index", tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


def test_a_corpus_that_changed_after_it_was_indexed_is_refused(tmp_path: Path) -> None:
    made = make_corpus(tmp_path / "data", "zip")
    shard_files(made, tmp_path, 1)
    shutil.copy(made.annotations, made.annotations.with_suffix(".old"))
    made.annotations.write_text(made.annotations.read_text() + " ")
    with pytest.raises(DataError, match="has changed since the corpus was indexed"):
        write_shard(
            tmp_path / "x", index=tmp_path / "index.parquet", pack=tmp_path / "images.pack", shard=0, shards=1,
            progress=lambda done: None,
        )  # fmt: skip


def test_a_member_whose_bytes_rotted_is_dropped(tmp_path: Path) -> None:
    made = make_corpus(tmp_path / "data", "zip", faults=False)
    victim = made.files[made.kept[0]]
    data = bytearray(Path(made.images[0]).read_bytes())
    data[data.find(victim) + len(victim) // 2] ^= 1
    Path(made.images[0]).write_bytes(data)
    found = total(shard_files(made, tmp_path, 1))
    assert found.dropped == {"unreadable image": 1}
    assert "checksum" in found.examples["unreadable image"][0]


def test_too_little_that_is_good_ends_in_an_error_with_the_report(tmp_path: Path) -> None:
    made = make_corpus(tmp_path / "data", "zip")
    files = shard_files(made, tmp_path, 2)
    paths = {"json_path": str(tmp_path / "r.json"), "markdown_path": str(tmp_path / "r.md")}
    with pytest.raises(DataError, match=r"fewer than\s+corpora.mine.min_kept_fraction = 0.95") as caught:
        write_report("mine", map(read_findings, files), min_kept_fraction=0.95, **paths)
    assert "| missing image | 2 |" in str(caught.value)
    assert not (tmp_path / "r.json").exists()
    write_report("mine", map(read_findings, files), min_kept_fraction=0.5, **paths)
    assert Findings.from_json((tmp_path / "r.json").read_text()) == total(files)
    for reason, number in made.dropped.items():
        assert f"| {reason} | {number} |" in (tmp_path / "r.md").read_text()


def test_ranges_cover_every_entry_once() -> None:
    for entries, number in ((10, 3), (3, 10), (7, 7), (1_809_412, 181)):
        ends = [entry_range(shard, number, entries) for shard in range(number)]
        assert [end for _, end in ends[:-1]] == [start for start, _ in ends[1:]]
        assert (ends[0][0], ends[-1][1]) == (0, entries)


def test_the_record_is_what_its_schema_says(tmp_path: Path) -> None:
    made = make_corpus(tmp_path / "data", "zip")
    (file,) = shard_files(made, tmp_path, 1)
    assert pl.read_parquet_schema(file).keys() == set(SCHEMA.names)
    assert list(shards_module.Record.__dataclass_fields__) == SCHEMA.names
