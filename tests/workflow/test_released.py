"""A released checkpoint and a set, both named in the config, from small servers to the table of the paper's metrics."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml

from s2h.overlays import merge, read_values
from tests.models import eagle
from tests.server import Server, serving
from tests.shipped import copy_project

TASK = "consecutive_table_readout"
TARGET = "results/tables/metrics.csv"


def table(rows: int) -> bytes:
    """A set in the columns of the paper's code."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t")
    writer.writerow(["index", "question", "answer"])
    writer.writerows([row, f"from a to b {row}", "3,0"] for row in range(rows))
    return text.getvalue().encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("released") / "Eagle-X2-small"
    eagle.build_released(folder, {"from", "a", "to", "b", "7"})
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with serving(files | {"set.tsv": table(5)}) as server:
        yield server


@pytest.fixture(scope="module")
def study(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("project")
    copy_project(project)
    fetched = {"url": f"{server.address}/files/set.tsv", "sha256": hashlib.sha256(server.files["set.tsv"]).hexdigest()}
    values = {
        "tasks": {TASK: {"levels": {level: {"train": 0, "eval": 2} for level in ("SIMPLE", "MEDIUM", "HARD")}}},
        "models": {
            "small": {
                "source": {"kind": "released_eagle", "name": "PrincetonPLI/Eagle-X2-small"},
                "scoring": {"max_new_tokens": 4, "recheck": 0},
                "resources": {"params_b": 0.001, "gpus": 0, "cpus": 1, "decoding_gpus": 0},
            }
        },
        "runs": [{"tasks": [TASK], "recipes": ["untrained"], "budgets": [0], "models": ["small"]}],
        "external_evals": {"web": fetched | {"task": TASK, "level": "HARD", "modality": "text"}},
    }
    (project / "config/mine.yaml").write_text(yaml.safe_dump(merge(read_values("smoke"), values)))
    return project


def snakemake(study: Path, *words: str, endpoint: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    told = {"PYTHONPATH": str(study / "src"), "CUDA_VISIBLE_DEVICES": "", "HF_ENDPOINT": endpoint}
    return subprocess.run(
        ["snakemake", *words, "--configfile", "config/mine.yaml"],
        cwd=study,
        env=kept | told | {"HF_HOME": str(study / "home"), "HF_HUB_DISABLE_XET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_network_both_say_what_to_fetch_and_where_to_put_it(study: Path, server: Server) -> None:
    config = study / "config/mine.yaml"
    reachable = config.read_text()
    config.write_text(reachable.replace(server.address, "http://127.0.0.1:9"))
    run = snakemake(study, "external_evals", "models", "--keep-going", endpoint="http://127.0.0.1:9")
    config.write_text(reachable)
    assert run.returncode != 0
    assert "s2h: http://127.0.0.1:9/files/set.tsv cannot be fetched" in run.stderr
    assert "or bring the file yourself, to results/external_evals/web.tsv (sha256 " in run.stderr, run.stderr
    assert "s2h: the model PrincetonPLI/Eagle-X2-small (revision main) cannot be fetched" in run.stderr
    assert "and copy FOLDER to results/hub/small" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_released_checkpoint_is_fetched_converted_and_scored_on_a_fetched_set(study: Path, server: Server) -> None:
    fetched = snakemake(study, "external_evals", "models", endpoint=server.address)
    assert fetched.returncode == 0, fetched.stderr[-3000:]
    run = snakemake(study, TARGET, endpoint="http://127.0.0.1:9")  # the rest needs no network
    assert run.returncode == 0, run.stderr[-3000:]
    rules = Counter(re.findall(r"^Job \d+: (\w+ \w+ \w+)", fetched.stderr + run.stderr, re.MULTILINE))
    assert rules["fetch the model"] == rules["fetch the set"] == rules["convert the model"] == 1
    assert "no key is missing" in (study / "results/logs/convert_model/small.log").read_text()
    metrics = pl.read_csv(study / TARGET)
    assert set(metrics["model"]) == {"small"}
    assert set(metrics.filter(pl.col("external_eval") == "web")["n"]) == {5}
    assert set(metrics.filter(pl.col("external_eval").is_null())["level"]) == {"SIMPLE", "MEDIUM", "HARD"}


def test_a_local_folder_is_converted_without_fetching_and_can_be_trained_further(study: Path) -> None:
    name = str(study / "results/hub/small")
    values = yaml.safe_load((study / "config/mine.yaml").read_text())
    model = {"source": {"kind": "released_eagle", "name": name}, "training": values["models"]["tiny"]["training"]}
    values["models"]["mine"] = values["models"]["small"] | model
    values["tasks"][TASK]["levels"]["SIMPLE"]["train"] = 60
    runs = {"tasks": [TASK], "models": ["mine"]}
    values["runs"] = [runs | {"recipes": ["untrained"], "budgets": [0]}, runs | {"recipes": ["text"], "budgets": [48]}]
    (study / "config/mine.yaml").write_text(yaml.safe_dump(values))
    run = snakemake(study, "-n", TARGET, "results/tables/recipes.csv", endpoint="")
    assert run.returncode == 0, run.stderr[-3000:]
    jobs = re.findall(r"^Job \d+: (\w+ \w+)", run.stdout + run.stderr, re.MULTILINE)
    assert jobs.count("convert the") == 1
    assert "fetch the" not in jobs
    assert jobs.count("train text") == 1
