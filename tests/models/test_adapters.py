"""Adapters kept beside the weights that they make: the weights that are made from them again are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open

from s2h.errors import ModelError
from s2h.models.adapters import save_adapters
from s2h.models.loading import load_model, load_processor
from s2h.models.parts import linear_layers
from s2h.models.settings import ScoringSettings
from s2h.models.sources import HuggingFaceSource
from s2h.models.weights import ADAPTERS, describe_base, remove_weights
from s2h.scoring.decoding import Prompt, load_decoder
from s2h.scoring.predictions import model_digest
from s2h.supervision.formats import WORDS
from tests.models import qwen


def train(base: Path, folder: Path, dtype: torch.dtype) -> Path:
    """A model folder as a training with ``lora`` leaves it; its adapters are random."""
    model = load_model(base, dtype=dtype, attention="eager")
    adapted: Any = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=linear_layers(model, ["vision"])))
    torch.manual_seed(len(folder.name))
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data.normal_(std=0.1)
    adapted.to(dtype)  # as DeepSpeed does
    folder.mkdir()
    save_adapters(adapted, folder).save_pretrained(folder)
    load_processor(base).save_pretrained(folder)
    (folder / "manifest.json").write_text(json.dumps({"adapters": describe_base(base, folder)}))
    return folder


def reduce(*folders: Path) -> None:
    place = folders[0].parent
    remove_weights(folders, "adapters", checkpoints=place / "c", output=place / "removed.json", results=place)
    assert not [file for folder in folders for file in folder.glob("*.safetensors")]


@pytest.fixture
def base(readout: Any, tmp_path: Path) -> Path:
    qwen.build(tmp_path / "base", readout.vocabulary() | WORDS)
    return tmp_path / "base"


@pytest.mark.parametrize("trained_in", [torch.float32, torch.bfloat16])
def test_weights_are_made_again_to_the_last_bit_through_two_phases(
    trained_in: torch.dtype, base: Path, tmp_path: Path
) -> None:
    first = train(base, tmp_path / "phase-one", trained_in)
    second = train(first, tmp_path / "phase-second", trained_in)
    before = {name: load_model(second, dtype=name, attention="eager") for name in (torch.float32, torch.bfloat16)}
    reduce(first, second)
    for dtype, model in before.items():
        again = load_model(second, dtype=dtype, attention="eager")
        assert again.state_dict().keys() == model.state_dict().keys()
        for name, value in model.state_dict().items():
            assert again.state_dict()[name].dtype == value.dtype
            assert again.state_dict()[name].equal(value), name
        for one, other in zip(again.buffers(), model.buffers(), strict=True):
            assert one.equal(other)
            assert one.dtype == other.dtype
    assert any(not p.equal(q) for p, q in zip(model.parameters(), _plain(base).parameters(), strict=True))


def _plain(folder: Path) -> Any:
    return load_model(folder, dtype=torch.bfloat16, attention="eager")


def test_the_files_are_those_of_peft_and_of_what_it_makes(base: Path, tmp_path: Path) -> None:
    folder = train(base, tmp_path / "model", torch.float32)
    assert sorted(path.name for path in (folder / ADAPTERS).iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    ours = load_model(folder, dtype=torch.float32, attention="eager").state_dict()
    plain = load_model(base, dtype=torch.float32, attention="eager")
    theirs = PeftModel.from_pretrained(plain, folder / ADAPTERS).merge_and_unload().state_dict()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value)
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert not [name for name in weights.keys() if "lora" in name]  # noqa: SIM118


def test_predictions_are_the_same_and_known_for_the_same_models(base: Path, tmp_path: Path) -> None:
    folder = train(base, tmp_path / "model", torch.bfloat16)
    settings, prompts = ScoringSettings(max_new_tokens=8), [Prompt(f"from na to n{x}", None) for x in "bcde"]
    source = HuggingFaceSource(name=str(base))
    before = [prediction.text for prediction in load_decoder(folder, settings)(prompts)]
    key = model_digest(folder, source, settings)
    reduce(folder)
    assert [prediction.text for prediction in load_decoder(folder, settings)(prompts)] == before
    assert model_digest(folder, source, settings) == key  # so that predictions so far are kept


def test_a_base_that_has_changed_is_never_taken(base: Path, tmp_path: Path) -> None:
    folder = train(base, tmp_path / "model", torch.float32)
    reduce(folder)
    qwen.build(base, ["other", "words"])
    with pytest.raises(ModelError, match="is not what the adapters of"):
        load_model(folder, dtype=torch.float32, attention="eager")


def test_what_is_not_made_again_is_said_to_be_removed(base: Path, tmp_path: Path) -> None:
    first = train(base, tmp_path / "phase-1", torch.float32)
    second = train(first, tmp_path / "phase-2", torch.float32)
    remove_weights(
        [first, second], "last_phase", checkpoints=tmp_path / "c", output=tmp_path / "removed.json", results=tmp_path
    )
    with pytest.raises(ModelError, match=r"the weights of .*phase-1 were removed once its run was scored"):
        load_model(first, dtype=torch.float32, attention="eager")
    load_model(second, dtype=torch.float32, attention="eager")
