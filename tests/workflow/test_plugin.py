"""A task outside the project, by the letter of docs/add-a-task.md: from puzzles to scores, in the workflow's jobs."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from s2h.puzzles.shards import read_shards
from tests.shipped import copy_project
from tests.workflow.study import run
from tests.workflow.test_additions import blocks, pytest_passes

RESULTS = "results/dots"
MIXTURE = f"{RESULTS}/mixtures/dot_counting/mix_plus/48/0/phase-1.parquet"
OPTIONS = f"--configfile config/dots.yaml config/small.yaml --config results={RESULTS}"


class Oracle(ThreadingHTTPServer):
    """An OpenAI-compatible address that knows the puzzles of a project, and gives the right response to each."""

    daemon_threads = True

    def __init__(self, project: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.project = project

    def response(self, content: list[dict[str, Any]]) -> str:
        """What is right for a turn: puzzles are found by the picture, or else by the question."""
        shown = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
        asked = next(part["text"] for part in content if part["type"] == "text")
        for shard in sorted(self.project.glob(f"{RESULTS}/puzzles/*/*/eval/*.parquet")):
            for record in read_shards([str(shard)]):
                question = f"{record['text']}\n\n{record['text_question']}"
                if _data_url(record["image"]["bytes"]) in shown or (not shown and question == asked):
                    return f"{record['reasoning']}\n\n{record['answer_block']}"
        raise LookupError(asked)


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


class _Handler(BaseHTTPRequestHandler):
    server: Oracle

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": self.server.response(asked["messages"][0]["content"])}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        answer = {"id": "0", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": choices}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project with the guide's package beside it, and an oracle that its small study asks."""
    project = tmp_path_factory.mktemp("project")
    copy_project(project, "tests", "docs")
    module, _, package = blocks("docs/add-a-task.md", "python")
    (project / "my_tasks").mkdir()
    (project / "my_tasks/dot_counting.py").write_text(module)
    (project / "my_tasks/__init__.py").write_text(package)
    (project / "config/dots.yaml").write_text(blocks("docs/add-a-task.md", "yaml")[1])
    oracle = Oracle(project)
    threading.Thread(target=oracle.serve_forever, daemon=True).start()
    (project / "config/small.yaml").write_text(yaml.safe_dump(small(f"http://127.0.0.1:{oracle.server_port}/v1")))
    yield project
    oracle.shutdown()
    oracle.server_close()


def small(url: str) -> dict[str, Any]:
    """What makes the study small, and asks the oracle in the place of a model that is trained."""
    source = {"kind": "endpoint", "url": url, "name": "oracle"}
    return {
        "shard_size": {"train": 40, "eval": 6},
        "tasks": {"dot_counting": {"levels": {level: {"train": 40, "eval": 6} for level in ("SIMPLE", "HARD")}}},
        "models": {"oracle": {"source": source, "scoring": {"max_new_tokens": 99}}},
        "runs": [{"tasks": ["dot_counting"], "recipes": ["untrained"], "budgets": [0], "models": ["oracle"]}],
    }


def planned(project: Path) -> set[str]:
    done = run(project, f"snakemake -n {RESULTS}/tables/summary.csv {MIXTURE} {OPTIONS}")
    assert done.returncode == 0, done.stderr[-2000:]
    return set(re.findall(r"^Job \d+: (\w+ \w+)", done.stdout + done.stderr, re.MULTILINE))


def test_a_task_outside_the_project_goes_from_puzzles_to_scores(project: Path) -> None:
    done = run(project, f"snakemake {RESULTS}/tables/summary.csv {MIXTURE} {OPTIONS}")
    assert done.returncode == 0, done.stderr[-3000:]
    reports = json.loads((project / RESULTS / "validation/dot_counting.json").read_text())
    assert [(each["puzzles"], each["failures"]) for each in reports] == [(40, 0), (6, 0)] * 2
    mixture = pl.read_parquet(project / MIXTURE)
    assert mixture.height == 48
    table = pl.read_csv(project / RESULTS / "tables/summary.csv")
    assert table.select("task", "n", "accuracy", "chain_accuracy").rows() == [("dot_counting", 6, 1.0, 1.0)] * 4
    assert planned(project) == set()


def test_a_change_in_its_module_makes_its_puzzles_again(project: Path) -> None:
    module = project / "my_tasks/dot_counting.py"
    text = module.read_text()
    module.write_text(f"{text}\n# a comment\n")
    assert planned(project) == set()
    module.write_text(f"{text}\nCHANGED = True\n")
    assert planned(project) >= {"make puzzles", "check puzzles", "make mixture", "decode untrained", "score untrained"}
    module.write_text(text)


def test_the_contract_tests_try_it(project: Path) -> None:
    tests = ("tests/contracts", "tests/diagnosis/test_contract.py", "tests/validation/test_checkers.py")
    assert pytest_passes(project, *tests, "-k", "dot_counting", "--configfile", "config/dots.yaml") > 40


def test_a_plugin_that_is_not_there_ends_in_one_line(project: Path) -> None:
    done = run(project, "snakemake -n --config plugins=[my_task]")
    assert done.returncode != 0
    assert "config: the plugin my_task is not there: no module my_task is installed or lies in" in done.stderr
    assert "Traceback" not in done.stderr
