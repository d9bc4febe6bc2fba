"""The guide to a new model holds: its check says what is right, and its config takes a new family to a table."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from s2h.models.loading import load_processor
from s2h.models.parts import PARTS
from s2h.overlays import read_config
from s2h.supervision.formats import WORDS
from tests.models import internvl, qwen
from tests.shipped import ROOT, copy_project
from tests.workflow.study import run

PAGE = (ROOT / "docs/add-a-model.md").read_text()
SEEN = {"from", "a", "to", "b", "7"}


def block(kind: str) -> str:
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.parametrize("build", [qwen.build, internvl.build, None], ids=["qwen", "internvl", "tiny"])
def test_the_check_of_a_family_tells_what_the_page_says(
    build: Callable[[Path, set[str]], None] | None, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path if build else tiny_model
    if build:
        build(folder, SEEN)
    exec(block("python").replace("results/mine/hub/mine", str(folder)), {})
    read, learned, _, again, parts, loss = capsys.readouterr().out.splitlines()
    end = load_processor(folder).tokenizer.eos_token
    assert learned == again == f"7 {end}"
    assert learned in read
    assert all(part in parts for part in PARTS)
    assert 0 < float(re.findall(r"[\d.]+", loss)[0]) < 10


@pytest.mark.slow
def test_its_config_takes_a_new_family_from_puzzles_to_a_table(tmp_path: Path) -> None:
    copy_project(tmp_path)
    task: Any = read_config().task_object("table_readout")
    internvl.build(tmp_path / "model", task.vocabulary() | WORDS)
    config = block("yaml").replace("organisation/model", "./model").replace("gpus: 1", "gpus: 0, decoding_gpus: 0")
    (tmp_path / "config/mine.yaml").write_text(config)
    command = next(line for line in block("sh").splitlines() if "summary.csv" in line).replace("failures", "summary")
    done = run(tmp_path, command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    table = pl.read_csv(tmp_path / "results/mine/tables/summary.csv")
    assert set(table["recipe"]) == {"untrained", "mix"}
    assert set(table["n"]) == {10}
    log = next(tmp_path.glob("results/mine/logs/train_phase/**/phase-1.log")).read_text()
    assert all(f"{part}: " in log for part in PARTS)
