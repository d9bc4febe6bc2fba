from __future__ import annotations

import io

import pytest
from PIL import Image

from s2h.errors import DataError
from s2h.puzzles.shards import PuzzleSet, read_shards, write_shard
from s2h.scoring.decode_and_score import read_sets
from s2h.scoring.sets import Evaluation, read_set

SIZES = {"SIMPLE": 2, "HARD": 3}


def test_questions_are_those_of_training(task, shards):
    records = list(read_shards(shards["HARD"]))
    text = read_set(task, "HARD", "text", shards["HARD"])
    image = read_set(task, "HARD", "image", shards["HARD"])
    assert [row.question for row in text.rows] == [f"{r['text']}\n\n{r['text_question']}" for r in records]
    assert [row.question for row in image.rows] == [r["image_question"] for r in records]


def test_both_modalities_hold_the_same_puzzles_in_order(task, shards):
    text, image = (read_set(task, "SIMPLE", modality, shards["SIMPLE"]) for modality in ("text", "image"))
    assert [row.puzzle_id for row in text.rows] == [row.puzzle_id for row in image.rows]
    assert [row.index for row in text.rows] == [f"q{i:07d}" for i in range(6)]
    assert all(row.image is None for row in text.rows)
    assert all(Image.open(io.BytesIO(row.image)).size == (96, 96) for row in image.rows)
    assert all(text.diagnose(row, f"Answer: {row.answer}").correct for row in text.rows)


def test_an_evaluation_gives_its_sets_in_order(task, shards):
    settings = task.settings.model_dump(mode="json")
    evaluation = Evaluation.of(task.name, settings=settings, shards=shards, puzzles=SIZES)
    found = [(each.name, len(each.rows)) for each in evaluation.sets()]
    assert found == [(f"{task.name}-{level}-{way}", SIZES[level]) for level in SIZES for way in ("text", "image")]


def test_puzzles_of_training_are_refused(task, tmp_path):
    path = str(tmp_path / "train.parquet")
    write_shard(path, task, PuzzleSet(0, "SIMPLE", "train"), (0, 2), progress=lambda done: None)
    with pytest.raises(DataError, match="SIMPLE/train"):
        read_set(task, "SIMPLE", "text", [path])


def test_wrong_level_repeated_shard_and_no_shard_are_refused(task, shards):
    with pytest.raises(DataError, match="HARD/eval"):
        read_set(task, "SIMPLE", "text", shards["HARD"])
    with pytest.raises(DataError, match="6 different puzzles in 12 rows"):
        read_set(task, "SIMPLE", "text", [*shards["SIMPLE"], *shards["SIMPLE"]])
    with pytest.raises(DataError, match="at least one"):
        read_set(task, "SIMPLE", "text", [])


def test_images_are_given_once_more_for_each_conversion(task, shards):
    evaluation = {task.name: {"settings": task.settings.model_dump(mode="json"), "shards": shards, "puzzles": SIZES}}
    sets = read_sets(evaluation, {}, ["forced", "forbidden"])
    assert [each.name for each in sets[:4]] == [each.name for each in read_sets(evaluation, {}, [])]
    assert [(each.name, each.level, each.conversion) for each in sets[4:]] == [
        (f"{task.name}-{level}-image-{way}", level, way) for way in ("forced", "forbidden") for level in SIZES
    ]
    assert {each.conversion for each in sets[:4]} == {"free"}
    assert [each.rows for each in sets[4:6]] == [sets[1].rows, sets[3].rows]
    assert sets[4].diagnose(sets[4].rows[0], f"Answer: {sets[4].rows[0].answer}").correct
