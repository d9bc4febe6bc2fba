"""The gallery is one page that holds all it shows."""

from __future__ import annotations

import base64
import html
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from s2h.publishing.gallery import write_gallery
from s2h.puzzles.shards import PuzzleSet, read_shards, write_shard
from tests.contracts.settings import shipped_task

TITLES = {"table_readout": "Table Readout", "visual_analogy": "Visual Analogy"}


@pytest.fixture(scope="module")
def page(study: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    shards = {
        task: {level: str(study / f"puzzles/{task}/{level}/eval/shard-00000.parquet") for level in ("SIMPLE", "HARD")}
        for task in TITLES
    }
    path = tmp_path_factory.mktemp("gallery") / "gallery.html"
    write_gallery(path, shards, titles=TITLES)
    return path.read_text()


class Tags(HTMLParser):
    """Counts open and close tags and collects addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_for_nothing_else(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in tags.addresses)
    targets = set(re.findall(r'id="([^"]+)"', page))
    assert {address[1:] for address in tags.addresses if address.startswith("#")} <= targets


def test_every_puzzle_is_shown_with_its_words(page: str, study: Path) -> None:
    for task in TITLES:
        for level in ("SIMPLE", "HARD"):
            shard = study / f"puzzles/{task}/{level}/eval/shard-00000.parquet"
            for record in list(read_shards([str(shard)]))[:3]:
                for name in ("text", "text_question", "image_question", "transcription_question", "reasoning"):
                    assert html.escape(record[name], quote=False) in page.replace("&#34;", '"').replace("&#39;", "'")
                assert f'id="{record["puzzle_id"]}"' in page


def test_the_images_are_the_stored_ones(page: str, study: Path) -> None:
    pictures = [base64.b64decode(data) for data in re.findall(r"base64,([^\"]+)", page)]
    assert len(pictures) == 12
    shard = study / "puzzles/table_readout/SIMPLE/eval/shard-00000.parquet"
    assert pictures[0] == next(read_shards([str(shard)]))["image"]["bytes"]
    assert Image.open(io.BytesIO(pictures[-1])).size == (800, 900)


def test_a_scene_is_shown_without_questions_and_answer(tmp_path: Path) -> None:
    shard, task = tmp_path / "shard.parquet", shipped_task("table_readout", "compact")
    write_shard(shard, task, PuzzleSet(0, "SCENES", "train"), (0, 1), progress=lambda done: None)
    write_gallery(tmp_path / "gallery.html", {"table_readout": {"SCENES": str(shard)}}, titles=TITLES)
    (record,) = read_shards([str(shard)])
    page = (tmp_path / "gallery.html").read_text()
    headings = re.findall("<dt>(.+?)</dt>", page)
    assert headings == ["Question for the transcription alone", "The puzzle as text"]
    assert html.escape(record["text"], quote=False) in page
