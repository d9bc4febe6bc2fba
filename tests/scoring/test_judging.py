"""From an endpoint to its scores: a model that answers rightly in its own dress is right throughout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from s2h.analysis.paper_metrics import COLUMNS, paper_metrics
from s2h.analysis.scores import read_scores
from s2h.analysis.summary import summarise
from s2h.models.settings import ScoringSettings
from s2h.models.sources import EndpointSource
from s2h.puzzles.shards import PuzzleSet, read_shards, write_shard
from s2h.puzzles.task import Task
from s2h.scoring import decode_and_score
from tests.contracts.settings import shipped_task
from tests.scoring.provider import Provider, provider, reply
from tests.shipped import PAPER_TASKS

PUZZLES = 4
DRESSES = (
    "**Answer: @**", "The answer is @.", "\\boxed{@}", '```json\n{"answer": "@"}\n```', "<answer>\n@\n</answer>",
    "<think>\nIt might be 1.\nAnswer: 1\n</think>\n\n**Answer:** @",
)  # fmt: skip
IDENTITY = {"trained_on": "any", "recipe": "untrained", "budget": 0, "model": "oracle", "seed": 0}


@pytest.fixture(scope="module")
def oracle() -> Iterator[Provider]:
    with provider() as server:
        yield server


def score(
    oracle: Provider, task: Task[Any], folder: Path, dress: str, *, answers: Any = "tolerant", wrong: bool = False
) -> Path:
    """The score file of the oracle on HARD puzzles as text, decoded and judged as the workflow does.

    The oracle says its answer in a dress, where @ stands for it.
    """
    shard = str(folder / "shard.parquet")
    write_shard(shard, task, PuzzleSet(0, "HARD", "eval"), (0, PUZZLES), progress=lambda done: None)
    known = [task.from_json(record["puzzle"]) for record in read_shards([shard])]
    evaluation = {
        task.name: {
            "settings": task.settings.model_dump(mode="json"),
            "shards": {"HARD": [shard]},
            "puzzles": {"HARD": PUZZLES},
        }
    }
    sets = [each for each in decode_and_score.read_sets(evaluation, {}, [], answers=answers) if each.modality == "text"]
    right = [task.answer(puzzle) for puzzle in known]
    others = [next((other for other in right if other != own), "9999") for own in right]
    questions = [row.question for row in sets[0].rows]
    said = [dress.replace("@", answer) for answer in (others if wrong else right)]
    oracle.script = {question: [reply(text)] for question, text in zip(questions, said, strict=True)}
    decode_and_score.decode_predictions(
        "oracle",
        source=EndpointSource(url=oracle.url, name="oracle"),
        settings=ScoringSettings(max_new_tokens=64, recheck=0),
        sets=sets,
        output=folder / "predictions.parquet",
        store=folder / "kept",
        processes=1,
        title="oracle",
        trained=False,
        log=folder / "log",
    )
    output = folder / "scores.parquet"
    decode_and_score.score_model(
        folder / "predictions.parquet", sets=sets, output=output, work_dir=folder / "work", identity=IDENTITY
    )
    return output


@pytest.mark.parametrize("name", PAPER_TASKS)
@pytest.mark.parametrize("dress", DRESSES, ids=ascii)
def test_a_perfect_endpoint_is_right_in_any_dress(oracle: Provider, tmp_path: Path, name: str, dress: str) -> None:
    scores = score(oracle, shipped_task(name, "paper"), tmp_path, dress)
    (row,) = summarise([scores]).iter_rows(named=True)
    assert (row["n"], row["accuracy"], row["no_answer"]) == (PUZZLES, 1, 0)
    assert row["tolerant"] == PUZZLES or name == "grid_navigation"  # which reads some dress as it is
    said = [body["choices"][0]["message"]["content"] for ((_, body, _),) in oracle.script.values()]
    assert pl.read_parquet(scores)["prediction"].to_list() == said


def test_a_wrong_endpoint_is_wrong_and_a_strict_judge_reads_no_dress(oracle: Provider, tmp_path: Path) -> None:
    task, dress = shipped_task("visual_analogy", "paper"), "**Answer: @**"
    for folder in ("wrong", "strict"):
        (tmp_path / folder).mkdir()
    wrong = summarise([score(oracle, task, tmp_path / "wrong", dress, wrong=True)]).row(0, named=True)
    assert (wrong["accuracy"], wrong["no_answer"], wrong["tolerant"]) == (0, 0, PUZZLES)
    file = score(oracle, task, tmp_path / "strict", dress, answers="strict")
    strict = summarise([file]).row(0, named=True)
    assert (strict["accuracy"], strict["no_answer"], strict["tolerant"]) == (0, 1, 0)
    found = paper_metrics(read_scores([file], COLUMNS, external=True))
    assert dict(found.select("metric", "value").rows())["no_answer"] == 1
