"""A folder of puzzles is a data set that others open with no code of ours."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from s2h.publishing.cards import write_card
from s2h.puzzles.record import SCHEMA
from s2h.puzzles.shards import read_shards
from tests.contracts.settings import shipped_task
from tests.publishing.conftest import MADE


@pytest.fixture(scope="module")
def folder(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The puzzles of Visual Analogy, moved elsewhere, with their card."""
    folder = tmp_path_factory.mktemp("moved") / "visual_analogy"
    shutil.copytree(study / "puzzles/visual_analogy", folder)
    task = shipped_task("visual_analogy", MADE["visual_analogy"])
    write_card(folder / "README.md", task=task, report=study / "validation/visual_analogy.json", seed=0)
    return folder


def test_datasets_loads_the_folder_with_decoded_images(folder: Path, tmp_path: Path) -> None:
    import datasets

    loaded = datasets.load_dataset(str(folder), "HARD", cache_dir=str(tmp_path))
    assert {name: split.num_rows for name, split in loaded.items()} == {"train": 12, "test": 12}
    row = loaded["test"][0]
    assert isinstance(row["image"], Image.Image)
    assert row["image"].size == (800, 900)
    stored = next(read_shards([str(folder / "HARD/eval/shard-00000.parquet")]))
    assert row["alternatives"] == stored["alternatives"]
    assert row["reasoning"] == stored["reasoning"]


def test_datasets_loads_plain_files_too(folder: Path, tmp_path: Path) -> None:
    import datasets

    files = str(folder / "SIMPLE/train/*.parquet")
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert loaded.column_names == SCHEMA.names
    assert np.asarray(loaded[11]["image"].convert("L")).std() > 0


def test_the_card_tells_counts_checks_settings_and_columns(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert [config["config_name"] for config in front["configs"]] == ["SIMPLE", "HARD"]
    assert "| HARD | eval | 12 | 10 | 0 | 0 | 12 | 0 |" in card
    settings = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", card, re.DOTALL)[0])
    assert settings["visual_analogy"]["sizes"] == [20, 27, 34, 41]
    assert all(f"| `{name}` |" in card for name in SCHEMA.names)


def test_the_front_matter_is_what_the_hub_reads(folder: Path) -> None:
    from huggingface_hub import DatasetCard

    data = DatasetCard.load(folder / "README.md").data
    assert (data.license, data.language, data.size_categories) == ("mit", ["en"], ["n<1K"])
    assert "synthetic" in data.tags
    assert [split["split"] for split in data.configs[0]["data_files"]] == ["train", "test"]


def test_the_checksums_are_those_of_the_files(folder: Path) -> None:
    found = re.findall(r"^([0-9a-f]{64})  (\S+)$", (folder / "README.md").read_text(), re.MULTILINE)
    assert len(found) == 8
    for digest, name in found:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_a_card_of_scenes_says_that_they_are_no_puzzles(study: Path, folder: Path, tmp_path: Path) -> None:
    sets = json.loads((study / "validation/visual_analogy.json").read_text())
    scenes = next(each for each in sets if each["split"] == "train") | {"level": "SCENES"}
    (tmp_path / "report.json").write_text(json.dumps([*sets, scenes]))
    task = shipped_task("visual_analogy", MADE["visual_analogy"])
    write_card(tmp_path / "README.md", task=task, report=tmp_path / "report.json", seed=0)
    card = (tmp_path / "README.md").read_text()
    config = yaml.safe_load(card.split("---")[1])["configs"][-1]
    assert config == {"config_name": "SCENES", "data_files": [{"split": "train", "path": "SCENES/train/*.parquet"}]}
    assert "SCENES are drawings that are no puzzles" in card
    assert "SCENES are drawings" not in (folder / "README.md").read_text()
