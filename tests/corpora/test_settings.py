"""Models that are made from corpora: the page's config is one, and what cannot be is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from s2h.config import Config, load_config
from s2h.corpora.settings import CorpusSettings
from s2h.errors import ConfigError
from s2h.models.resources import staging_needs, training_needs
from tests.docs.commands import own_config
from tests.shipped import config_values, merge


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """The config that docs/base-model.md has its reader write."""
    text = own_config("docs/base-model.md")
    assert text is not None
    values: dict[str, Any] = yaml.safe_load(text)
    return values


@pytest.fixture
def values(written: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The same over the paper's, where all of its files are there."""
    for corpus in written["corpora"].values():
        for name in (corpus["annotations"], *corpus["images"]):
            (tmp_path / name.replace("*", "aa")).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name.replace("*", "aa")).touch()
    (tmp_path / "models/start").mkdir(parents=True)
    (tmp_path / "models/start/config.json").touch()
    paper = config_values("paper")
    monkeypatch.chdir(tmp_path)
    return merge(paper, written)


def test_the_config_of_the_page_has_the_papers_settings(values: dict[str, Any]) -> None:
    config = load_config(values)
    source = config.models["eagle-made"].source
    assert source.kind == "made"
    first, second = (config.stage_training("eagle-made", stage) for stage in (0, 1))
    assert (source.stages[0].frozen, source.stages[1].frozen) == (("vision", "language"), ())
    assert (first.learning_rate, first.batch_size, first.max_length) == (1e-3, 256, 2048)
    assert (second.learning_rate, second.batch_size, second.max_length) == (2e-5, 128, 2048)
    for training in (first, second):
        assert (training.schedule, training.warmup, training.weight_decay) == ("cosine", 0.03, 0)
        assert training.too_long == "cut"
    run = config.all_runs()[0]
    assert (config.training(run, 0).too_long, config.training(run, 0).max_length) == ("refuse", 3072)
    assert config.corpora["eagle"].image_paths() == ["data/Eagle-1.8M/images.tar.part_aa"]


MADE = ("models", "eagle-made", "source")
MISTAKES: list[tuple[tuple[str, ...], Any, str]] = [
    ((*MADE, "base"), "tinny", "models.eagle-made.source.base: unknown model 'tinny'. Did you mean 'tiny'?"),
    ((*MADE, "base"), "./nowhere", "models.eagle-made.source.base: ./nowhere is not a model folder"),
    ((*MADE, "base"), "eagle-made", "models.eagle-made.source.base is eagle-made, of kind made"),
    ((*MADE, "stages"), [], "models.eagle-made.source.stages"),
    ((*MADE, "stages"), [{"corpus": "egle"}], "unknown corpus 'egle'. Did you mean 'eagle'?"),
    ((*MADE, "stages"), [{"corpus": "eagle", "trained": []}], "models.eagle-made.source.stages"),
    ((*MADE, "stages"), [{"corpus": "eagle", "trained": ["head"]}], "'projector'"),
    ((*MADE, "stages"), [{"corpus": "eagle", "training": {"learning_rte": 1}}], "Did you mean 'learning_rate'?"),
    ((*MADE, "stages"), [{"corpus": "eagle", "training": {"batch_size": 0}}], "stage 1 changes the training"),
    (
        ("corpora", "eagle", "annotations"),
        "no.json",
        "corpora.eagle, from which the model eagle-made is made: there is no",
    ),
    (("corpora", "eagle", "images"), ["no.zip"], "there is no file or folder no.zip"),
    (("corpora", "eagle", "images"), ["no*.zip"], "no file matches no*.zip"),
    (("corpora", "eagle", "shard"), 3, "Did you mean 'shards'?"),
    (("corpora", "eagle", "kept_at_least"), 95, "corpora.eagle.kept_at_least"),
    (("corpora", "a/b"), {"annotations": "x"}, "becomes a folder"),
]


@pytest.mark.parametrize(("place", "value", "complaint"), MISTAKES)
def test_a_mistake_is_named_in_one_line(
    values: dict[str, Any], place: tuple[str, ...], value: object, complaint: str
) -> None:
    change: Any = value
    for key in reversed(place):
        change = {key: change}
    with pytest.raises(ConfigError) as caught:
        load_config(merge(values, change))
    assert complaint in str(caught.value)
    assert all(line.startswith("config") for line in str(caught.value).splitlines())


def test_files_of_a_corpus_that_no_run_needs_may_be_elsewhere(values: dict[str, Any]) -> None:
    runs = [{**values["runs"][0], "models": ["tiny"]}]
    values = merge(values, {"runs": runs, "corpora": {"eagle": {"annotations": "no.json"}}})
    values["tasks"]["table_readout"] = config_values()["tasks"]["table_readout"]
    assert load_config(values).corpora["eagle"].problems() == ["there is no file no.json"]


def test_a_model_made_from_the_tiny_one_reads_what_that_reads() -> None:
    made = {
        **config_values()["models"]["tiny"],
        "source": {"kind": "made", "base": "tiny", "stages": [{"corpus": "mine"}]},
    }
    change = {
        "models": {"made": made},
        "corpora": {"mine": {"annotations": __file__}},
        "runs": [{"tasks": ["table_readout"], "recipes": ["mix"], "budgets": [48], "models": ["made"]}],
        "tasks": {"table_readout": {"style": "paper"}},
    }
    with pytest.raises(ConfigError, match="the model made reads the compact style only"):
        load_config(merge(config_values(), change))


def test_patterns_are_filled_in_and_names_stay_in_order(tmp_path: Path) -> None:
    for name in ("b.zip", "a.zip", "c.tar"):
        (tmp_path / name).touch()
    settings = CorpusSettings(annotations="x", images=(str(tmp_path / "c.tar"), str(tmp_path / "*.zip")))
    assert [Path(path).name for path in settings.image_paths()] == ["c.tar", "a.zip", "b.zip"]


def test_a_stage_asks_for_the_conversations_of_every_process(values: dict[str, Any]) -> None:
    model = load_config(values).models["eagle-made"]
    asked = {"entries": 1_800_000, "epochs": 1, "loaders": 4, "attempt": 1}
    needs, alone = staging_needs(model, **asked), training_needs(model, examples=1_800_000, attempt=1)
    assert 140_000 < needs.mem_mb - alone.mem_mb < 150_000
    assert (needs.runtime, needs.gpus) == (alone.runtime, 8)
    assert staging_needs(model, **{**asked, "attempt": 2}).mem_mb == 2 * needs.mem_mb


def test_the_config_without_corpora_is_as_before() -> None:
    assert Config.model_validate(config_values()).corpora == {}
