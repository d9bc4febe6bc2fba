"""A base model from its data, end to end: corpora in two layouts, scenes, and a recipe that starts from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from s2h.models.parts import part_of
from s2h.overlays import merge, read_config, read_values
from s2h.puzzles.task_registry import make_task
from s2h.supervision.formats import WORDS
from tests.corpora.generated import Made, make_corpus
from tests.shipped import copy_project
from tests.workflow.study import snakemake

TASK = "consecutive_table_readout"
RUN = f"{TASK}/mix/48/made/0"
SCORES = f"results/scores/{RUN}.parquet"
PHASES = f"results/base_models/{TASK}/made/0"


def task_words() -> list[str]:
    """What the tiny model of the study can read."""
    task = make_task(TASK, read_config("smoke").task(TASK))
    return sorted(task.vocabulary() | WORDS)


def made_config(corpora: dict[str, Made]) -> dict[str, Any]:
    """A study with one recipe on a model that is made from two corpora and from scenes."""
    values = read_values("smoke")
    task = values["tasks"][TASK]
    task["levels"] = {level: {"train": 40, "eval": 8} for level in ("SIMPLE", "HARD")}
    values["tasks"] = {TASK: task}  # Snakemake lays this over the default config, which has other tasks and levels
    values["task_mixtures"] = {}
    phases = [
        {
            "corpus": "first",
            "frozen": ["vision", "language"],
            "training": {"learning_rate": 1e-2, "batch_size": 8, "micro_batch_size": 8},
        },
        {"corpus": "second", "training": {"learning_rate": 1e-3, "max_length": 96}},
        {"scenes": 40, "epochs": 2},
    ]
    made = {
        **values["models"]["tiny"],
        "source": {"kind": "pretrained", "base": "tiny", "phases": phases},
        "resources": {"params_b": 0.001, "gpus": 0, "cpus": 2, "decoding_gpus": 0},
    }
    return merge(
        values,
        {
            "runs": [{"tasks": [TASK], "recipes": ["mix"], "budgets": [48], "models": ["made"], "seeds": [0]}],
            "models": {"made": made},
            "corpora": {
                "first": corpora["first"].settings(shards=2, min_kept_fraction=0.5, entries=60),
                "second": corpora["second"].settings(shards=2, min_kept_fraction=0.5, entries=60),
            },
        },
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the study has run to its scores."""
    study = tmp_path_factory.mktemp("study")
    copy_project(study)
    words = task_words()
    corpora = {
        "first": make_corpus(study / "data/first", "zip", seed=1, words=words),
        "second": make_corpus(study / "data/second", "parts", seed=2, words=words),
    }
    (study / "config/made.yaml").write_text(yaml.safe_dump(made_config(corpora)))
    for target in ("corpora", "base_models", SCORES):  # as docs/base-model.md has it
        run = snakemake(study, target, config="made")
        assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-6000:]
    return study


def weights(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = load_file(folder / "model.safetensors")
    return found


def changed_parts(before: Path, after: Path) -> set[str]:
    one, other = weights(before), weights(after)
    assert one.keys() == other.keys()
    return {part_of(name) for name in one if not torch.equal(one[name], other[name])}


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def test_the_first_phase_changes_the_projector_and_nothing_else(study: Path) -> None:
    base = study / f"results/base_models/{TASK}/tiny/0"
    assert changed_parts(base, study / PHASES / "phase-1") == {"projector"}
    assert manifest(study / PHASES / "phase-1")["frozen"] == ["vision", "language"]


def test_the_second_phase_starts_from_it_and_changes_everything(study: Path) -> None:
    assert manifest(study / PHASES / "phase-2")["base"].endswith("made/0/phase-1")
    changed = changed_parts(study / PHASES / "phase-1", study / PHASES / "phase-2")
    assert changed == {"vision", "projector", "language"}


def test_the_third_phase_writes_down_scenes_that_are_checked_like_puzzles(study: Path) -> None:
    assert manifest(study / PHASES / "phase-3")["base"].endswith("made/0/phase-2")
    assert manifest(study / PHASES / "phase-3")["examples"] == 80
    mixture = pl.read_parquet(study / f"results/mixtures/{TASK}/made/0/scenes-3.parquet")
    assert set(mixture["level"]) == {"SCENES"}
    assert mixture.n_unique("puzzle_id") == 40
    (shard,) = (study / f"results/puzzles/{TASK}/SCENES").rglob("*.parquet")
    texts = dict(pl.read_parquet(shard, columns=["puzzle_id", "text"]).iter_rows())
    assert dict(mixture.select("puzzle_id", "response").iter_rows()) == texts
    report = {each["level"]: each for each in json.loads((study / f"results/validation/{TASK}.json").read_text())}
    assert (report["SCENES"]["puzzles"], report["SCENES"]["failures"], report["SCENES"]["overlap"]) == (40, 0, 0)


def test_a_recipe_starts_from_the_last_phase_and_is_scored(study: Path) -> None:
    assert manifest(study / f"results/models/{RUN}/phase-1")["base"].endswith("made/0/phase-3")
    scores = pl.read_parquet(study / SCORES)
    assert scores.height == 32  # eight puzzles of each level, as text and as images


def test_the_phases_have_seen_every_good_entry_with_the_settings_of_the_config(study: Path) -> None:
    reports = [json.loads((study / f"results/corpora/{name}/report.json").read_text()) for name in ("first", "second")]
    manifests = [manifest(study / PHASES / f"phase-{phase}") for phase in (1, 2)]
    for report, facts in zip(reports, manifests, strict=True):
        assert facts["examples"] + facts["examples_dropped"] == report["kept"]
        assert facts["settings"]["on_overlength"] == "truncate"
    assert [facts["settings"]["learning_rate"] for facts in manifests] == [1e-2, 1e-3]
    assert (study / f"results/logs/pretrain_base_model/{TASK}/made/0/phase-2.metrics.jsonl").is_file()


def test_nothing_is_made_again_and_the_pack_is_gone(study: Path) -> None:
    run = snakemake(study, SCORES, "base_models", "corpora", config="made")
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout + run.stderr
    assert not (study / "results/corpora/second/images.pack").exists()
    assert snakemake(study, "verify", config="made").returncode == 0


def test_a_corpus_of_which_too_little_is_good_stops_with_its_report(study: Path) -> None:
    values = yaml.safe_load((study / "config/made.yaml").read_text())
    values["corpora"]["first"]["min_kept_fraction"] = 0.99
    (study / "config/strict.yaml").write_text(yaml.safe_dump(values))
    run = snakemake(study, "results/corpora/first/report.json", config="strict")
    assert run.returncode != 0
    assert "are good, fewer than corpora.first.min_kept_fraction = 0.99" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
