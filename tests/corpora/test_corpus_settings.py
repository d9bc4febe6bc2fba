"""Models that are made from corpora: one is shipped, and what cannot be is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from s2h.config import load_config
from s2h.corpora.corpus_settings import CorpusSettings
from s2h.errors import ConfigError
from s2h.models.resources import training_request
from s2h.overlays import merge, read_values
from tests.shipped import ROOT


@pytest.fixture
def values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The shipped config of the paper's base model, where all of its files are there."""
    values = read_values("paper", "base_model")
    for corpus in values["corpora"].values():
        for name in (corpus["annotations"], *corpus["images"]):
            (tmp_path / name.replace("*", "aa")).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name.replace("*", "aa")).touch()
    monkeypatch.chdir(tmp_path)
    return values


def test_the_shipped_config_finds_its_files(values: dict[str, Any]) -> None:
    corpora = load_config(values).corpora
    assert corpora["eagle_1_8m"].image_paths() == ["data/Eagle-1.8M/images.tar.part_aa"]
    assert not any(corpus.problems() for corpus in corpora.values())


MADE = ("models", "eagle-x2-pretrained", "source")
PARTS = [{"level": "SIMPLE", "format": "text", "share": 1}]
MISTAKES: list[tuple[tuple[str, ...], Any, str]] = [
    ((*MADE, "base"), "tinny", "models.eagle-x2-pretrained.source.base: unknown model 'tinny'. Did you mean 'tiny'"),
    ((*MADE, "base"), "./nowhere", "models.eagle-x2-pretrained.source.base: ./nowhere is not a model folder"),
    (
        (*MADE, "base"),
        "eagle-x2-pretrained",
        "models.eagle-x2-pretrained.source.base: eagle-x2-pretrained is of kind pretrained",
    ),
    ((*MADE, "phases"), [], "models.eagle-x2-pretrained.source.phases"),
    ((*MADE, "phases"), [{"corpus": "eagle_1_8n"}], "unknown corpus 'eagle_1_8n'. Did you mean 'eagle_1_8m'?"),
    ((*MADE, "phases"), [{"frozen": ["vision"]}], "give one of parts, corpus and scenes"),
    ((*MADE, "phases"), [{"corpus": "eagle_1_8m", "parts": PARTS}], "give one of parts, corpus and scenes"),
    ((*MADE, "phases"), [{"parts": PARTS}], "phase 1 needs corpus or scenes: base models are pretrained"),
    ((*MADE, "phases"), [{"corpus": "eagle_1_8m", "frozen": ["head"]}], "'projector'"),
    ((*MADE, "phases"), [{"corpus": "eagle_1_8m", "epochs": 1.5}], "a corpus is seen a whole number of times"),
    (
        (*MADE, "phases"),
        [{"corpus": "eagle_1_8m", "order": "sequential"}],
        "order have no effect in a phase without parts",
    ),
    ((*MADE, "phases"), [{"corpus": "eagle_1_8m", "optimizer": "kept"}], "the first phase has none"),
    ((*MADE, "phases"), [{"corpus": "eagle_1_8m", "training": {"learning_rte": 1}}], "Did you mean 'learning_rate'?"),
    (
        (*MADE, "phases"),
        [{"corpus": "eagle_1_8m", "training": {"batch_size": 0}}],
        "training.batch_size: expected 1 or more",
    ),
    (("recipes", "mix", "phases"), [{"corpus": "eagle_1_8m"}], "phase 1 needs parts: recipes train on puzzles"),
    (
        ("corpora", "eagle_1_8m", "annotations"),
        "no.json",
        "corpora.eagle_1_8m: there is no file no.json (the model eagle-x2-pretrained is pretrained on it)",
    ),
    (("corpora", "eagle_1_8m", "images"), ["no.zip"], "there is no file or folder no.zip"),
    (("corpora", "eagle_1_8m", "images"), ["no*.zip"], "no file matches no*.zip"),
    (("corpora", "eagle_1_8m", "shard"), 3, "Did you mean 'shards'?"),
    (("corpora", "eagle_1_8m", "min_kept_fraction"), 95, "corpora.eagle_1_8m.min_kept_fraction"),
    (("parts", "a/b"), {"name": "x/y"}, "becomes a folder"),
    (("parts", "tiny"), {"name": "x/y"}, "parts.tiny: a model has this name too"),
    (("parts", "clip-l-336"), {"name": "./nowhere"}, "./nowhere is not a model folder"),
    (
        ("models", "eagle-x2-start", "source", "clip"),
        "clip-l-366",
        "models.eagle-x2-start.source.clip: unknown part 'clip-l-366'. Did you mean 'clip-l-336'?",
    ),
    (("models", "eagle-x2-start", "source", "sead"), 1, "Did you mean 'seed'?"),
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
    runs = [{"tasks": ["table_readout"], "recipes": ["mix_plus"], "budgets": [600], "models": ["tiny"]}]
    values = merge(values, {"runs": runs, "corpora": {"eagle_1_8m": {"annotations": "no.json"}}})
    values["tasks"]["table_readout"] = read_values(root=ROOT)["tasks"]["table_readout"]
    assert load_config(values).corpora["eagle_1_8m"].problems() == ["there is no file no.json"]


def test_a_model_made_from_the_tiny_one_reads_what_that_reads() -> None:
    made = {
        **read_values(root=ROOT)["models"]["tiny"],
        "source": {"kind": "pretrained", "base": "tiny", "phases": [{"corpus": "mine"}]},
    }
    change = {
        "models": {"made": made},
        "corpora": {"mine": {"annotations": __file__}},
        "runs": [{"tasks": ["table_readout"], "recipes": ["mix"], "budgets": [48], "models": ["made"]}],
        "tasks": {"table_readout": {"style": "paper"}},
    }
    with pytest.raises(ConfigError, match=r"tasks\.table_readout\.style: the model tiny reads the compact style only"):
        load_config(merge(read_values(root=ROOT), change))


def test_patterns_are_filled_in_and_names_stay_in_order(tmp_path: Path) -> None:
    for name in ("b.zip", "a.zip", "c.tar"):
        (tmp_path / name).touch()
    settings = CorpusSettings(annotations="x", images=(str(tmp_path / "c.tar"), str(tmp_path / "*.zip")))
    assert [Path(path).name for path in settings.image_paths()] == ["c.tar", "a.zip", "b.zip"]


def test_a_phase_on_a_corpus_asks_for_the_conversations_of_every_process(values: dict[str, Any]) -> None:
    model = load_config(values).models["eagle-x2-pretrained"]
    assert model.training is not None
    training = model.training.model_copy(update={"num_workers": 4})
    asked = {"examples": 1_800_000, "conversations": 1_800_000}
    needs = training_request(model, training, **asked, attempt=1)
    alone = training_request(model, training, examples=1_800_000, attempt=1)
    assert 140_000 < needs.mem_mb - alone.mem_mb < 150_000
    assert (needs.runtime, needs.gpus) == (alone.runtime, 8)
    assert training_request(model, training, **asked, attempt=2).mem_mb == 2 * needs.mem_mb


def test_the_config_without_corpora_is_as_before() -> None:
    assert load_config(read_values(root=ROOT)).corpora == {}


def test_a_model_is_the_same_as_the_params_of_a_job_hold_it(values: dict[str, Any]) -> None:
    models = load_config(values).models
    for model in models.values():
        assert type(model).model_validate(model.model_dump(mode="json")) == model
