"""Real training runs: two processes, ZeRO-2; killed and resumed; two phases; wrong set-ups stop early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from s2h.models.loading import load_model, load_processor
from s2h.supervision.mixture import write_mixture
from tests.shipped import ROOT, default_config

SETTINGS = {
    "learning_rate": 1e-3,
    "batch_size": 8,
    "micro_batch_size": 2,
    "max_length": 256,
    "precision": "fp32",
    "random_positions": 16,
    "checkpoint_every": 2,
    "deepspeed": str(ROOT / "config/deepspeed/zero2_cpu.json"),
}


@pytest.fixture(scope="module")
def mixture(readout_shards: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight examples of Mix+: text, image and image-via-text, SIMPLE and HARD, mixed freely."""
    path = tmp_path_factory.mktemp("mixture") / "phase-1.parquet"
    phase = default_config().recipes["mix_plus"].phases[0]
    write_mixture(path, phase, budget=48, shards={"consecutive_table_readout": readout_shards}, key=(0, "test"))  # type: ignore[arg-type]
    return path


def command(folder: Path, base: Path, mixture: Path, **changes: object) -> list[str]:
    arguments = {
        "title": "test",
        "base": base,
        "mixture": mixture,
        "output": folder / "model",
        "checkpoints": folder / "checkpoints",
        "seed": 0,
        "settings": json.dumps(SETTINGS | changes),
        "metrics": folder / "metrics.jsonl",
        "tensorboard": folder / "tensorboard",
        "job-log": folder / "log",
    }
    options = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return [*launcher, "-m", "s2h.training", *options]


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def train(folder: Path, base: Path, mixture: Path, **changes: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, base, mixture, **changes), env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, mixture: Path) -> Path:
    """A run that was not interrupted."""
    folder = tmp_path_factory.mktemp("trained")
    run = train(folder, tiny_model, mixture)
    assert run.returncode == 0, run.stderr[-3000:]
    return folder


def test_the_result_is_a_plain_model_folder_with_its_story(trained: Path, tiny_model: Path) -> None:
    import torch

    model = load_model(trained / "model", dtype=torch.float32, attention="eager")
    assert type(model).__name__ == "LlavaForConditionalGeneration"
    assert load_processor(trained / "model").tokenizer.eos_token == "<end>"
    manifest = json.loads((trained / "model/manifest.json").read_text())
    assert (manifest["zero_stage"], manifest["processes"], manifest["steps"]) == (2, 2, 6)
    metrics = [json.loads(line) for line in (trained / "model/metrics.jsonl").read_text().splitlines()]
    assert [m["step"] for m in metrics] == list(range(1, 7))
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    assert sum(m["target_tokens"] for m in metrics) == manifest["target_tokens"]
    before, after = load_file(tiny_model / "model.safetensors"), load_file(trained / "model/model.safetensors")
    assert before.keys() == after.keys()
    assert not (trained / "checkpoints").exists()


def test_a_killed_run_goes_on_to_the_same_weights(
    trained: Path, tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    process = subprocess.Popen(
        command(tmp_path, tiny_model, mixture),
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (tmp_path / "checkpoints/last").exists():
        assert process.poll() is None, "the run ended before its first checkpoint"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "model").exists()
    run = train(tmp_path, tiny_model, mixture)
    assert run.returncode == 0, run.stderr[-3000:]
    assert json.loads((tmp_path / "model/manifest.json").read_text())["resumed_at_step"] >= 2
    once, twice = (load_file(folder / "model/model.safetensors") for folder in (trained, tmp_path))
    assert all(once[name].equal(twice[name]) for name in once)


def test_a_wrong_set_up_stops_early_and_says_so(tmp_path: Path, tiny_model: Path, mixture: Path) -> None:
    run = train(tmp_path, tiny_model, mixture, max_length=50)
    assert run.returncode != 0
    assert "examples are longer than training.max_length = 50 tokens" in run.stderr
    assert not (tmp_path / "model").exists()
