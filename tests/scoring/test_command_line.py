"""What VLMEvalKit's command line is given, and what it makes of its own sets: the same as without us."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from s2h.errors import DataError
from s2h.publishing.vlmevalkit_tsv import write_tsv
from s2h.puzzles.consecutive_table_readout import ConsecutiveTableReadout
from s2h.puzzles.task import Level
from s2h.scoring import command_line
from tests.docs.test_commands import COMMANDS
from tests.shipped import ROOT


def _options() -> list[str]:
    spec = find_spec("vlmeval")
    assert spec is not None
    assert spec.origin is not None
    found = re.findall(r"add_argument\(\s*'(--[\w-]+)'", Path(spec.origin).with_name("run.py").read_text())
    return sorted({*found} - {"--data", "--model", "--work-dir"})


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What VLMEvalKit's command line is called with."""
    calls: list[Any] = []

    def run(arguments: list[str], **options: Any) -> int:
        calls.append((arguments, options))
        return 0

    monkeypatch.setattr(command_line, "run_command_line", run)
    monkeypatch.setattr(command_line, "unlisted_files", lambda names: [])
    return calls


def test_all_options_but_our_own_are_passed_through(tmp_path: Path, seen: list[Any]) -> None:
    rest = ["--mode", "infer", "--reuse", "--judge=exact_matching", "--work", "3"]
    words = ["--data", "MMMU", "MME", *rest, "--model", "GPT4o", "--work-dir", str(tmp_path)]
    assert command_line.main(words) == 0
    ((arguments, options),) = seen
    assert arguments == ["--model", "GPT4o", *rest]
    assert (options["others"], options["sets"], options["work"]) == (["MMMU", "MME"], [], tmp_path)


@pytest.mark.parametrize("option", _options())
def test_no_option_of_vlmevalkit_is_taken_for_one_of_ours(option: str, seen: list[Any]) -> None:
    """--mode is no abbreviation of --model, wherever it stands."""
    for words in (["--model", "GPT4o", option, "all"], [option, "all", "--model", "GPT4o"]):
        assert command_line.main([*words, "--data", "MME"]) == 0
        arguments, _ = seen.pop()
        assert arguments == ["--model", "GPT4o", option, "all"]


def test_sets_and_models_or_a_config_are_needed(seen: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["--config=mine.json"]) == 0
    assert seen[0][0] == ["--config=mine.json"]
    with pytest.raises(SystemExit):
        command_line.main(["--model", "GPT4o"])
    assert "give --data and --model" in capsys.readouterr().err


def _picture() -> str:
    file = io.BytesIO()
    Image.effect_noise((48, 48), 50).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


CHOICES = {"A": "a cat", "B": "a dog", "C": "a table", "D": "a chart"}
VALUES = ["14.5", "007", "3,000", "Yes", "=5", "brown", "0.25", "12%", "2004", "-3"]
SETS = {
    "my_choices": [{"question": f"What is shown? ({i})", **CHOICES, "answer": "ABCD"[i % 4]} for i in range(10)],
    "ChartQA_TEST": [
        {"question": f"What is bar {i}?", "answer": value, "split": "test_human"} for i, value in enumerate(VALUES)
    ],
    "POPE": [
        {"question": f"Is there a dog? ({i})", "answer": ["Yes", "No"][i % 2], "category": "random"} for i in range(10)
    ],
}
"""Sets that VLMEvalKit judges: a multiple-choice set of the user's, and two by their published names."""

MODELS = """
import sys
from functools import partial
from vlmeval.config import supported_VLM
from vlmeval.dataset.image_vqa import ImageVQADataset
from vlmeval.dataset.image_yorn import ImageYORNDataset
from vlmeval.smp import load
from vlmeval.vlm.base import BaseModel
import os

for kind, name in ((ImageVQADataset, "ChartQA_TEST"), (ImageYORNDataset, "POPE")):
    kind.DATASET_MD5[name] = None  # the files of this test, not the published ones
answers = {}
for name in ("my_choices", "ChartQA_TEST", "POPE"):
    for line in load(os.path.join(os.environ["LMUData"], name + ".tsv")).astype(str).to_dict("records"):
        answers[line["question"]] = line["answer"]

class Told(BaseModel):
    INTERLEAVE = True
    def __init__(self, right, **options):
        super().__init__()
        self.right = right
    def generate_inner(self, message, dataset=None):
        images = [part for part in message if part["type"] == "image"]
        text = "".join(part["value"] for part in message if part["type"] == "text")
        (answer,) = {found for asked, found in answers.items() if asked in text}
        assert len(images) == 1
        place = sum(map(ord, text))
        return answer if self.right or place % 2 else ['"' + answer + '"', "", "no idea\\n\\t", "Z"][place // 2 % 4]

supported_VLM["oracle"] = partial(Told, right=True)
supported_VLM["guesser"] = partial(Told, right=False)
"""
STOCK = f"{MODELS}\nfrom vlmeval.run import main\nmain()\n"
OURS = f"{MODELS}\nfrom s2h.scoring.command_line import main\nsys.exit(main(sys.argv[1:]))\n"


def _lmu_data(folder: Path) -> dict[str, str]:
    """A folder of VLMEvalKit's sets, and the environment in which it is found."""
    folder.mkdir()
    for name, rows in SETS.items():
        _write(folder / f"{name}.tsv", [{"index": str(i), "image": _picture(), **row} for i, row in enumerate(rows)])
    named = {"LMUData": str(folder), "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    return {name: value for name, value in os.environ.items() if name != "PRED_FORMAT"} | named


def _metrics(work: Path, model: str) -> dict[str, Any]:
    found = json.loads((work / model / "status.json").read_text())["datasets"]
    return {name: found[name]["metrics"] for name in SETS}


@pytest.mark.slow
def test_vlmevalkit_judges_its_own_sets_as_it_does_without_us(tmp_path: Path) -> None:
    environment = _lmu_data(tmp_path / "data")
    words = ["--data", *SETS, "--model", "oracle", "guesser", "--judge", "exact_matching", "--mode", "all"]
    for name, code in {"stock": STOCK, "ours": OURS}.items():
        command = [sys.executable, "-c", code, *words, "--work-dir", str(tmp_path / name)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    for model in ("oracle", "guesser"):
        assert _metrics(tmp_path / "ours", model) == _metrics(tmp_path / "stock", model)
    best = _metrics(tmp_path / "ours", "oracle")
    assert [best["my_choices"]["split=none|Overall"], best["ChartQA_TEST"]["Overall"]] == [1, 100]
    assert {best["POPE"][f"split=Overall|{name}"] for name in ("acc", "precision", "recall")} == {100}
    assert all(_metrics(tmp_path / "ours", "guesser")[name] != best[name] for name in SETS)


def test_a_data_folder_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VLMEvalKit would silently look into the home folder."""
    monkeypatch.setenv("LMUData", str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"LMUData names .*none, which is no folder"):
        command_line.main(["--data", "my_choices", "--model", "GPT4o"])


def test_files_of_one_name_are_refused(
    task: ConsecutiveTableReadout, shards: dict[Level, list[str]], tmp_path: Path, seen: list[Any]
) -> None:
    paths = [tmp_path / folder / "tables.tsv" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        write_tsv(path, shards["HARD"], modality="text", puzzles=2, settings=task.settings.model_dump(mode="json"))
    with pytest.raises(SystemExit, match=r"two files are called tables"):
        command_line.main(["--data", *map(str, paths), "--model", "GPT4o"])
    with pytest.raises(SystemExit, match=r"--api-mode takes VLMEvalKit's own sets only, not tables"):
        command_line.main(["--data", str(paths[0]), "--model", "GPT4o", "--api-mode"])
    assert not seen


def test_the_commands_of_the_page_run(
    task: ConsecutiveTableReadout, shards: dict[Level, list[str]], model_folder: Path, tmp_path: Path
) -> None:
    """As they stand there, beside the files that they name."""
    environment = _lmu_data(tmp_path / "data")
    tables = tmp_path / "results/tsv/table_readout-HARD-image.tsv"
    tables.parent.mkdir(parents=True)
    write_tsv(tables, shards["HARD"], modality="image", puzzles=2, settings=task.settings.model_dump(mode="json"))
    _write(tmp_path / "my.tsv", [{"index": "1", "question": "q", "answer": "3, 0, 12"}])
    for folder in ("results/models/…/phase-1", "my/folder"):
        (tmp_path / folder).parent.mkdir(parents=True)
        (tmp_path / folder).symlink_to(model_folder)
    commands = [words for words in COMMANDS["docs/scoring.md"] if words.startswith("s2h vlmevalkit")]
    assert len(commands) == 3
    words = json.dumps([[*shlex.split(command)[2:], "--max-new-tokens", "2"] for command in commands])
    code = (
        "import json, sys; from s2h.scoring.command_line import main; sys.exit(any(map(main, json.loads(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(path.read_text())["datasets"] for path in tmp_path.glob("results/vlmeval/*/*/status.json")]
    scored = {name: list(each["metrics"]) for one in found for name, each in one.items()}
    assert scored.keys() == {"table_readout-HARD-image", "my", "my_choices"}
    assert scored["my"] == ["accuracy", "chain_accuracy", "exact_match", "cot_exact_match"]
