"""Sets as TSV files: ours, and those from outside in the columns of the paper's code."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from s2h.errors import ConfigError, DataError
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
    permuted = found.diagnose(found.rows[0], steps.replace("3 + 0", "0 + 3"))
    assert (permuted.correct, permuted.metrics) == (True, {"exact_match": 0.0, "cot_exact_match": 1.0})
    miscounted = found.diagnose(found.rows[0], steps.replace("Answer: 15", "Answer: 16"))
    assert (miscounted.correct, miscounted.metrics["exact_match"]) == (False, 1.0)
    unanswered = found.diagnose(found.rows[1], "total is 1 + 2 =")
    assert (unanswered.parsed, unanswered.correct, unanswered.metrics["exact_match"]) == (False, False, 1.0)
    alone = found.diagnose(found.rows[1], "Answer: 3")
    assert (alone.correct, alone.tolerant, alone.metrics["exact_match"]) == (True, False, 0.0)


@pytest.mark.parametrize("dressed", ["**Answer: 3**", "\\boxed{3}", "<think>Answer: 4</think>The answer is 3."])
def test_answers_to_sets_from_outside_are_read_in_any_dress_unless_strictly(tmp_path, dressed):
    path = _write(tmp_path / "tables.tsv", TABLES)
    found = read_external("released", path, task="table_readout", level="HARD", modality="text")
    verdict = found.diagnose(found.rows[1], dressed)
    assert (verdict.answer, verdict.correct, verdict.tolerant) == ("3", True, True)
    assert not found.diagnose(found.rows[1], dressed.replace("3", "5")).correct
    verdict = found.strictly().diagnose(found.rows[1], dressed)
    assert (verdict.parsed, verdict.correct, verdict.tolerant) == (False, False, False)


SOLVED = """Example 1: (line type, AND)
Example 2: (line colour, AND)
Option 1: (line type, OR), not consistent
Option 2: (line type, XOR), not consistent
Option 3: (line type, AND), consistent
Option 4: (line colour, OR), not consistent

Answer: 3"""


@pytest.mark.parametrize(
    ("prediction", "correct", "exact", "partial"),
    [
        (SOLVED, True, 1, 1),
        (SOLVED.replace("colour, AND", "type, AND"), True, 0, 1),
        (SOLVED.replace("Answer: 3", "Answer: 2"), False, 0, 0),
        ("Answer: 3", True, 0, 0),
        ("**Answer: Option 3**", True, 0, 0),
        ("**Answer: Option 1**", False, 0, 0),
        ("no idea", False, 0, 0),
    ],
)
def test_an_analogy_from_outside_has_a_right_option_and_an_exact_block(tmp_path, prediction, correct, exact, partial):
    path = _write(tmp_path / "analogies.tsv", [{"index": "1", "question": "q", "answer": SOLVED}])
    found = read_external("released", path, task="visual_analogy", level="HARD", modality="text")
    verdict = found.diagnose(found.rows[0], prediction)
    metrics = verdict.metrics
    assert (verdict.correct, metrics["exact_match"], metrics["partial_score"]) == (correct, exact, partial)


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


@pytest.mark.parametrize(
    ("chain", "score"),
    [
        ("I search.\nSource: (a, a) Destination: (b, b)\nCollect objects: heart (a, b)\n", 1),
        ("Source: (A, A), Destination: (B, B)\n", 1),
        ("Source: (a, a) Destination: (a, b)\n", 0),
        ("Source: (b, b) Destination: (a, a)\n", 0),
        ("I just know.\n", 0),
        ("", None),
        ("**", None),
    ],
)
def test_a_chain_for_a_grid_from_outside_names_its_ends(tmp_path, chain, score):
    path = _write(tmp_path / "grids.tsv", [GRID])
    found = read_external("released", path, task="grid_navigation", level="HARD", modality="text")
    verdict = found.diagnose(found.rows[0], f"{chain}Answer: right down")
    assert (verdict.correct, verdict.metrics["source_dest_score"]) == (True, score)


@pytest.mark.parametrize("answer", ["→ ↓", "R D", "1. right\n2. down", "\nright\ndown", "right left right\ndown"])
def test_a_walk_through_a_grid_from_outside_may_be_written_in_other_ways(tmp_path, answer):
    path = _write(tmp_path / "grids.tsv", [GRID])
    found = read_external("released", path, task="grid_navigation", level="HARD", modality="text")
    verdict = found.diagnose(found.rows[0], f"**Answer:** {answer}")
    assert (verdict.correct, verdict.tolerant) == (True, True)
    assert not found.diagnose(found.rows[0], f"**Answer:** {answer.replace('R', 'L').replace('→', '←')[:1]}").correct


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
    with pytest.raises(DataError, match=r"d.tsv cannot be read: row 2 .* is it cut off"):
        read(tmp_path / "d.tsv")
    for change in ({"start_row": "0"}, {"text": "0:1\n0"}, {"collect_objects_coordinates": "9-9"}, {"end_col": "x"}):
        with pytest.raises(DataError, match=r"index 0: the columns .* hold no puzzle"):
            read(_write(tmp_path / "e.tsv", [GRID | change]), task="grid_navigation")


def _read(path, task="table_readout", modality="text"):
    return read_external("released", path, task=task, level="HARD", modality=modality)


BLOCK = (
    "Example 1: (shape type, XOR)\nExample 2: (shape color, XOR)\nOption 1: (shape size, OR), not consistent\n"
    "Option 2: (shape size, XOR), consistent\nOption 3: (shape size, AND), not consistent\n"
    "Option 4: (shape size, OR), not consistent\n\nAnswer: 2"
)
GOLD = {
    "table_readout": ["3,0,12", "[3, 0, 12]", "(3; 0; 12)", "3 0 12", "3 + 0 + 12", "The total is 3 + 0 + 12 = 15"],
    "grid_navigation": ["Answer: right down", "[(0, 1), (1, 0)]", "(0,1),(1,0)", "so we walk. Answer: right, down."],
    "visual_analogy": [BLOCK, f"some chain\n\n{BLOCK}"],
}
NO_GOLD = {
    "table_readout": [
        "",
        "nan",
        "B",
        "many",
        "15",
        "Answer: 15",
        "12 apples, 3 pears",
        "A. 12",
        "3,x,12",
        "3, -1",
        "[]",
    ],
    "grid_navigation": ["", "nan", "B", "15", "right down", "Answer: jump", "[(1, 1)]", "[]", "x [(0, 1)]"],
    "visual_analogy": ["", "nan", "2", "B", "Answer: 2", "Option 2", BLOCK.partition("Answer")[0], BLOCK[-80:]],
}
RIGHT = {
    "table_readout": "The total is 3 + 0 + 12 = 15\n\nAnswer: 15",
    "grid_navigation": "Answer: right down",
    "visual_analogy": BLOCK,
}


def _gold(task, answer):
    row = {"index": "17", "question": "q", "answer": answer}
    return GRID | row if task == "grid_navigation" else row


@pytest.mark.parametrize(("task", "answer"), [(task, answer) for task, answers in GOLD.items() for answer in answers])
def test_every_form_of_a_gold_answer_tells_right_from_wrong(tmp_path, task, answer):
    found = _read(_write(tmp_path / "a.tsv", [_gold(task, answer)]), task)
    assert found.diagnose(found.rows[0], RIGHT[task]).correct
    for wrong in ("", "nan", "B", "Answer: up", "Answer: 7", "The total is 7 = 7\n\nAnswer: 7"):
        assert not found.diagnose(found.rows[0], wrong).correct


@pytest.mark.parametrize(("task", "answer"), [(task, answer) for task, them in NO_GOLD.items() for answer in them])
def test_a_gold_answer_that_cannot_be_read_is_refused(tmp_path, task, answer):
    """Every reply would be right, or every reply wrong."""
    path = _write(tmp_path / "a.tsv", [_gold(task, GOLD[task][0]) | {"index": "1"}, _gold(task, answer)])
    with pytest.raises(DataError, match=r"index 17: the gold answer is .* but answer must hold .*, as in|whole answer"):
        _read(path, task)


def test_a_task_without_a_reader_has_no_sets_from_outside(tmp_path):
    with pytest.raises(ConfigError, match=r"not read for the task 'mine': it has no reader"):
        _read(_write(tmp_path / "a.tsv", TABLES), "mine")


@pytest.mark.parametrize(
    "write",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.encode() + b"\n\n",
    ],
    ids=["byte order mark", "Windows line ends", "empty lines"],
)
def test_tables_are_read_as_other_programs_write_them(tmp_path, write):
    path = _write(tmp_path / "a.tsv", [GRID, GRID | {"index": "1"}])
    wanted = _read(path, "grid_navigation").rows
    path.write_bytes(write(path.read_text()))
    assert _read(path, "grid_navigation").rows == wanted
    assert wanted[0].question == "q"


def test_json_lines_are_read(tmp_path, picture):
    lines = [{"index": 1, "question": "q\r\none", "answer": [3, 0, 12], "image": base64.b64encode(picture).decode()}]
    lines += [lines[0] | {"index": 2, "answer": "3,0,12", "image": None, "image_path": "a.png"}]
    (tmp_path / "a.png").write_bytes(picture)
    path = tmp_path / "a.tsv"  # as a set that is fetched is called
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n", encoding="utf-8-sig")
    found = _read(path, modality="image")
    assert [(row.puzzle_id, row.question, row.image) for row in found.rows] == [
        ("released-1", "q\none", picture),
        ("released-2", "q\none", picture),
    ]
    assert all(found.diagnose(row, RIGHT["table_readout"]).correct for row in found.rows)
    for broken, message in {"[1]": "is no JSON object", "{": "line 3 is no JSON"}.items():
        path.write_text("\n".join([*map(json.dumps, lines), broken]))
        with pytest.raises(DataError, match=message):
            _read(path)
    path.write_text(json.dumps({"index": 1, "question": "q"}))
    with pytest.raises(DataError, match=r"row 1 of .* lacks answer"):
        _read(path)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "a.tsv").write_text("index\tquestion\tanswer\n1\té\t1,2\n", encoding="latin-1")
    with pytest.raises(DataError, match="it is not UTF-8 text"):
        _read(tmp_path / "a.tsv")


@pytest.fixture
def picture():
    file = io.BytesIO()
    Image.effect_noise((40, 40), 50).save(file, "PNG")
    return file.getvalue()


def _shown(path, *rows):
    columns = dict.fromkeys(name for row in rows for name in row)
    given = [TABLES[0] | {"index": str(i)} | dict.fromkeys(columns, "") | row for i, row in enumerate(rows)]
    return [row.image for row in _read(_write(path / "images.tsv", given), modality="image").rows]


def test_pictures_are_read_as_people_have_them(tmp_path, picture, monkeypatch):
    coded = base64.b64encode(picture).decode()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.png").write_bytes(picture)
    forms = [coded, coded.rstrip("="), f"data:image/png;base64,{coded}", base64.urlsafe_b64encode(picture).decode()]
    forms += [base64.encodebytes(picture).decode(), f"['{coded}']", json.dumps([coded])]
    assert _shown(tmp_path, *({"image": form} for form in forms)) == [picture] * len(forms)
    assert _shown(tmp_path, {"image": coded}, {"image": "0"}, {"image": "['0']"}) == [picture] * 3
    paths = [str(tmp_path / "a.png"), "../a.png", "~/a.png", "['../a.png']"]
    assert _shown(tmp_path / "sub", *({"image_path": path} for path in paths)) == [picture] * len(paths)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"image": "['{0}', '{0}']"}, "2 pictures are listed; a puzzle has one"),
        ({"image": "[]"}, "0 pictures are listed"),
        ({"image_path": "['a.png', 'b.png']"}, "2 pictures are listed"),
        ({"image": "{0}", "image_2": "{0}"}, "there are more in image_2"),
        ({"images": "['{0}']"}, "there are more in images"),
        ({"image": "1"}, "it is that of index 1, which has none of its own"),
        ({"image_path": "https://a.b/c.png"}, "is an address: download the picture"),
        ({"image": "some words!"}, "is not base64"),
        ({"question": "no picture"}, "no column 'image_path'"),
    ],
)
def test_what_shows_no_picture_or_several_is_refused(tmp_path, picture, cells, message):
    coded = base64.b64encode(picture).decode()
    path = _write(tmp_path / "a.tsv", [TABLES[0] | {name: cell.format(coded) for name, cell in cells.items()}])
    with pytest.raises(DataError, match=rf"index 1: the picture cannot be read \(.*{message}"):
        _read(path, modality="image")


def test_a_torn_picture_is_found_when_it_is_read(tmp_path):
    file = io.BytesIO()
    Image.effect_noise((200, 200), 50).save(file, "JPEG")
    torn = base64.b64encode(file.getvalue()[:-2000]).decode()
    with pytest.raises(DataError, match=r"index 0: the picture cannot be read \(image file is truncated"):
        _shown(tmp_path, {"image": torn})


def test_pictures_reach_models_as_they_are_seen(tmp_path):
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("RGBA", (64, 32)).save(file, "WEBP", exif=exif)
    (shown,) = _shown(tmp_path, {"image": base64.b64encode(file.getvalue()).decode()})
    with Image.open(io.BytesIO(shown)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (32, 64))
        assert image.getpixel((5, 5)) == (255, 255, 255)


def test_marks_and_special_tokens_in_questions(tmp_path, picture):
    coded = base64.b64encode(picture).decode()
    path = tmp_path / "a.tsv"
    (row,) = _read(_write(path, [TABLES[0] | {"question": "<image>\nq", "image": coded}]), modality="image").rows
    assert row.question == "q"
    for question in ("<image> <image> q", "q <|im_end|>", "q </s>"):
        with pytest.raises(DataError, match=r"index 1: the question cannot be asked: "):
            _read(_write(path, [TABLES[0] | {"question": question, "image": coded}]), modality="image")
    with pytest.raises(DataError, match="stands in it 1 times, and 0 images are shown"):
        _read(_write(path, [TABLES[0] | {"question": "<image>\nq"}]))


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
