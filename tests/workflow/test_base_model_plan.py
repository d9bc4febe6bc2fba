"""The paper's base model from its data, as it is shipped (config/base_model.yaml): the plan, and the start for real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from s2h.config import Config, load_config
from s2h.models.loading import parameter_count
from s2h.models.sources import ComposedSource, PretrainedSource
from s2h.overlays import read_values
from tests.models import eagle
from tests.shipped import copy_project
from tests.workflow.study import run

COMMAND = "snakemake -n --configfile config/paper.yaml config/base_model.yaml --config results=results/base"
"""As the reader types it."""
FILES = (
    "LLaVA-CC3M-Pretrain-595K/chat.json",
    "LLaVA-CC3M-Pretrain-595K/images.zip",
    "Eagle-1.8M/eagle-1-sft-1_8M.json",
    "Eagle-1.8M/images.tar.part_aa",
    "Eagle-1.8M/images.tar.part_ab",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project beside the corpora's files, which are empty; jobs are listed with their resources."""
    project = tmp_path_factory.mktemp("project")
    copy_project(project)
    for name in FILES:
        file = project / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for rules in ("training", "corpora", "models"):  # a job that has a message shows nothing else
        file = project / f"rules/{rules}.smk"
        file.write_text(re.sub(r"^    message:\n        .+\n", "", file.read_text(), flags=re.MULTILINE))
    return project


@pytest.fixture(scope="module")
def printed(project: Path) -> str:
    done = run(project, COMMAND)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def config(project: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(project)
    return load_config(read_values("paper", "base_model"))


def resources(printed: str, rule: str) -> list[dict[str, str]]:
    """Those of every job of a rule."""
    blocks = re.findall(rf"^(?:local)?rule {rule}:\n((?:    .+\n)+)", printed, re.MULTILINE)
    lines = [re.findall(r"^    (?:resources|threads): (.+)$", block, re.MULTILINE) for block in blocks]
    return [dict(pair.split("=") for pair in line[-1].split(", ")) for line in lines]


def test_the_plan_leads_from_the_published_parts_to_scores(printed: str) -> None:
    table = printed.rpartition("Job stats:\n")[2].partition("\n\n")[0]
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    wanted = {
        "fetch_model": 3,
        "compose_model": 1,
        "index_corpus": 2,
        "make_corpus_shard": 60 + 180,
        "report_corpus": 2,
        "mix_corpus": 2,
        "pretrain_base_model": 2,
        "train_phase": 1 + 3 * 2,  # Mix has one phase, Align-Mix+ two
        "decode_predictions": 4,
        "score_model": 4,
    }
    assert {name: jobs[name] for name in wanted} == wanted
    assert "build_base_model" not in jobs


def test_every_training_has_the_papers_eight_gpus(printed: str) -> None:
    for rule, jobs in (("pretrain_base_model", 2), ("train_phase", 7)):
        asked = resources(printed, rule)
        assert [job["gpus"] for job in asked] == ["8"] * jobs
        assert {job["nodes"] for job in asked} == {"1"}


def test_parts_are_fetched_under_their_names_before_going_where_there_is_no_network(project: Path) -> None:
    planned = run(project, COMMAND.replace("snakemake -n", "snakemake models -n"))
    found = re.findall(r"^    output: results/base/hub/(\S+)$", planned.stdout, re.MULTILINE)
    assert sorted(found) == ["clip-l-336", "convnext-xxl", "llama-3-8b-instruct"]


def test_the_phases_have_the_papers_settings(config: Config) -> None:
    source = config.models["eagle-x2-pretrained"].source
    assert isinstance(source, PretrainedSource)
    assert isinstance(source.root(config.catalog), ComposedSource)
    assert [(phase.corpus, phase.frozen, phase.epochs) for phase in source.phases] == [
        ("llava_cc3m", ("vision", "language"), 1),
        ("eagle_1_8m", (), 1),
    ]
    first, second = (config.base_model_training("eagle-x2-pretrained", phase) for phase in (1, 2))
    assert (first.learning_rate, first.batch_size, first.max_length) == (1e-3, 256, 2048)
    assert (second.learning_rate, second.batch_size, second.max_length) == (2e-5, 128, 2048)
    for training in (first, second):
        assert (training.lr_scheduler_type, training.warmup_ratio, training.weight_decay) == ("cosine", 0.03, 0)
        assert (training.on_overlength, training.precision) == ("truncate", "bf16")


def test_the_recipes_have_the_papers_settings_and_budgets(config: Config) -> None:
    runs = config.all_runs()
    assert {(each.task, each.recipe, each.budget) for each in runs} == {
        ("consecutive_table_readout", "mix", 160_000),
        ("table_readout", "align_mix_plus", 240_000),
        ("grid_navigation", "align_mix_plus", 120_000),
        ("visual_analogy", "align_mix_plus", 120_000),
    }
    for each in runs:
        for phase in range(1, 1 + len(config.recipes[each.recipe].phases)):
            training = config.training(each, phase)
            assert (training.learning_rate, training.batch_size, training.max_length) == (2e-5, 128, 3072)
            assert (training.lr_scheduler_type, training.warmup_ratio, training.weight_decay) == ("cosine", 0.03, 0)
            assert (training.precision, training.gradient_checkpointing) == ("bf16", "auto")
            assert (training.deepspeed, training.on_overlength) == ("config/deepspeed/zero2.json", "error")


def test_the_start_is_composed_from_folders_too(project: Path) -> None:
    """By the rule itself, from small parts in the layouts of the hub; what is a folder of the user's is not fetched."""
    folders = eagle.build_parts(project / "parts", {"a", "b"})
    names = ("clip-l-336", "convnext-xxl", "llama-3-8b-instruct")
    parts = {name: {"name": f"./{folder.relative_to(project)}"} for name, folder in zip(names, folders, strict=True)}
    (project / "config/folders.yaml").write_text(yaml.safe_dump({"parts": parts}))
    start = "results/base/base_models/any/eagle-x2-start/composed"
    overlays = COMMAND.replace("snakemake -n", f"snakemake {start}").replace(
        "base_model.yaml", "base_model.yaml config/folders.yaml"
    )
    done = run(project, overlays)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "fetch_model" not in done.stdout
    assert parameter_count(project / start) > 10_000
    log = (project / "results/base/logs/compose_model/eagle-x2-start.log").read_text()
    assert "no key is missing, none is left over" in log
    assert "Nothing to be done" in (again := run(project, overlays)).stdout + again.stderr
