"""Snapshots of real training runs, and the alignment that is measured on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from s2h.errors import DataError
from s2h.models.loading import load_model
from s2h.training.alignment import measure_alignment
from s2h.training.snapshots import Snapshot, read_snapshots
from tests.training.test_alignment import question
from tests.training.test_trainer import ZERO3, killed, trained_in, weights, write


@pytest.fixture(scope="module")
def mixture(readout_shards: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("mixture") / "phase-1.parquet", readout_shards)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, mixture: Path) -> Path:
    """A training of six steps, two processes and three snapshots."""
    folder = tmp_path_factory.mktemp("kept")
    trained_in(folder, tiny_model, mixture, snapshots=3)
    return folder


def test_snapshots_stand_at_even_distances_and_the_last_is_the_model(kept: Path) -> None:
    found = read_snapshots(kept / "model")
    assert [(each.step, each.steps, each.updates) for each in found] == [(2, 6, 2), (4, 6, 4), (6, 6, 6)]
    last = load_file(found[-1].folder / "model.safetensors")
    assert all(value.equal(last[name]) for name, value in weights(kept).items())
    first = load_file(found[0].folder / "model.safetensors")
    assert any(not value.equal(first[name]) for name, value in last.items())
    assert not (kept / "checkpoints").exists()


def test_they_change_no_weight(kept: Path, tmp_path: Path, tiny_model: Path, mixture: Path) -> None:
    without = trained_in(tmp_path, tiny_model, mixture)
    assert all(value.equal(without[name]) for name, value in weights(kept).items())
    assert [each.updates for each in read_snapshots(tmp_path / "model")] == [0]


def test_a_training_that_was_killed_has_the_same_snapshots(
    kept: Path, tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    killed(tmp_path, tiny_model, mixture, tmp_path / "checkpoints/last", snapshots=3)
    trained_in(tmp_path, tiny_model, mixture, snapshots=3)
    for one, other in zip(read_snapshots(kept / "model"), read_snapshots(tmp_path / "model"), strict=True):
        assert (one.step, one.updates) == (other.step, other.updates)
        for name in ("model.safetensors", "second_moments.safetensors"):
            first, second = load_file(one.folder / name), load_file(other.folder / name)
            assert all(value.equal(second[key]) for key, value in first.items())


def test_moments_are_those_of_the_model_s_parameters_under_zero_2_and_zero_3(
    kept: Path, tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    trained_in(tmp_path, tiny_model, mixture, snapshots=1, **ZERO3)
    two, three = (read_snapshots(folder / "model")[-1].second_moments() for folder in (kept, tmp_path))
    model = load_model(kept / "model", dtype=torch.float32, attention="eager")
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    for moments in (two, three):
        assert {name: moment.shape for name, moment in moments.items()} == shapes
        assert all((moment >= 0).all() for moment in moments.values())
    for name, moment in two.items():
        torch.testing.assert_close(moment, three[name], rtol=1e-2, atol=1e-9)


def test_moments_are_means_of_squares(tmp_path: Path) -> None:
    """After one update without bias the second moment is the gradient's square."""
    save_file({"a": torch.tensor([0.02])}, tmp_path / "second_moments.safetensors")
    assert Snapshot(tmp_path, 1, 2, 1, 0.98).second_moments()["a"] == pytest.approx(1.0)


def test_alignment_is_measured_at_each_of_them_with_the_optimizer(kept: Path, readout_shards: Any) -> None:
    frame = measure_alignment(question(kept / "model", readout_shards), "test")
    assert frame["step"].to_list() == [2] * 4 + [4] * 4 + [6] * 4
    assert frame["preconditioned"].null_count() == 0
    assert frame["preconditioned_cosine"].is_between(-1, 1).all()


def test_a_folder_that_no_training_left_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not what a training leaves"):
        read_snapshots(tmp_path)
