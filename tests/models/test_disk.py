"""How much of the disk a study takes, before it is begun."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from s2h.models.disk import Stored, disk_report, stored
from s2h.models.settings import LoraSettings, TrainingSettings
from s2h.models.sources import ModelResources
from s2h.models.weights import Keep
from s2h.overlays import read_config


def paper(keep: Keep, results: Path) -> list[Stored]:
    """The models of the paper's study."""
    config, found = read_config("paper"), []
    for run in config.all_runs():
        phases = len(config.recipes[run.recipe].phases)
        for number in range(phases):
            folder = str(results / f"{run.task}-{run.recipe}-{run.budget}-{run.model}-{number}")
            needs, training = config.models[run.model].job_resources, config.training(run, number + 1)
            found.append(stored(folder, run.model, needs, training, last=number + 1 == phases, keep=keep))
    return found


def test_the_papers_study_is_told_before_it_fills_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2e12))
    models = paper("all", tmp_path)
    assert disk_report(models, str(tmp_path / "none")) == [
        f"s2h: this study keeps 128 trained models, about 1.08 TB below {tmp_path}/none; 128 of them, 1.08 TB, are "
        "still to come",
        "s2h: each training at work takes up to 266 GB beside that (qwen2.5-vl-7b); 2.00 TB are free",
    ]
    for model in models:
        Path(model.folder).mkdir()
    assert disk_report(models, str(tmp_path)) == [
        f"s2h: this study keeps 128 trained models, about 1.08 TB below {tmp_path}; all of them are there"
    ]


def test_a_disk_that_will_not_do_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1.2e12))
    lines = disk_report(paper("all", tmp_path), str(tmp_path))
    assert lines[-1].startswith("s2h: warning: 1.35 TB are needed, 1.20 TB are free: make room")
    lines = disk_report(paper("last_phase", tmp_path), str(tmp_path))
    assert "keeps 112 trained models, about 923 GB" in lines[0]
    assert "up to 282 GB beside that" in lines[1]  # an earlier phase stays until its run is scored


def test_a_small_study_says_nothing(tmp_path: Path) -> None:
    config = read_config()
    run = config.all_runs()[0]
    tiny = stored(str(tmp_path / "m"), "tiny", config.models["tiny"].job_resources, config.training(run, 1))
    assert tiny.left == pytest.approx(1e6 * (4 + 6 * 8))  # fp32 weights, and six snapshots with their moments
    assert disk_report([tiny] * 8, str(tmp_path)) == []


def test_adapters_take_a_part_of_what_the_weights_take() -> None:
    training = TrainingSettings(
        learning_rate=1e-4, batch_size=8, micro_batch_size=1, max_length=64, lora=LoraSettings(rank=64)
    )
    needs = ModelResources(params_b=3.8)
    kept = stored("m", "m", needs, training, keep="adapters")
    assert kept.kept == pytest.approx(0.064 * 7.6e9)
    assert kept.left == pytest.approx(1.064 * 7.6e9)
    assert stored("m", "m", needs, training, last=False, keep="last_phase").kept == 0


def test_it_is_reckoned_without_torch() -> None:
    code = "import sys, s2h.models.disk; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
