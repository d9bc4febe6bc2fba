"""Released Eagle-X2 checkpoints become models of ours and come back, key for key, or are refused with a reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForImageTextToText
from typer.testing import CliRunner

from s2h.cli.app import app
from s2h.errors import DataError, ModelError, S2HError
from s2h.models.eagle import EagleX2Config, EagleX2ForConditionalGeneration, register
from s2h.models.eagle.conversion import convert, release
from s2h.models.loading import load_model, load_processor, parameter_count
from s2h.models.settings import ScoringSettings
from s2h.scoring.decoding import Prompt, load_decoder
from s2h.supervision.examples import Example
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.training.collate import Collator
from tests.models import eagle

WORDS = {"from", "a", "to", "b", "7"}
INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("released") / "Eagle-X2-small"
    eagle.build_released(folder, WORDS)
    return folder


@pytest.fixture(scope="module")
def converted(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted") / "model"
    convert(released, folder, largest=80_000)
    return folder


@pytest.fixture
def broken(released: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(released, tmp_path / "broken"))


def tensors(folder: Path) -> dict[str, Tensor]:
    return {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}


def same_bytes(one: Tensor, other: Tensor) -> bool:
    alike = one.dtype == other.dtype and one.shape == other.shape
    return alike and torch.equal(one.contiguous().view(torch.uint8), other.contiguous().view(torch.uint8))


def rewrite(file: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the tensors of a file, which has them all."""
    found = load_file(file)
    change(found)
    save_file(found, file, metadata={"format": "pt"})


def refusal(source: Path, target: Path, kind: type[S2HError] = ModelError) -> str:
    with pytest.raises(kind) as raised:
        convert(source, target)
    assert not target.exists()
    assert not [path for path in target.parent.iterdir() if path.name.startswith(".")]
    return str(raised.value)


# There and back


def test_a_released_checkpoint_loads_with_every_key(released: Path, converted: Path) -> None:
    register()
    model, info = AutoModelForImageTextToText.from_pretrained(converted, output_loading_info=True)
    assert isinstance(model, EagleX2ForConditionalGeneration)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    theirs, tower = tensors(released), "model.vision_tower.vision_towers.{}.vision_tower."
    for ours, name in {
        "model.vision_tower.convnext.stages.2.blocks.1.gamma": tower.format(1) + "stages.2.blocks.1.weight",
        "model.vision_tower.convnext.stages.2.blocks.1.norm.weight": tower.format(1) + "stages.2.blocks.1.norm.weight",
        "model.vision_tower.convnext.stages.1.downsample.1.weight": tower.format(1) + "stages.1.downsample.1.weight",
        "model.vision_tower.clip.embeddings.class_embedding": (
            tower.format(0) + "vision_model.embeddings.class_embedding"
        ),
        "model.multi_modal_projector.linear_2.bias": "model.mm_projector.2.bias",
        "model.language_model.norm.weight": "model.norm.weight",
        "lm_head.weight": "lm_head.weight",
    }.items():
        assert torch.equal(model.state_dict()[ours], theirs[name].to(model.dtype)), ours


def test_there_and_back_all_bytes_are_the_same(released: Path, converted: Path, tmp_path: Path) -> None:
    release(converted, tmp_path / "back", largest=150_000)
    before, after = tensors(released), tensors(tmp_path / "back")
    assert before.keys() == after.keys()
    assert all(same_bytes(value, after[name]) for name, value in before.items())
    assert {value.dtype for value in after.values()} == {torch.bfloat16, torch.float32}
    first, second = (json.loads((folder / "config.json").read_text()) for folder in (released, tmp_path / "back"))
    assert {name: second.get(name) for name in first} == first
    again = tmp_path / "again"
    convert(tmp_path / "back", again)
    assert (again / "config.json").read_text() == (converted / "config.json").read_text()
    assert tensors(again).keys() == tensors(converted).keys()


def test_weights_come_in_shards_with_an_index(released: Path, converted: Path) -> None:
    assert len([*released.glob("*.safetensors")]) > 2
    index = json.loads((converted / INDEX).read_text())
    sizes = {file.name: file.stat().st_size for file in converted.glob("*.safetensors")}
    assert len(sizes) > 3
    assert max(sizes.values()) < 80_000 + 15_000  # the header comes on top
    assert set(index["weight_map"].values()) == set(sizes)
    found = {}
    for name in sizes:
        with safe_open(converted / name, framework="pt") as file:
            assert file.metadata() == {"format": "pt"}
            found.update(dict.fromkeys(file.keys(), name))
    assert found == index["weight_map"]
    assert index["metadata"]["total_size"] == sum(value.nbytes for value in tensors(converted).values())


def test_a_converted_model_reads_pictures_and_stops_at_both_ends(converted: Path) -> None:
    processor = load_processor(converted)
    model = load_model(converted, dtype=torch.float32, attention="eager")
    assert model.generation_config.eos_token_id == [1, 6]
    assert model.generation_config.temperature == 0.6  # what the release says of sampling is kept
    assert processor.tokenizer.eos_token == "<|eot_id|>"
    assert processor.tokenizer.pad_token == "<|reserved_special_token_0|>"
    image = eagle.picture_file()
    decoder = load_decoder(converted, ScoringSettings(max_new_tokens=2))
    assert decoder([Prompt("from a to b", image)])[0].tokens
    batch = Collator(ExampleEncoder(processor))([Example(0, "text", "from a", "7", None)])
    assert float(model(**batch).loss.detach()) > 0


def test_a_trained_model_is_released_too(tmp_path: Path) -> None:
    eagle.build(tmp_path / "ours", WORDS)  # as save_pretrained writes it
    release(tmp_path / "ours", tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "again")
    before, after = tensors(tmp_path / "ours"), tensors(tmp_path / "again")
    assert before.keys() == after.keys()
    assert all(same_bytes(value, after[name]) for name, value in before.items())
    words = json.loads((tmp_path / "theirs/tokenizer_config.json").read_text())
    assert words["tokenizer_class"] == "PreTrainedTokenizerFast"  # a newer name is unknown to the released code


def test_tables_that_are_no_weights_are_left_out_and_counted(broken: Path, tmp_path: Path) -> None:
    name = "model.vision_tower.vision_towers.0.vision_tower.vision_model.embeddings.position_ids"
    eagle.merge(broken)
    rewrite(broken / "model.safetensors", lambda found: found.update({name: torch.arange(10)}))
    account = convert(broken, tmp_path / "out")
    assert account.recomputed == 1
    assert "1 tables that are no weights were left out" in account.lines()[-1]


# The account


def test_the_command_line_accounts_for_every_key(released: Path, converted: Path, tmp_path: Path) -> None:
    for words in (["convert", str(released)], ["release", str(converted)]):
        done = CliRunner().invoke(app, ["eagle", *words, str(tmp_path / words[0]), "--largest", "0.0001"])
        lines = done.stdout.splitlines()
        rows = {line.split()[0]: [int(word.replace(",", "")) for word in line.split()[1:4:2]] for line in lines[:-1]}
        assert list(rows) == ["CLIP", "ConvNeXt", "projector", "Llama-3", "all"]
        everything = tensors(released).values()
        assert rows["all"] == [len(everything), sum(value.numel() for value in everything)]
        assert [sum(row[i] for name, row in rows.items() if name != "all") for i in range(2)] == rows["all"]
        assert rows["projector"][0] == 4
        assert lines[-1] == "no key is missing, none is left over"


# Refusals


def test_keys_that_do_not_fit_are_listed(broken: Path, tmp_path: Path) -> None:
    eagle.merge(broken)

    def spoil(found: dict[str, Tensor]) -> None:
        found["model.norm.weight"] = torch.zeros(7)
        del found["model.mm_projector.0.bias"]
        for number in range(20):
            found[f"model.strange.{number}"] = torch.zeros(1)

    rewrite(broken / "model.safetensors", spoil)
    said = refusal(broken, tmp_path / "out")
    assert "1 missing:\n  model.mm_projector.0.bias" in said
    assert "20 left over:\n  model.strange.0" in said
    assert "and 12 more" in said
    assert said.count("model.strange.") == 8
    assert "1 of another shape:\n  model.norm.weight [7], not [32]" in said


def test_the_full_size_is_not_guessed_from_the_tensors(broken: Path, tmp_path: Path) -> None:
    """A checkpoint for the release's pictures has the release's towers, and cannot lack a block unseen."""
    edit(broken / "config.json", mm_vision_tower="clip-448;convnext-1024")
    said = refusal(broken, tmp_path / "out")
    assert "missing:\n  model.vision_tower.vision_towers.0.vision_tower.vision_model.encoder.layers.2" in said
    assert "of another shape" in said


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "qwen2_vl"}, "of type qwen2_vl; a released Eagle-X2 is of eagle_llama or llava_llama"),
        ({"model_type": "eagle_x2"}, "nothing to convert"),
        ({"mm_vision_tower": "clip-448;convnext-1024;sam-1024"}, "only clip-448;convnext-1024 is known"),
        ({"mm_projector_type": "linear"}, "mm_projector_type: 'linear', but only 'mlp2x_gelu' is known"),
        ({"image_aspect_ratio": "anyres"}, "image_aspect_ratio: 'anyres', but only 'pad' is known"),
        ({"hidden_size": "wide"}, "do not make a model"),
    ],
)
def test_another_kind_of_model_is_refused(changes: dict[str, Any], said: str, broken: Path, tmp_path: Path) -> None:
    edit(broken / "config.json", **changes)
    assert said in refusal(broken, tmp_path / "out")


def test_files_that_are_missing_or_torn_are_named(broken: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shard = sorted(broken.glob("*.safetensors"))[0]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-100])
    assert f"{shard} has" in refusal(broken, out, DataError)
    shard.write_bytes(b"\xff" * 100)
    assert "is torn or no safetensors file" in refusal(broken, out, DataError)
    shard.unlink()
    assert f"lacks {shard.name}" in refusal(broken, out, DataError)
    shard.write_bytes(whole)
    (broken / "tokenizer.json").unlink()
    assert "has no tokenizer that can be read" in refusal(broken, out, DataError)
    (broken / "config.json").unlink()
    assert "config.json cannot be read" in refusal(broken, out, DataError)


def test_a_folder_with_bin_files_alone_is_told_so(broken: Path, tmp_path: Path) -> None:
    for file in [*broken.glob("*.safetensors"), broken / INDEX]:
        file.unlink()
    assert "holds no weights" in refusal(broken, tmp_path / "out", DataError)
    (broken / "pytorch_model-00001-of-00002.bin").write_bytes(b"")
    assert "as .bin files alone, which are not read" in refusal(broken, tmp_path / "out", DataError)


def test_nothing_that_is_there_is_overwritten(released: Path) -> None:
    before = sorted(path.name for path in released.iterdir())
    with pytest.raises(DataError, match="already exists"):
        convert(released, released)
    assert sorted(path.name for path in released.iterdir()) == before


def test_only_models_of_ours_are_released(released: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"only one of type {EagleX2Config.model_type}"):
        release(released, tmp_path / "out")


def test_who_loads_a_released_checkpoint_is_told_to_convert_it(released: Path) -> None:
    for load in (load_processor, parameter_count, partial(load_model, dtype=torch.float32, attention="eager")):
        with pytest.raises(ModelError, match=f"s2h eagle convert {released} TARGET"):
            load(released)
