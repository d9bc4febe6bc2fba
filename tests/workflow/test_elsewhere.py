"""The workflow from a folder that is not its own: ``-s`` names the Snakefile, and the results lie where one is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from s2h.models.settings import TrainingSettings
from s2h.training.deepspeed_config import read_config, zero_stage
from tests import forked
from tests.shipped import ROOT

TRAINING = TrainingSettings(learning_rate=1e-3, batch_size=2, micro_batch_size=1, max_length=64)


def plan(folder: Path, *words: str) -> str:
    words = ("-s", str(ROOT / "Snakefile"), "-n", "results/tables/summary.csv", *words)
    done = forked.python("snakemake", *words, folder=folder, environments=[{**os.environ, "CUDA_VISIBLE_DEVICES": ""}])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_an_overlay_is_laid_over_the_shipped_configs(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"models": {"tiny": {"training": {"learning_rate": 1e-3}}}}))
    assert "train_phase" in plan(tmp_path, "--configfile", "mine.yaml")


def test_directory_says_where_the_results_lie(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    assert "train_phase" in plan(tmp_path, "--directory", str(tmp_path / "elsewhere"))


def test_a_shipped_deepspeed_file_is_found_and_ones_own_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert zero_stage(read_config(TRAINING, grad_accum_steps=1)) == 2
    (tmp_path / "config/deepspeed").mkdir(parents=True)
    (tmp_path / "config/deepspeed/zero2.json").write_text('{"zero_optimization": {"stage": 1}}')
    assert zero_stage(read_config(TRAINING, grad_accum_steps=1)) == 1
