"""An optimizer, and weights, in the host's memory change nothing of what is learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.shipped import ROOT
from tests.training.test_trainer import killed, manifest, measured, same_model, trained_in, write

FILES = {2: "zero2", 3: "zero3"}


@pytest.fixture(scope="module")
def mixture(readout_shards: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("mixture") / "phase-1.parquet", readout_shards)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, mixture: Path) -> Path:
    """A run with the optimizer beside the model."""
    folder = tmp_path_factory.mktemp("plain")
    trained_in(folder, tiny_model, mixture)
    return folder


def for_cpu(folder: Path, stage: int) -> str:
    """A shipped offload file with what the file for CPUs says otherwise."""
    shipped, cpu = (
        json.loads((ROOT / f"config/deepspeed/{FILES[stage]}_{kind}.json").read_text()) for kind in ("offload", "cpu")
    )
    shipped["zero_optimization"] |= cpu["zero_optimization"]
    path = folder / f"zero{stage}.json"
    path.write_text(json.dumps(shipped))
    return str(path)


@pytest.mark.parametrize("stage", FILES)
def test_losses_are_those_without_offload(
    stage: int, plain: Path, tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    trained_in(tmp_path, tiny_model, mixture, deepspeed=for_cpu(tmp_path, stage))
    assert manifest(tmp_path)["zero_stage"] == stage
    assert same_model(plain, tmp_path, tiny_model, tolerance=1e-4)


def test_a_killed_run_goes_on_with_the_offloaded_optimizer(
    plain: Path, tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    changes: dict[str, Any] = {"deepspeed": for_cpu(tmp_path, 2)}
    killed(tmp_path, tiny_model, mixture, tmp_path / "checkpoints/last", **changes)
    trained_in(tmp_path, tiny_model, mixture, **changes)
    assert manifest(tmp_path)["resumed_at_step"] > 0
    assert measured(tmp_path, "loss") == pytest.approx(measured(plain, "loss"), rel=1e-4)
