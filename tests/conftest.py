"""What several tests need: a small task, its puzzles and the tiny model, all real."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

from s2h.corpora.corpus_mixture import write_mixture
from s2h.corpora.corpus_shards import write_shard as write_corpus_shard
from s2h.corpora.index import make_index
from s2h.puzzles.consecutive_table_readout import ConsecutiveTableReadout
from s2h.puzzles.shards import PuzzleSet, write_shard
from tests.corpora.generated import Made, make_corpus
from tests.shipped import OWN_CONFIG, copy_project
from tests.small import build_tiny_model, small_readout
from tests.workflow.study import configure, snakemake

hypothesis.settings.register_profile("shared machine", deadline=None)  # others compute beside the tests
hypothesis.settings.load_profile("shared machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--configfile config/mine.yaml``: its tasks, of plugins for instance, are held to all contracts too."""
    parser.addoption("--configfile", help="a config, laid over the default, whose tasks are tested too")


def pytest_configure(config: pytest.Config) -> None:
    """Before modules are collected, which lists the tasks."""
    if path := config.getoption("--configfile"):
        os.environ[OWN_CONFIG] = path


@pytest.fixture(scope="session")
def readout() -> ConsecutiveTableReadout:
    """Consecutive Table Readout in the compact style."""
    return small_readout()


@pytest.fixture(scope="session")
def readout_shards(readout: ConsecutiveTableReadout, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Forty puzzles of each level, in two shards."""
    folder = tmp_path_factory.mktemp("puzzles")
    shards: dict[str, list[str]] = {}
    for level in ("SIMPLE", "HARD"):
        for shard in range(2):
            path = folder / f"{level}-{shard}.parquet"
            which = PuzzleSet(0, level, "train")  # type: ignore[arg-type]
            write_shard(path, readout, which, (20 * shard, 20 * shard + 20), progress=lambda done: None)
            shards.setdefault(level, []).append(str(path))
    return shards


@pytest.fixture(scope="session")
def tiny_model(readout: ConsecutiveTableReadout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A very small model with the vocabulary of ``readout``, from random weights."""
    return build_tiny_model(tmp_path_factory.mktemp("tiny"), readout)


@pytest.fixture(scope="session")
def corpus(readout: ConsecutiveTableReadout, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A list of conversations and their images, in the words of ``readout``."""
    return make_corpus(tmp_path_factory.mktemp("corpus"), "zip", words=sorted(readout.vocabulary()))


@pytest.fixture(scope="session")
def conversations(corpus: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mixture of two epochs of ``corpus``, in three shards."""
    folder = tmp_path_factory.mktemp("conversations")
    make_index(str(corpus.annotations), corpus.images, folder / "index", folder / "pack")
    shards = [folder / f"shard-{shard}.parquet" for shard in range(3)]
    for number, shard in enumerate(shards):
        write_corpus_shard(
            shard, index=folder / "index", pack=folder / "pack", shard=number, shards=3, progress=lambda done: None
        )
    write_mixture(folder / "stage-1.parquet", "mine", [str(shard) for shard in shards], epochs=2, seed=0)
    return folder / "stage-1.parquet"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a small study that has run to its end; who changes anything in it puts it back."""
    study = tmp_path_factory.mktemp("study")
    copy_project(study)
    configure(study, {})
    run = snakemake(study, "results/tables/summary.csv")
    assert run.returncode == 0, run.stderr[-4000:]
    return study


@pytest.fixture(scope="module", autouse=True)
def _contained() -> Iterator[None]:
    """What importing VLMEvalKit changes in this process is put back for the tests that follow."""
    gradients, context = torch.is_grad_enabled(), ssl._create_default_https_context
    yield
    torch.set_grad_enabled(gradients)
    ssl._create_default_https_context = context
