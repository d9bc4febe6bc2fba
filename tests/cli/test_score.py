"""``s2h score``: one model as it is, from any folder, without a config."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from s2h.config import load_config
from s2h.errors import ConfigError
from s2h.one_model import folder_name, one_model_config, source_of
from s2h.overlays import merge, read_values
from s2h.supervision.formats import TEXT_COLUMNS, prompt, response
from tests.scoring.provider import Answer, provider, reply

ASKED: dict[str, Any] = {
    "tasks": ["table_readout"],
    "levels": ["HARD"],
    "modalities": ["text"],
    "puzzles": 3,
    "max_new_tokens": 2048,
    "results": "results/score/model",
    "on_gpus": False,
}


class Solutions(dict[str, list[Answer]]):
    """The right response to any prompt of the evaluation puzzles that lie below a folder when it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, asked: str, default: Any = None) -> Any:
        columns = [prompt("text").alias("prompt"), response("text").alias("response")]
        for shard in self.folder.rglob("puzzles/**/eval/*.parquet"):
            found = pl.read_parquet(shard, columns=[*TEXT_COLUMNS]).select(columns).filter(pl.col("prompt") == asked)
            if len(found):
                return [reply(found["response"][0])]
        return default


def score(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OPENAI_API_KEY": ""}
    command = [sys.executable, "-m", "s2h", "score", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("style", ["paper", "compact"])
@pytest.mark.parametrize("model", ["Qwen/Qwen2.5-VL-3B-Instruct", "vlmeval:GPT4o"])
def test_the_config_that_is_written_is_one_run_of_what_was_asked(model: str, style: Any) -> None:
    source = source_of(model, endpoint=None, api_key_env="")
    values = one_model_config("model", source=source, style=style, **ASKED)
    config = load_config(merge(read_values(), values))
    (run,) = config.all_runs()
    assert (run.task, run.recipe, run.budget, run.model) == ("table_readout", "untrained", 0, "model")
    assert config.modalities(run) == ["text"]
    assert config.task("table_readout").style == style
    assert {level: found.eval for level, found in config.task("table_readout").levels.items()} == {
        "SIMPLE": 0,
        "HARD": 3,
    }


@pytest.mark.parametrize(
    ("model", "endpoint", "kind", "name"),
    [
        ("org/model", None, "huggingface", "org/model"),
        ("org/model", "http://localhost:1/v1", "endpoint", "org/model"),
        ("vlmeval:GPT4o", None, "vlmeval", "GPT4o"),
        ("~/model", None, "huggingface", str(Path("~/model").expanduser())),
    ],
)
def test_the_kind_of_a_model_follows_from_its_name(model: str, endpoint: str | None, kind: str, name: str) -> None:
    source = source_of(model, endpoint=endpoint, api_key_env="KEY")
    assert (source["kind"], source["name"]) == (kind, name)


def test_what_requests_say_is_given_on_the_command_line() -> None:
    told = {"endpoint": "http://localhost:1/v1", "api_key_env": ""}
    source = source_of("m", request="{max_tokens_field: max_completion_tokens, temperature: null}", **told)
    assert source["request"] == {"max_tokens_field": "max_completion_tokens", "temperature": None}
    with pytest.raises(ConfigError, match="--request high: give a mapping"):
        source_of("m", request="high", **told)


def test_a_folder_that_is_there_is_a_folder_without_a_dot_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results/models/mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    found = source_of("results/models/mine", endpoint=None, api_key_env="")
    assert found == {"kind": "huggingface", "name": str(tmp_path / "results/models/mine")}


@pytest.mark.parametrize("model", ["org/model", "vlmeval:GPT 4o", "/a/b/seed-0/phase-1", "..", "名前", "a:b/c?d"])
def test_every_name_becomes_that_of_a_folder(model: str) -> None:
    name = folder_name(model)
    source = {"kind": "endpoint", "url": "http://localhost/v1", "name": model}
    load_config(merge(read_values(), one_model_config(name, source=source, style="paper", **ASKED)))


@pytest.mark.parametrize(("key", "wrong"), [("tasks", "tables"), ("levels", "EASY"), ("modalities", "picture")])
def test_what_does_not_exist_is_said_before_anything_runs(key: str, wrong: str) -> None:
    source = source_of("org/model", endpoint=None, api_key_env="")
    with pytest.raises(ConfigError, match=f"{wrong}.*Known: "):
        one_model_config("model", source=source, style="paper", **{**ASKED, key: [wrong]})


def test_it_is_planned_from_any_folder(tmp_path: Path) -> None:
    done = score(
        "--model", "m", "--endpoint", "http://localhost:9/v1", "--task", "table_readout", "-n", folder=tmp_path
    )
    assert "decode_predictions" in done.stdout, done.stderr
    assert (tmp_path / "results/score/m/study.yaml").is_file()


@pytest.mark.slow
def test_a_perfect_server_scores_100(tmp_path: Path) -> None:
    words = ["--model", "m", "--modality", "text", "--task", "table_readout", "--puzzles", "3"]
    with provider() as server:
        server.script = Solutions(tmp_path)
        done = score(*words, "--endpoint", server.url, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "SIMPLE text" in done.stdout
    rows = [line.split("|") for line in done.stdout.splitlines() if line.count("|") > 2]
    cells = [cell.strip() for row in rows for cell in row if "[" in cell]
    assert cells
    assert all(cell.startswith("100 [") for cell in cells), done.stdout
