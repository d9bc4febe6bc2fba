"""Every stage is struck once by kill -9 of its job; ``python -m tests.faults`` does the other harms too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.harms import TORN, strike_every_stage, tear
from tests.faults.study import STAGES, TASK, Study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that nobody has harmed."""
    study = Study(tmp_path_factory.mktemp("reference"))
    study.finish()
    return study


def test_a_study_whose_every_stage_was_killed_ends_with_the_same_bytes(reference: Study, tmp_path: Path) -> None:
    study = Study(tmp_path)
    assert tuple(strike_every_stage(study, "job")) == STAGES
    study.finish()
    assert study.contents() == reference.contents()
    assert not study.leftovers()


@pytest.mark.parametrize("kind", ["puzzle shard", "predictions"])
def test_a_torn_file_is_named_removed_as_told_and_made_again(reference: Study, kind: str) -> None:
    expected = reference.contents()
    tear(reference, TORN[kind], share=0.5)
    reference.finish(expected)
    assert reference.contents() == expected


def manifests(study: Study) -> dict[str, bytes]:
    """What the trainings wrote of themselves, with the times at which they ran."""
    found = {path: path.read_bytes() for path in study.results.glob("models/**/manifest.json")}
    return {path.relative_to(study.results).as_posix(): held for path, held in found.items()}


def test_inputs_that_are_made_again_with_the_same_bytes_train_nothing(reference: Study) -> None:
    trained = manifests(reference)
    shard = f"puzzles/{TASK}/SIMPLE/train/shard-00000.parquet"
    (reference.results / shard).unlink()
    reference.finish([shard])
    assert manifests(reference) == trained


def test_a_copy_with_other_times_trains_nothing(reference: Study, tmp_path: Path) -> None:
    study = Study(tmp_path)
    shutil.copytree(reference.results, study.results, copy_function=shutil.copyfile)
    study.finish()
    assert manifests(study) == manifests(reference)
