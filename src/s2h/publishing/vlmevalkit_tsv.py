"""Evaluation sets as TSV files, in the columns that VLMEvalKit reads."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from s2h.files import atomic_file
from s2h.puzzles.shards import read_shards
from s2h.puzzles.task import Modality
from s2h.supervision.formats import TEXT_COLUMNS, has_image, prompt

_COLUMNS = [*TEXT_COLUMNS, "task", "level", "answer", "puzzle", "image"]


def write_tsv(
    path: str | Path, shards: Sequence[str], *, modality: Modality, puzzles: int, settings: Mapping[str, Any]
) -> None:
    """Write the first puzzles of an evaluation set with their questions, gold answers and, base64-coded, images.

    ``s2h vlmevalkit`` runs VLMEvalKit's command line on it, with our judges. Stock VLMEvalKit takes an image
    set too: put the file into ``$LMUData`` and give ``--data`` its name. It has no class of its own for questions
    without images.

    Args:
        path: the file.
        shards: the set's Parquet files in order.
        modality: how the puzzles are given.
        puzzles: how many.
        settings: of the task, which its judge needs.

    Raises:
        DataError: a shard cannot be read.
    """
    records = list(itertools.islice(read_shards(list(shards), _COLUMNS), puzzles))
    images = [base64.b64encode(record.pop("image")["bytes"]).decode() for record in records]
    frame = pl.DataFrame(records).select(
        # Never a number: VLMEvalKit would turn it into one.
        index=pl.Series([f"q{position:07d}" for position in range(len(records))]),
        puzzle_id="puzzle_id",
        question=prompt(modality),
        answer="answer",
        task="task",
        level="level",
        settings=pl.lit(json.dumps(settings)),
        puzzle="puzzle",
    )
    if has_image(modality):
        frame = frame.with_columns(image=pl.Series(images))
    with atomic_file(path) as temporary:
        frame.write_csv(temporary, separator="\t")
