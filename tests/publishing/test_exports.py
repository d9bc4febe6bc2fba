"""Mixtures for other trainers say the same as ours, and are opened by the libraries that they are for."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from s2h.models.loading import load_processor
from s2h.overlays import read_config
from s2h.publishing.exports import export_mixture
from s2h.puzzles.shards import read_shards
from s2h.supervision.mixture import write_mixture
from s2h.tokenisation.chat_template import prompt_text


@pytest.fixture(scope="module")
def exported(
    readout_shards: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[dict[str, Any]]]:
    """An exported Mix+ and the rows of its mixture."""
    folder = tmp_path_factory.mktemp("export")
    phase = read_config().recipes["mix_plus"].phases[0]
    shards: Any = {"consecutive_table_readout": readout_shards}
    write_mixture(folder / "mixture.parquet", phase, budget=24, shards=shards, key=(0, "test"))
    (folder / "out").mkdir()
    export_mixture(folder / "mixture.parquet", folder / "out")
    return folder / "out", list(pl.read_parquet(folder / "mixture.parquet").iter_rows(named=True))


@pytest.fixture(scope="module")
def images(readout_shards: dict[str, list[str]]) -> dict[str, bytes]:
    return {
        record["puzzle_id"]: record["image"]["bytes"]
        for paths in readout_shards.values()
        for record in read_shards(paths)
    }


def test_llava_json_has_its_two_turns_and_its_image(exported: Any, images: dict[str, bytes]) -> None:
    folder, rows = exported
    entries = json.loads((folder / "llava.json").read_text())
    assert len({entry["id"] for entry in entries}) == len(rows) == 24
    for entry, row in zip(entries, rows, strict=True):
        human, gpt = entry["conversations"]
        assert (human["from"], gpt["from"], gpt["value"]) == ("human", "gpt", row["response"])
        if row["image_shard"]:
            assert human["value"] == f"<image>\n\n{row['prompt']}"
            assert (folder / entry["image"]).read_bytes() == images[row["puzzle_id"]]
        else:
            assert human["value"] == row["prompt"]
            assert "image" not in entry


def test_chat_jsonl_has_a_placeholder_for_each_image(exported: Any, tmp_path: Path) -> None:
    import datasets

    folder, rows = exported
    loaded = datasets.load_dataset(
        "json", data_files=str(folder / "chat.jsonl"), split="train", cache_dir=str(tmp_path)
    )
    info = json.loads((folder / "dataset_info.json").read_text())["s2h"]
    assert (folder / info["file_name"]).is_file()
    assert set(info["columns"].values()) <= set(loaded.column_names)
    for entry, row in zip(loaded, rows, strict=True):
        user, assistant = entry["messages"]
        assert (user["role"], assistant["role"], assistant["content"]) == ("user", "assistant", row["response"])
        assert user["content"].count("<image>") == len(entry["images"]) == bool(row["image_shard"])
        assert all((folder / name).is_file() for name in entry["images"])


def test_messages_are_what_our_own_training_reads(exported: Any, tiny_model: Path, tmp_path: Path) -> None:
    import datasets

    folder, rows = exported
    files = str(folder / "messages.parquet")
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    processor = load_processor(tiny_model)
    for entry, row in zip(loaded, rows, strict=True):
        asked = prompt_text(processor, row["prompt"], with_image=bool(row["image_shard"]))
        assert processor.apply_chat_template(entry["messages"][:1], add_generation_prompt=True, tokenize=False) == asked
        assert [part["text"] for part in entry["messages"][1]["content"]] == [row["response"]]
        for image in entry["images"]:
            assert isinstance(image, Image.Image)


def test_trl_makes_batches_of_the_messages(exported: Any, tiny_model: Path, tmp_path: Path) -> None:
    import datasets
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    folder, rows = exported
    files = str(folder / "messages.parquet")
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    processor = load_processor(tiny_model)
    shown = [i for i, row in enumerate(rows) if row["image_shard"]][:4]
    batch = DataCollatorForVisionLanguageModeling(processor)([loaded[i] for i in shown])
    assert batch["pixel_values"].shape[0] == len(shown)
    for ids, i in zip(batch["input_ids"], shown, strict=True):
        words = processor.tokenizer.decode(ids, skip_special_tokens=True).split()
        assert words == f"<user> {rows[i]['prompt']} <assistant> {rows[i]['response']}".split()


def test_every_image_is_written_once(exported: Any, images: dict[str, bytes]) -> None:
    folder, rows = exported
    written = {path.stem for path in (folder / "images").iterdir()}
    assert written == {row["puzzle_id"] for row in rows if row["image_shard"]}
    one = next(iter(written))
    assert Image.open(io.BytesIO(images[one])).size == Image.open(folder / f"images/{one}.png").size
