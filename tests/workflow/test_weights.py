"""What is kept of a study's models: the workflow removes the rest, makes nothing again and loses no record."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from s2h.overlays import read_values
from tests.workflow.study import RUNS, configure, snakemake

RUN = "grid_navigation/align_mix_plus/48/tiny/0"
GONE, SUMMARY = f"results/removed/{RUN}.json", "results/tables/summary.csv"
MODELS = f"results/models/{RUN}"
ONE_TASK = {"runs": [{**RUNS[0], "tasks": ["grid_navigation"]}]}
LAST_PHASE = ONE_TASK | {"keep_weights": "last_phase"}
ADAPTERS: dict[str, Any] = ONE_TASK | {
    "keep_weights": "adapters",
    "models": {"tiny": {"training": {"lora": {"rank": 4, "alpha": 8}, "snapshots": 0}}},
}


def planned(study: Path, *targets: str) -> list[str]:
    """Jobs of a dry run."""
    run = snakemake(study, "-n", "--nolock", *targets)
    assert run.returncode == 0, run.stdout + run.stderr
    return sorted(re.findall(r"^Job \d+: (\w+ \w+)", run.stdout + run.stderr, re.MULTILINE))


def done(study: Path, *targets: str) -> None:
    run = snakemake(study, *targets)
    assert run.returncode == 0, run.stderr[-4000:]


def weights(study: Path, phase: int) -> list[str]:
    folder = study / MODELS / f"phase-{phase}"
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.safetensors"))


def predictions(study: Path) -> pl.DataFrame:
    return pl.read_parquet(study / f"results/predictions/{RUN}.parquet").drop("seconds")


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, from which a test may remove what it likes."""
    return Path(shutil.copytree(finished, tmp_path / "study", symlinks=True))


@pytest.mark.slow
def test_earlier_phases_go_once_the_run_is_scored_and_nothing_is_made_again(study: Path) -> None:
    configure(study, ONE_TASK)
    done(study, SUMMARY, "results/tables/costs.csv")
    configure(study, LAST_PHASE)
    assert planned(study, SUMMARY, "results/tables/costs.csv") == []
    kept = weights(study, 2)
    done(study, "weights")
    assert weights(study, 1) == []
    assert weights(study, 2) == kept
    assert {*json.loads((study / GONE).read_text())} == {f"{MODELS}/phase-1"}
    whole = (SUMMARY, "results/tables/costs.csv", f"results/alignment/{RUN}/phase-1.parquet", "weights")
    for keep in ("all", "last_phase"):
        configure(study, ONE_TASK | {"keep_weights": keep})
        assert planned(study, *whole) == []
    (study / "results/tables/costs.csv").unlink()
    run = snakemake(study, "results/tables/costs.csv", "verify")
    assert run.returncode == 0, run.stderr[-4000:]
    assert f"without the weights that keep_weights removed: {MODELS}/phase-1" in run.stdout + run.stderr
    _a_changed_phase_is_refused_before_anything_is_lost(study)


def _a_changed_phase_is_refused_before_anything_is_lost(study: Path) -> None:
    recipe = {"recipes": {"align_mix_plus": {"phases": _phases({"learning_rate": 0.01})}}}
    configure(study, LAST_PHASE | recipe)
    kept = weights(study, 2)
    run = snakemake(study, SUMMARY)
    assert run.returncode != 0
    assert f"s2h: the weights of {MODELS}/phase-1 were removed once its run was scored" in run.stderr
    assert "keep_weights: last_phase" in run.stderr
    assert "Traceback" not in run.stderr
    assert weights(study, 2) == kept
    advice = re.search(r"^  rm -r (.+)$", run.stderr, re.MULTILINE)
    assert advice is not None
    shutil.rmtree(study / advice[1])
    done(study, SUMMARY, "weights")
    assert weights(study, 1) == []
    assert planned(study, SUMMARY, "weights") == []


def _phases(training: dict[str, float]) -> list[dict[str, Any]]:
    """The recipe's phases, of which the second is trained otherwise."""
    first, second = read_values("smoke")["recipes"]["align_mix_plus"]["phases"]
    return [first, second | {"training": training}]


@pytest.mark.slow
def test_adapters_stand_for_the_weights_that_they_make(study: Path) -> None:
    configure(study, ADAPTERS)
    done(study, SUMMARY, "weights")
    for phase in (1, 2):
        assert weights(study, phase) == ["adapters/adapter_model.safetensors"]
    assert planned(study, SUMMARY, "weights") == []
    before = predictions(study)
    for gone in (f"predictions/{RUN}.parquet", f"provenance/predictions/{RUN}.parquet.json"):
        (study / "results" / gone).unlink()
    shutil.rmtree(study / f"results/predictions/{RUN}.kept")
    configure(study, ADAPTERS | {"tasks": {"grid_navigation": {"levels": {"HARD": {"eval": 9}}}}})
    assert not [job for job in planned(study, SUMMARY) if job.startswith("train")]
    done(study, SUMMARY, "verify")
    after = predictions(study)
    assert after.height > before.height
    assert after.join(before, on=["set_name", "index"], how="semi").equals(before)
    assert weights(study, 2) == ["adapters/adapter_model.safetensors"]
    changed = ADAPTERS | {"recipes": {"align_mix_plus": {"phases": _phases({"learning_rate": 0.01})}}}
    configure(study, changed)
    done(study, SUMMARY)  # the second phase starts from the first one's weights, which are made from its adapters
    assert "model.safetensors" in weights(study, 2)
    assert "model.safetensors" not in weights(study, 1)
