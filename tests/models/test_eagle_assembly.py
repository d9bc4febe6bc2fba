"""Both towers and Llama-3, as they are published, become a model of ours with a projector from random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForImageTextToText
from typer.testing import CliRunner

from s2h.cli.app import app
from s2h.errors import DataError, ModelError
from s2h.models.eagle import EagleX2ForConditionalGeneration, register, safetensors_files
from s2h.models.eagle.assembly import assemble
from s2h.models.loading import load_processor
from tests.models import eagle

Parts = tuple[Path, Path, Path]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return eagle.build_parts(tmp_path_factory.mktemp("parts"), {"from", "a", "to", "b"})


@pytest.fixture(scope="module")
def assembled(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assembled") / "model"
    assemble(*parts, folder, seed=3, largest=100_000)
    return folder


@pytest.fixture
def broken(parts: Parts, tmp_path: Path) -> Parts:
    clip, convnext, language = (Path(shutil.copytree(part, tmp_path / part.name)) for part in parts)
    return clip, convnext, language


def tensors(folder: Path) -> dict[str, Tensor]:
    return {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}


def test_it_loads_with_every_key_and_the_sizes_of_its_parts(assembled: Path) -> None:
    register()
    model, info = AutoModelForImageTextToText.from_pretrained(assembled, output_loading_info=True)
    assert isinstance(model, EagleX2ForConditionalGeneration)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.dtype == torch.bfloat16
    vision, text = model.config.vision_config, model.config.text_config
    assert (vision.image_size, vision.convnext_eps, vision.convnext_head) == (1024, 1e-5, 10)
    assert (vision.clip_config.image_size, vision.clip_config.hidden_act) == (42, "quick_gelu")
    assert (text.rope_parameters["rope_theta"], text.rms_norm_eps) == (500_000.0, 1e-5)
    assert model.generation_config.eos_token_id == [1, 6]
    processor = load_processor(assembled)
    assert processor.image_seq_length == model.config.image_seq_length == 1024
    assert processor.tokenizer.eos_token == "<|eot_id|>"


def test_towers_and_language_are_those_of_the_parts_rounded_to_bf16(parts: Parts, assembled: Path) -> None:
    found = tensors(assembled)
    assert len([*assembled.glob("*.safetensors")]) > 1
    assert {value.dtype for value in found.values()} == {torch.bfloat16}
    clip, convnext, language = map(tensors, parts)
    named = {
        **{f"model.vision_tower.convnext.{name}": value for name, value in convnext.items()},
        **{name.replace("model.", "model.language_model.", 1): value for name, value in language.items()},
        **{
            name.replace("vision_model.", "model.vision_tower.clip."): value
            for name, value in clip.items()
            if name.startswith("vision_model.") and "position_ids" not in name
        },
    }
    projector = {name for name in found if "projector" in name}
    assert found.keys() == named.keys() | projector
    assert all(torch.equal(found[name], value.to(torch.bfloat16)) for name, value in named.items())
    assert clip["vision_model.post_layernorm.weight"].dtype == torch.float32
    assert len(projector) == 4


def test_the_projector_is_drawn_as_torch_draws_linear_layers(assembled: Path) -> None:
    found = tensors(assembled)
    for layer, inputs in (("linear_1", 88), ("linear_2", 32)):
        weight = found[f"model.multi_modal_projector.{layer}.weight"].float()
        assert weight.shape == (32, inputs)
        assert 0.9 < float(weight.abs().max()) * inputs**0.5 <= 1.01
        assert abs(float(weight.std()) * (3 * inputs) ** 0.5 - 1) < 0.1


def test_the_seed_decides_every_byte(parts: Parts, assembled: Path, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    for name, seed in (("same", 3), ("other", 4)):
        assemble(*parts, tmp_path / name, seed=seed, largest=100_000)
    assert torch.equal(torch.get_rng_state(), state)  # nobody else's numbers are drawn
    for file in assembled.iterdir():
        assert (tmp_path / "same" / file.name).read_bytes() == file.read_bytes(), file.name
    one, other = tensors(assembled), tensors(tmp_path / "other")
    assert {name for name in one if not torch.equal(one[name], other[name])} == {
        name for name in one if "projector" in name
    }


def test_pieces_may_end_within_a_number(
    parts: Parts, assembled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safetensors_files, "_PIECE", 1001)
    assemble(*parts, tmp_path / "out", seed=3, largest=100_000)
    for file in assembled.glob("*.safetensors"):
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()


def test_clip_is_read_in_torchs_own_form_too(broken: Parts, assembled: Path, tmp_path: Path) -> None:
    """As openai/clip-vit-large-patch14-336 is published."""
    file = broken[0] / "model.safetensors"
    torch.save(load_file(file), broken[0] / "pytorch_model.bin")
    file.unlink()
    assemble(*broken, tmp_path / "out", seed=3, largest=100_000)
    one, other = tensors(assembled), tensors(tmp_path / "out")
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    (broken[0] / "pytorch_model.bin").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"pytorch_model\.bin cannot be read"):
        assemble(*broken, tmp_path / "again", seed=3)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ((2, 1, 2), "has model_type: llama, but a part of the kind clip is needed here"),
        ((0, 0, 2), "has architecture: None, but a part of the kind convnext is needed here"),
        ((0, 1, 0), "has model_type: clip, but a part of the kind llama is needed here"),
    ],
)
def test_another_part_is_refused_in_a_line(
    order: tuple[int, int, int], said: str, parts: Parts, tmp_path: Path
) -> None:
    clip, convnext, language = (parts[number] for number in order)
    with pytest.raises(ModelError) as raised:
        assemble(clip, convnext, language, tmp_path / "out", seed=0)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not [*tmp_path.iterdir()]


def test_tensors_that_do_not_fit_are_listed_and_nothing_is_left(broken: Parts, tmp_path: Path) -> None:
    file = broken[1] / "model.safetensors"
    found = load_file(file)
    del found["stages.2.blocks.1.gamma"]
    save_file({**found, "strange": torch.zeros(1)}, file)
    with pytest.raises(ModelError) as raised:
        assemble(*broken, tmp_path / "out/model", seed=0)
    assert "1 missing:\n  model.vision_tower.convnext.stages.2.blocks.1.gamma" in str(raised.value)
    assert "1 left over:\n  model.vision_tower.convnext.strange" in str(raised.value)
    assert not [*(tmp_path / "out").iterdir()]


def test_sizes_that_make_no_model_are_refused(broken: Parts, tmp_path: Path) -> None:
    file = broken[1] / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "architecture": "convnext_huge"}))
    with pytest.raises(ModelError, match="timm does not know the ConvNeXt"):
        assemble(*broken, tmp_path / "out", seed=0)


def test_the_command_line_accounts_for_every_key(parts: Parts, tmp_path: Path) -> None:
    words = ["eagle", "assemble", *map(str, parts), str(tmp_path / "out"), "--seed", "3"]
    said = CliRunner().invoke(app, words).stdout
    assert "projector      4 keys           3,904 parameters" in said
    assert "none is left over; 1 tables that are no weights were left out" in said
    assert "the projector is from random weights, seed 3" in said
    assert "rounded from F32 to BF16" in said
    assert "already exists" in str(CliRunner().invoke(app, words).exception)
