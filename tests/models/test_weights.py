"""What is removed of a run's models, what its folders tell then, and what a killed removal leaves."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from s2h.errors import DataError, ModelError
from s2h.models.weights import Keep, check_weights, checked_base, describe_base, missing_files, remove_weights
from s2h.provenance.fingerprints import REMOVED, contents_digest, looks_unchanged, take_fingerprint
from s2h.provenance.lineage import report
from s2h.provenance.records import Record, input_contents, record_path

SNAPSHOT = "snapshots/step-0000002"


def trained(results: Path, number: int, *, base: Path | None = None) -> Path:
    """A folder as a training leaves it, with its record; with adapters where a base is given."""
    folder = results / f"models/run/phase-{number}"
    for name in ("model-00001-of-00002", "model-00002-of-00002", f"{SNAPSHOT}/model"):
        place = folder / f"{name}.safetensors"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{name} of {number}")
    (folder / "config.json").write_text("{}")
    manifest: dict[str, Any] = {"steps": 3}
    if base:
        (folder / "adapters").mkdir()
        (folder / "adapters/adapter_model.safetensors").write_text(f"adapters {number}")
        manifest["adapters"] = describe_base(base, folder)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    job = {"versions": {}, "python": "3", "user": "u", "host": "h", "slurm_job": None, "started": "", "seconds": 1}
    record = Record(str(folder), "train_phase", {}, {}, "key", {}, take_fingerprint(folder), job)
    place = record_path(folder, results)
    assert place is not None
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(record.to_json())
    return folder


def release(folders: list[Path], keep: Keep, results: Path) -> dict[str, list[str]]:
    output = results / "removed/run.json"
    remove_weights(folders, keep, checkpoints=results / "checkpoints/run", output=output, results=results)
    return dict(json.loads(output.read_text()))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "hub/base"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text("base")
    return folder


@pytest.fixture
def phases(tmp_path: Path) -> list[Path]:
    return [trained(tmp_path, number) for number in (1, 2)]


def test_earlier_phases_go_with_snapshots_and_optimizers_and_their_folders_tell_what_they_were(
    phases: list[Path], tmp_path: Path
) -> None:
    for number in (1, 2):
        (tmp_path / f"checkpoints/run/phase-{number}").mkdir(parents=True)
    before = [(contents_digest(take_fingerprint(each)), input_contents(each, tmp_path)) for each in phases]
    files = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", f"{SNAPSHOT}/model.safetensors"}
    gone = release(phases, "last_phase", tmp_path)
    assert {folder: {*names} for folder, names in gone.items()} == {str(phases[0]): files}
    assert sorted(path.name for path in phases[0].iterdir()) == ["config.json", "manifest.json", REMOVED, "snapshots"]
    assert not missing_files(phases[1])
    assert [(contents_digest(take_fingerprint(each)), input_contents(each, tmp_path)) for each in phases] == before
    assert [path.name for path in (tmp_path / "checkpoints/run").iterdir()] == ["phase-2"]
    assert report(tmp_path) == [
        "2 results hold what their jobs wrote.",
        f"without the weights that keep_weights removed: {phases[0]}",
    ]
    with pytest.raises(ModelError, match=r"removed once its run was scored \(keep_weights: last_phase.*\n  rm -r .*1"):
        check_weights(phases[0])
    check_weights(phases[1])


def test_what_else_changes_in_a_reduced_folder_is_still_found(phases: list[Path], tmp_path: Path) -> None:
    release(phases, "last_phase", tmp_path)
    (phases[0] / "config.json").write_text("[]")
    with pytest.raises(DataError, match=r"config\.json: it has the right size but other contents"):
        input_contents(phases[0], tmp_path)
    (phases[0] / REMOVED).write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        take_fingerprint(phases[0])


def test_a_removal_that_is_killed_leaves_a_folder_that_is_whole_or_says_what_is_gone(
    phases: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink
    removed: list[Path] = []

    def killed(path: Path, **options: bool) -> None:
        if path.suffix == ".safetensors":
            if removed:
                raise KeyboardInterrupt
            removed.append(path)
        unlink(path, **options)

    before = input_contents(phases[0], tmp_path)
    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        release(phases, "last_phase", tmp_path)
    monkeypatch.undo()
    assert len(missing_files(phases[0])) == 1
    assert input_contents(phases[0], tmp_path) == before
    with pytest.raises(ModelError, match="removed"):
        check_weights(phases[0])
    release(phases, "last_phase", tmp_path)
    assert len(missing_files(phases[0])) == 3
    assert input_contents(phases[0], tmp_path) == before


def test_weights_that_are_brought_back_count_again(phases: list[Path], tmp_path: Path) -> None:
    held = {path: path.read_bytes() for path in phases[0].rglob("*.safetensors")}
    before = input_contents(phases[0], tmp_path)
    release(phases, "last_phase", tmp_path)
    for path, contents in held.items():
        path.write_bytes(contents)
    check_weights(phases[0])
    assert input_contents(phases[0], tmp_path) == before


def test_adapters_stay_where_weights_can_be_made_from_them_again(base: Path, tmp_path: Path) -> None:
    first = trained(tmp_path, 1, base=base)
    second = trained(tmp_path, 2, base=first)
    third = trained(tmp_path, 3)
    gone = release([first, second, third], "adapters", tmp_path)
    weights = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert gone == {str(first): weights, str(second): weights}
    assert checked_base(second) == first
    assert checked_base(first) == base
    check_weights(second)
    kept = dataclasses.asdict(take_fingerprint(first)["adapters/adapter_model.safetensors"])
    assert release([first, second], "last_phase", tmp_path) == gone  # the second is made from the first
    assert dataclasses.asdict(take_fingerprint(first)["adapters/adapter_model.safetensors"]) == kept


def test_nothing_is_made_from_adapters_on_another_base(base: Path, tmp_path: Path) -> None:
    folder = trained(tmp_path, 1, base=base)
    (base / "model.safetensors").write_text("esab")
    assert not release([folder], "adapters", tmp_path)
    (base / "model.safetensors").write_text("base")  # of another age: it is read
    assert release([folder], "adapters", tmp_path)
    check_weights(folder)
    (base / "model.safetensors").write_text("esab")
    with pytest.raises(ModelError, match=r"base is not what the adapters of .* were trained on: bring it back"):
        check_weights(folder)
    (base / "model.safetensors").unlink()
    base.rmdir()
    with pytest.raises(ModelError, match="is not there: bring it back"):
        check_weights(folder)


def test_all_is_kept_unless_the_config_asks(phases: list[Path], tmp_path: Path) -> None:
    marks = [take_fingerprint(folder) for folder in phases]
    assert not release(phases, "all", tmp_path)
    assert not release(phases, "adapters", tmp_path)  # none were trained
    assert all(looks_unchanged(folder, mark) for folder, mark in zip(phases, marks, strict=True))
