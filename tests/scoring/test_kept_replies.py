"""Kept replies are listed, dropped and reckoned with, by the command as a user gives it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from typer.testing import CliRunner

from s2h.cli.app import app
from s2h.config import load_config
from s2h.models.settings import ScoringSettings
from s2h.models.sources import EndpointSource
from s2h.overlays import merge, read_values
from s2h.plan.plan import Plan
from s2h.puzzles.shards import PuzzleSet, write_shard
from s2h.scoring.decode_and_score import open_store, read_sets
from s2h.scoring.decoding import Prediction, Prompt
from s2h.scoring.estimate import Estimate
from s2h.scoring.kept_replies import find_kept
from s2h.scoring.predictions import prompts_of
from tests.shipped import ROOT

TASK = "consecutive_table_readout"
RUN = f"{TASK}/untrained/0/gpt/0"
SOURCE = {"kind": "endpoint", "url": "http://127.0.0.1:9/v1", "name": "gpt-x", "price": {"input": 2, "output": 10}}
SETTINGS = ScoringSettings(max_new_tokens=100)
STUDY = {
    "shard_size": {"eval": 4},
    "tasks": {TASK: {"levels": {level: {"train": 0, "eval": 4} for level in ("SIMPLE", "HARD")}}},
    "models": {"gpt": {"source": SOURCE, "scoring": {"max_new_tokens": 100}}},
    "runs": [{"tasks": [TASK], "recipes": ["untrained"], "budgets": [0], "models": ["gpt"]}],
}


def s2h(*words):
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def reply(i, **changes):
    return Prediction("Answer: 7", 10, 0.1, prompt_tokens=50, **{"finish": "stop", "version": "v1"} | changes)


@pytest.fixture
def results(tmp_path):
    """Six replies of an endpoint, two of them cut off, and two of another version."""
    store = open_store(tmp_path / f"predictions/{RUN}.kept", "gpt-x", EndpointSource.model_validate(SOURCE), SETTINGS)
    store.add((f"{i}", reply(i, finish="length" if i < 2 else "stop")) for i in range(4))
    store.add((f"{i}", reply(i, version="v2")) for i in (4, 5))
    (tmp_path / f"predictions/{RUN}.parquet").write_text("made from these")
    return tmp_path


def test_replies_are_listed_with_what_decides_them(results):
    [line] = s2h("replies", "list", "--results", str(results)).splitlines()
    assert line.startswith(f"{RUN} ")
    assert "6 replies; 2 length; 300 tokens in, 60 out; v1; v2; " in line
    assert '"name": "gpt-x", "temperature": 0.0' in line
    assert s2h("replies", "list", "gp?", "--results", str(results)) == f"{line}\n"
    assert s2h("replies", "list", "other", "--results", str(results)) == ""


@pytest.mark.parametrize(
    ("which", "left"),
    [
        (["--finish", "length"], ["2", "3", "4", "5"]),
        (["--version", "v2"], ["0", "1", "2", "3"]),
        (["--finish", "length", "--version", "v2"], ["0", "1", "2", "3", "4", "5"]),
        ([], []),
    ],
)
def test_some_replies_are_dropped_and_the_workflow_asks_again(results, which, left):
    s2h("replies", "drop", "gpt", "--results", str(results), "--yes", *which)
    assert [record.example for each in find_kept(results) for record in each.records] == left
    assert (results / f"predictions/{RUN}.parquet").exists() == (len(left) == 6)


def test_nothing_is_dropped_unasked(results):
    done = CliRunner().invoke(app, ["replies", "drop", "gpt", "--results", str(results)], input="n\n")
    assert done.exit_code == 1
    assert "Drop 6 replies?" in done.output
    assert len(find_kept(results)[0].records) == 6
    assert "no such replies" in s2h("replies", "drop", "gpt", "--key", "ffff", "--results", str(results))


def test_kept_replies_say_how_many_tokens_the_others_have():
    source = EndpointSource.model_validate(SOURCE)
    prompts = {str(i): Prompt("x" * 300, None) for i in range(10)}
    rough = Estimate.of(source, 1000, prompts, {})
    assert rough == Estimate(prompts=10, missing=10, prompt_tokens=1000, tokens=None, most=10_000)
    kept = {str(i): Prediction("", 40, 0.1, prompt_tokens=150) for i in range(4)}
    assert Estimate.of(source, 1000, prompts, kept) == Estimate(10, 6, prompt_tokens=900, tokens=240, most=6000)
    assert rough.lines("gpt", source)[-1] == "  USD: at most 0.10"
    assert Estimate(10, 6, 10**6, 10**5, 10**6).lines("gpt", source)[-1] == "  USD: about 3.00, at most 12.00"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of an endpoint with its puzzles, in a folder with the project's configs."""
    for name in ("config", "workflow"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    monkeypatch.chdir(tmp_path)
    plan = Plan(load_config(merge(read_values(), STUDY)), ROOT / "workflow/scripts")
    for level, paths in plan.puzzles.eval_shards([TASK])[TASK].items():
        for path in paths:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            task = plan.config.task_object(TASK)
            write_shard(path, task, PuzzleSet(plan.config.seed, level, "eval"), (0, 4), progress=lambda done: None)
    return plan


def test_a_study_is_reckoned_before_anything_is_sent(study):
    text = s2h("replies", "estimate", "--configfile", "study.yaml")
    levels = len(study.config.task(TASK).levels)
    assert f"gpt (gpt-x): {levels * 8} prompts, of which {levels * 8} are to be asked" in text
    assert f"tokens out: at most {levels * 800:,}" in text
    run = SimpleNamespace(task=TASK, recipe="untrained", budget="0", model="gpt", seed="0")
    examples = list(prompts_of(read_sets(study.scoring.asked(run), {}, [])))
    store = open_store(f"results/predictions/{RUN}.kept", "gpt-x", study.config.models["gpt"].source, SETTINGS)
    store.add((example, reply(0)) for example in examples[:6])
    text = s2h("replies", "estimate", "--configfile", "study.yaml")
    assert f"of which {levels * 8 - 6} are to be asked" in text
    assert f"tokens out: about {(levels * 8 - 6) * 10:,}, at most" in text
    assert json.loads(next(Path("results").rglob("about.json")).read_text())["name"] == "gpt-x"


def test_a_study_without_an_endpoint_is_an_error(study):
    done = CliRunner().invoke(app, ["replies", "estimate"])
    assert "no run of this study is of an endpoint" in str(done.exception)
