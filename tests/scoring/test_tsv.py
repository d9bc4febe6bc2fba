"""Sets as TSV files: ours, and those from outside in the columns of the paper's code."""

from __future__ import annotations

import base64
import csv
import json
import os
import subprocess
import sys

import pytest

from s2h.errors import DataError
from s2h.publishing.vlmevalkit_tsv import write_tsv
from s2h.puzzles.shards import read_shards
from s2h.scoring.sets import read_set
from s2h.scoring.tsv import is_own, read_external, read_own
from tests.shipped import ROOT


def _own(path, task, shards, modality, puzzles=6):
    settings = task.settings.model_dump(mode="json")
    write_tsv(path, shards["HARD"], modality=modality, puzzles=puzzles, settings=settings)
    return path


def _write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("modality", ["text", "image"])
def test_our_file_gives_the_set_that_it_was_made_of(task, shards, tmp_path, modality):
    path = _own(tmp_path / "hard.tsv", task, shards, modality)
    found, wanted = read_own(path), read_set(task, "HARD", modality, shards["HARD"])
    assert is_own(path)
    assert (found.name, found.task, found.level, found.modality) == ("hard", task.name, "HARD", modality)
    assert found.rows == wanted.rows
    gold = [f"{record['reasoning']}\n\n{record['answer_block']}" for record in read_shards(shards["HARD"])]
    assert all(found.diagnose(row, prediction).chain_correct for row, prediction in zip(found.rows, gold, strict=True))


def test_a_number_as_index_is_refused(task, shards, tmp_path):
    path = _own(tmp_path / "hard.tsv", task, shards, "text")
    path.write_text(path.read_text().replace("q0000003", "3"))
    with pytest.raises(DataError, match=r"has the index 3: .* write q3"):
        read_own(path)


TABLES = [
    {"index": "1", "question": "q\none", "answer": "3,0,12"},
    {"index": "7", "question": "q two", "answer": "The total is 1 + 2 = 3\n\nAnswer: 3"},
]


def test_tables_from_outside_get_the_paper_s_metrics(tmp_path):
    path = _write(tmp_path / "tables.tsv", TABLES)
    assert not is_own(path)
    found = read_external("released", path, task="table_readout", level="HARD", modality="text")
    assert found.external
    assert [(row.index, row.puzzle_id) for row in found.rows] == [
        ("q0000000", "released-1"),
        ("q0000001", "released-7"),
    ]
    steps = "1\t2\ta\tb\t3\n1\t3\ta\tc\t0\n2\t3\td\tc\t12\n\n\nThe total is 3 + 0 + 12 = 999\n\nAnswer: 15"
    right = found.diagnose(found.rows[0], steps)
    assert (right.correct, right.metrics) == (True, {"exact_match": 1.0, "cot_exact_match": 1.0})
    wrong = found.diagnose(found.rows[0], steps.replace("3 + 0", "0 + 3"))
    assert (wrong.correct, wrong.metrics) == (False, {"exact_match": 0.0, "cot_exact_match": 1.0})
    assert found.diagnose(found.rows[1], "total is 1 + 2 =").correct
    assert not found.diagnose(found.rows[1], "Answer: 3").correct


GRID = {
    "index": "0",
    "question": "q",
    "answer": "Answer: right down",
    "text": "0:2:-1\n-3:0:5\n",
    "start_row": "1",
    "start_col": "1",
    "end_row": "2",
    "end_col": "2",
    "collect_objects_coordinates": "1-2",
}


@pytest.mark.parametrize(
    ("prediction", "exact", "partial", "obstacles"),
    [
        ("Answer: right down", 1, 1, None),
        ("so. Answer:  Right,  down. ", 1, 1, None),
        ("Answer: right left right down", 1, 1, 0),
        ("Answer: down right", 0, 1, 1),
        ("Answer: up down right down", 0, 0, 0),  # the paper lets a walk leave at the top
        ("Answer: right jump", 0, 0, None),
        ("", 0, 0, None),
    ],
)
def test_grids_from_outside_are_walked_in_strict_bounds(tmp_path, prediction, exact, partial, obstacles):
    path = _write(tmp_path / "grids.tsv", [GRID, GRID | {"index": "1", "answer": "[(0, 1), (1, 0)]"}])
    found = read_external("released", path, task="grid_navigation", level="HARD", modality="text")
    for row in found.rows:
        verdict = found.diagnose(row, prediction)
        assert verdict.correct == exact
        measured = [verdict.metrics[name] for name in ("exact_match", "partial_score", "num_obstacles")]
        assert measured == [exact, partial, obstacles]


def test_images_come_from_the_table_or_from_files(task, shards, tmp_path):
    record = next(iter(read_shards(shards["HARD"])))
    picture = record["image"]["bytes"]
    (tmp_path / "a.png").write_bytes(picture)
    inside = TABLES[0] | {"image": base64.b64encode(picture).decode()}
    for rows in ([inside], [TABLES[0] | {"image_path": "a.png"}]):
        path = _write(tmp_path / "images.tsv", rows)
        found = read_external("released", path, task="table_readout", level="HARD", modality="image")
        assert found.rows[0].image == picture
    for broken in ({"image": inside["image"][:400]}, {"image": "?"}, {"image_path": "none.png"}, {"other": "1"}):
        path = _write(tmp_path / "images.tsv", [TABLES[0] | broken])
        with pytest.raises(DataError, match=r"index 1: the picture cannot be read"):
            read_external("released", path, task="table_readout", level="HARD", modality="image")


def test_files_that_are_no_set_are_refused(tmp_path):
    def read(path, task="table_readout"):
        return read_external("released", path, task=task, level="HARD", modality="text")

    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "none.tsv")
    pointer = tmp_path / "pointer.tsv"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(DataError, match=r"pointer.tsv is a Git LFS pointer .* git lfs pull"):
        read(pointer)
    with pytest.raises(DataError, match=r"lacks answer \(it has: index, question\)"):
        read(_write(tmp_path / "a.tsv", [{"index": "1", "question": "q"}]))
    with pytest.raises(DataError, match="1 different puzzles in 2 rows"):
        read(_write(tmp_path / "b.tsv", [TABLES[0], TABLES[1] | {"index": "1"}]))
    with pytest.raises(DataError, match="lacks text, start_row"):
        read(_write(tmp_path / "c.tsv", TABLES), task="grid_navigation")
    (tmp_path / "d.tsv").write_text("index\tquestion\tanswer\n1\tq\ta\n2\tq\n")
    with pytest.raises(DataError, match=r"row 2 of .* is it cut off"):
        read(tmp_path / "d.tsv")
    for change in ({"start_row": "0"}, {"text": "0:1\n0"}, {"collect_objects_coordinates": "9-9"}, {"end_col": "x"}):
        with pytest.raises(DataError, match=r"index 0: the columns .* hold no puzzle"):
            read(_write(tmp_path / "e.tsv", [GRID | change]), task="grid_navigation")


def _command_line(*arguments, folder):
    command = [sys.executable, "-m", "s2h", "vlmevalkit", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_vlmevalkit_s_command_line_runs_our_sets(task, shards, model_folder, tmp_path):
    (tmp_path / "results/tsv").mkdir(parents=True)
    _own(tmp_path / "results/tsv/by_name.tsv", task, shards, "image", 3)
    by_path = _own(tmp_path / "by_path.tsv", task, shards, "text", 3)
    run = ["--data", "by_name", by_path, "--model", model_folder, "--max-new-tokens", "4"]
    done = _command_line(*run, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    (status,) = tmp_path.glob("results/vlmeval/*/*/status.json")
    found = json.loads(status.read_text())["datasets"]
    assert found["by_name"]["metrics"].keys() == found["by_path"]["metrics"].keys()
    assert "accuracy" in found["by_name"]["metrics"]


def test_a_failure_of_vlmevalkit_is_an_exit_code(task, shards, model_folder, tmp_path):
    own = _own(tmp_path / "own.tsv", task, shards, "text", 2)
    done = _command_line(
        "--data", own, "no_such_set", "--model", model_folder, "--max-new-tokens", "2", folder=tmp_path
    )
    assert done.returncode == 1
    assert "no_such_set failed" in done.stderr
    done = _command_line("--data", _write(tmp_path / "x.tsv", TABLES), "--model", model_folder, folder=tmp_path)
    assert done.returncode == 1
    assert "say with --task whose puzzles these are" in done.stderr
