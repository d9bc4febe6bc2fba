"""Evaluation sets as TSV files: what stock VLMEvalKit makes of them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from s2h.publishing.vlmevalkit_tsv import write_tsv
from s2h.puzzles.shards import read_shards
from s2h.supervision.formats import TEXT_COLUMNS

STOCK = """
import json, sys
from vlmeval.dataset import build_dataset
dataset = build_dataset(sys.argv[1])
messages = [dataset.build_prompt(line) for line in range(len(dataset))]
print("found", json.dumps([type(dataset).__name__, messages, dataset.data["answer"].astype(str).tolist()]))
"""


@pytest.fixture
def shards(study: Path) -> list[str]:
    return sorted(str(path) for path in (study / "puzzles/table_readout/HARD/eval").glob("*.parquet"))


def test_stock_vlmevalkit_reads_an_image_set(shards: list[str], tmp_path: Path) -> None:
    write_tsv(tmp_path / "hard_tables.tsv", shards, modality="image", puzzles=7, settings={})
    environment = {"LMUData": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", STOCK, "hard_tables"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = next(line for line in done.stdout.splitlines() if line.startswith("found "))
    kind, messages, answers = json.loads(found.removeprefix("found "))
    assert kind == "CustomVQADataset"
    records = list(read_shards(shards))[:7]
    assert answers == [record["answer"] for record in records]
    for message, record in zip(messages, records, strict=True):
        picture, text = message
        assert text["value"].strip() == record["image_question"]
        with Image.open(picture["value"]) as seen, Image.open(io.BytesIO(record["image"]["bytes"])) as drawn:
            # VLMEvalKit stores what it decodes as JPEG, so that colours are only nearly the same.
            assert np.abs(np.asarray(seen.convert("L"), int) - np.asarray(drawn.convert("L"), int)).mean() < 3


def test_a_text_set_holds_the_whole_question(shards: list[str], tmp_path: Path) -> None:
    write_tsv(tmp_path / "text.tsv", shards, modality="text", puzzles=12, settings={})
    frame = pd.read_csv(tmp_path / "text.tsv", sep="\t", dtype=str)
    records = list(read_shards(shards, [*TEXT_COLUMNS, "answer"]))
    assert frame["question"].tolist() == [f"{each['text']}\n\n{each['text_question']}" for each in records]
    assert frame["answer"].tolist() == [each["answer"] for each in records]
    assert frame["puzzle_id"].tolist() == [each["puzzle_id"] for each in records]
    assert frame["index"].str.fullmatch(r"q\d{7}").all()
    assert "image" not in frame
