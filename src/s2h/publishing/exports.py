"""Mixtures for other trainers: one folder in the forms that they read, with the images beside it.

llava.json          LLaVA and what descends from it: a list of conversations
messages.parquet    Hugging Face chat messages with images inside: datasets, TRL
chat.jsonl          ms-swift and LLaMA-Factory, which finds it through dataset_info.json
images/             the PNG files that llava.json and chat.jsonl name
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from s2h.supervision.examples import ImageReader
from s2h.supervision.mixture import read_mixture

_ROWS_PER_GROUP = 500
_PART = pa.struct([("type", pa.string()), ("text", pa.string())])
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_MESSAGES = pa.schema(
    [
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(_PART))]))),
        ("images", pa.list_(_IMAGE)),
        ("puzzle_id", pa.string()),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": {"images": [{"_type": "Image"}]}}})},
)
_INFO = {
    "s2h": {
        "file_name": "chat.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    }
}
"""LLaMA-Factory's ``dataset_info.json`` entry for chat.jsonl."""


def export_mixture(mixture: str | Path, folder: Path) -> None:
    """Write a mixture in all forms, in the order of training.

    Args:
        mixture: Parquet file of ``s2h.supervision.mixture.SCHEMA``.
        folder: empty; the caller makes it appear whole or not at all.

    Raises:
        DataError: the mixture or one of its shards cannot be read.
    """
    rows = list(read_mixture(mixture).iter_rows(named=True))
    _write_images(rows, folder / "images")
    (folder / "llava.json").write_text(json.dumps([_llava(row) for row in rows], indent=1), encoding="utf-8")
    (folder / "chat.jsonl").write_text("".join(json.dumps(_chat(row)) + "\n" for row in rows), encoding="utf-8")
    (folder / "dataset_info.json").write_text(json.dumps(_INFO, indent=2) + "\n", encoding="utf-8")
    _write_messages(rows, folder)


def _file_name(row: dict[str, Any]) -> str:
    return f"images/{row['puzzle_id']}.png"


def _write_images(rows: list[dict[str, Any]], folder: Path) -> None:
    """Each picture once, however many examples show it."""
    folder.mkdir()
    reader = ImageReader()
    for row in {row["puzzle_id"]: row for row in rows if row["image_shard"]}.values():
        data = reader.image_file(row["image_shard"], row["image_offset"], row["image_bytes"])
        (folder.parent / _file_name(row)).write_bytes(data)


def _llava(row: dict[str, Any]) -> dict[str, Any]:
    shows = bool(row["image_shard"])
    image = {"image": _file_name(row)} if shows else {}
    asked = ("<image>\n\n" if shows else "") + row["prompt"]
    turns = [{"from": "human", "value": asked}, {"from": "gpt", "value": row["response"]}]
    return {"id": f"{row['position']:07d}", **image, "conversations": turns}


def _chat(row: dict[str, Any]) -> dict[str, Any]:
    shows = bool(row["image_shard"])
    messages = [
        {"role": "user", "content": ("<image>" if shows else "") + row["prompt"]},
        {"role": "assistant", "content": row["response"]},
    ]
    return {"messages": messages, "images": [_file_name(row)] if shows else []}


def _write_messages(rows: list[dict[str, Any]], folder: Path) -> None:
    with pq.ParquetWriter(folder / "messages.parquet", _MESSAGES, compression="zstd") as writer:
        for start in range(0, len(rows), _ROWS_PER_GROUP):
            chunk = [_messages(row, folder) for row in rows[start : start + _ROWS_PER_GROUP]]
            writer.write_table(pa.Table.from_pylist(chunk, schema=_MESSAGES))


def _messages(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    shows = bool(row["image_shard"])
    asked = [{"type": "image", "text": None}] if shows else []
    asked.append({"type": "text", "text": row["prompt"]})
    said = [{"type": "text", "text": row["response"]}]
    images = [{"bytes": (folder / _file_name(row)).read_bytes(), "path": Path(_file_name(row)).name}] if shows else []
    return {
        "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}],
        "images": images,
        "puzzle_id": row["puzzle_id"],
    }
