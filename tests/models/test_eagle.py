"""Eagle-X2: the released model's size and quirks, and that it is trained and decoded like any other."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForImageTextToText, AutoProcessor

from s2h.errors import ModelError
from s2h.models.eagle import EagleX2Config, EagleX2ForConditionalGeneration, EagleX2VisionConfig, register
from s2h.models.eagle.processing import SYSTEM, make_processor
from s2h.models.loading import load_model, load_processor, parameter_count
from s2h.models.parts import PARTS, freeze, linear_layers, part_of
from s2h.models.settings import ScoringSettings
from s2h.overlays import read_config
from s2h.scoring.decoding import Prompt, load_decoder
from s2h.supervision.examples import Example, Mixture
from s2h.supervision.formats import WORDS
from s2h.supervision.mixture import write_mixture
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.tokenisation.lengths import count_tokens
from s2h.training.collate import IGNORED, Collator
from s2h.training.inspection import inspect
from tests import forked
from tests.models import eagle
from tests.shipped import ROOT
from tests.training.test_trainer import ENVIRONMENT, trained_in

SEEN = {"from", "a", "to", "b", "7", "=", "n"}


@pytest.fixture(scope="module")
def model_folder(readout: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("eagle")
    eagle.build(folder, readout.vocabulary() | WORDS | SEEN)
    return folder


@pytest.fixture(scope="module")
def mixture_file(readout_shards: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mixture") / "phase-1.parquet"
    shards: Any = {"consecutive_table_readout": readout_shards}
    write_mixture(path, read_config().recipes["mix"].phases[0], budget=48, shards=shards, key=(0, "test"))
    return path


@pytest.fixture(scope="module")
def mixture(mixture_file: Path) -> Mixture:
    return Mixture.read(mixture_file)


def load(folder: Path, **options: Any) -> Any:
    options = {"dtype": torch.float32, "attention": "eager"} | options
    return load_model(folder, **options)


def picture(width: int = 80, height: int = 60, *, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def batch_of(folder: Path, *examples: Example) -> dict[str, Tensor]:
    return Collator(ExampleEncoder(load_processor(folder)))(examples)


def shown(position: int = 0) -> Example:
    return Example(position, "image", "from a to b", "7 = 7", picture(seed=position))


def told(position: int = 1) -> Example:
    return Example(position, "text", "from a to b 7", "7", None)


# The size


def test_at_full_size_it_has_the_parameters_of_the_released_model() -> None:
    register()
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(EagleX2Config())
    counts = dict.fromkeys(("clip", "convnext", "projector", "language"), 0)
    for name, parameter in model.named_parameters():
        counts[next((part for part in counts if part in name), "language")] += parameter.numel()
    # CLIP-L/14-336 with its class token and last norm, which are not used: 24 layers of 12,596,224, the patches' and
    # places' embeddings 602,112 + 577 * 1,024, class token 1,024, two norms of 2,048.
    assert counts["clip"] == 24 * 12_596_224 + 602_112 + 577 * 1024 + 1024 + 2 * 2048 == 303_507_456
    # ConvNeXt-XXL as timm counts it, with the norm and the 1,000 classes of its head, which are not used.
    assert counts["convnext"] == 846_471_016
    # Linear 4,096 to 4,096 twice, with bias.
    assert counts["projector"] == 2 * (4096 * 4096 + 4096) == 33_562_624
    # Llama-3-8B: 32 layers of 218,112,000, a norm, embeddings and output layer apart, 128,256 words each.
    assert counts["language"] == 32 * 218_112_000 + 4096 + 2 * 128_256 * 4096 == 8_030_261_248
    assert sum(counts.values()) == 9_213_802_344  # 9.21 billion


def test_an_image_has_1024_tokens_of_4096_channels_at_full_size() -> None:
    config = EagleX2Config()
    assert config.image_seq_length == 1024
    assert config.vision_config.hidden_size == 1024 + 3072
    with torch.device("meta"):
        tower = EagleX2ForConditionalGeneration(config).model.vision_tower
        assert tower(torch.empty(1, 3, 1024, 1024)).last_hidden_state.shape == (1, 1024, 4096)


@pytest.mark.parametrize("wrong", [{"convnext_depths": [1, 2, 3]}, {"image_size": 100}])
def test_sizes_that_do_not_go_together_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"four stages|multiple of 32"):
        EagleX2VisionConfig(**wrong)


def test_loading_makes_the_auto_classes_know_it(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(CONFIG_MAPPING._extra_content, "eagle_x2", raising=False)
    register.cache_clear()
    assert "eagle_x2" not in CONFIG_MAPPING
    load_processor(model_folder)
    assert "eagle_x2" in CONFIG_MAPPING


def test_the_config_comes_back_as_it_was(tmp_path: Path) -> None:
    register()
    for config in (EagleX2Config(), eagle.small_config(eagle.llama_tokenizer(SEEN, adds_bos=False))):
        config.save_pretrained(tmp_path)
        again = AutoConfig.from_pretrained(tmp_path)
        assert isinstance(again, EagleX2Config)
        assert again.to_json_string() == config.to_json_string()


# The quirks


def test_pictures_are_padded_with_clip_s_mean_colour_and_normalised_once(model_folder: Path) -> None:
    image = picture(80, 60)
    found = load_processor(model_folder).image_processor(image, return_tensors="pt")["pixel_values"][0]
    square = Image.new("RGB", (80, 80), (122, 116, 104))
    square.paste(image, (0, 10))
    pixels = np.asarray(square.resize((128, 128), Image.Resampling.BICUBIC)).astype(np.float32) / 255
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    expected = ((pixels - mean) / std).transpose(2, 0, 1)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_towers_see_one_picture_and_clip_s_features_are_brought_to_convnext_s_grid(model_folder: Path) -> None:
    tower = load(model_folder).model.vision_tower.eval()
    pixels = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        found = tower(pixels).last_hidden_state
        small = functional.interpolate(pixels, size=(42, 42), mode="bilinear", align_corners=True)
        hidden = tower.clip.pre_layrnorm(tower.clip.embeddings(small)[:, 1:])
        for layer in tower.clip.encoder.layers:
            hidden = layer(hidden, None)
        grid = hidden.reshape(2, 3, 3, 64).permute(0, 3, 1, 2)
        clip = functional.interpolate(grid, size=(4, 4), mode="bilinear", align_corners=True)
        convnext = tower.convnext.stages(tower.convnext.stem(pixels))
    expected = torch.cat([clip, convnext], dim=1).flatten(2).transpose(1, 2)
    assert found.shape == (2, 16, 64 + 24)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_chat_format_is_that_of_the_released_models(model_folder: Path) -> None:
    processor = load_processor(model_folder)
    turn = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "from a to b"}]}]
    head, end = "<|start_header_id|>{}<|end_header_id|>", "<|eot_id|>"
    user = f"{head.format('user')}<|reserved_special_token_1|>\nfrom a to b{end}"
    for system in (SYSTEM, "a b"):
        own = [] if system == SYSTEM else [{"role": "system", "content": system}]
        text = processor.apply_chat_template([*own, *turn], add_generation_prompt=True, tokenize=False)
        assert text == f"<|begin_of_text|>{head.format('system')}{system}{end}{user}{head.format('assistant')}"
    answered = [*turn, {"role": "assistant", "content": [{"type": "text", "text": "7"}]}]
    text = processor.apply_chat_template(answered, tokenize=False)
    assert text.endswith(f"{user}{head.format('assistant')}7{end}")


def test_a_tokenizer_of_another_kind_is_refused() -> None:
    tokenizer = eagle.llama_tokenizer(SEEN, adds_bos=False, special=eagle.SPECIAL[:3])
    with pytest.raises(ModelError, match=r"no <\|eot_id\|>, <\|reserved_special_token_1\|>"):
        make_processor(tokenizer, 128, 16)


# Prompts and labels


@pytest.mark.parametrize("adds_bos", [False, True])
def test_the_response_is_learned_and_there_is_one_bos(adds_bos: bool, tmp_path: Path) -> None:
    eagle.build(tmp_path, SEEN, adds_bos=adds_bos)
    processor = load_processor(tmp_path)
    tokenizer = processor.tokenizer
    assert (tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id) == adds_bos
    batch = batch_of(tmp_path, shown(), told())
    for row, response in enumerate(["7 = 7", "7"]):
        labels, ids = batch["labels"][row], batch["input_ids"][row][batch["attention_mask"][row].bool()]
        learned = labels[labels != IGNORED]
        assert tokenizer.decode(learned).split() == [*response.split(), "<|eot_id|>"]
        assert ids[-len(learned) :].tolist() == learned.tolist()
        words = tokenizer.convert_ids_to_tokens(ids.tolist())
        assert words.count("<|begin_of_text|>") == 1
        assert words[0] == "<|begin_of_text|>"
        assert words[-len(learned) - 3 : -len(learned)] == ["<|start_header_id|>", "assistant", "<|end_header_id|>"]
        assert words.count("<|reserved_special_token_1|>") == (eagle.IMAGE_TOKENS if row == 0 else 0)
        assert "<unk>" not in words


@pytest.mark.parametrize("adds_bos", [False, True])
def test_lengths_are_those_of_the_batches(adds_bos: bool, mixture: Mixture, readout: Any, tmp_path: Path) -> None:
    eagle.build(tmp_path, readout.vocabulary() | WORDS, adds_bos=adds_bos)
    collator = Collator(ExampleEncoder(load_processor(tmp_path)))
    settings = read_config().models["tiny"].training
    assert settings is not None
    inspect(mixture, collator.encoder, settings.model_copy(update={"max_length": 512}))
    lengths = count_tokens(mixture, collator.encoder)
    for i in range(6):
        batch = collator([mixture[i]])
        assert lengths.tokens[i] == batch["input_ids"].shape[1]
        assert lengths.targets[i] == (batch["labels"] != IGNORED).sum()


# What a model of transformers can


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_image_and_text_examples_mix_in_one_forward_pass(model_folder: Path, attention: str) -> None:
    model = load(model_folder, attention=attention).eval()
    assert model.model.vision_tower.clip.config._attn_implementation == attention
    examples = [shown(), told(), shown(2)]
    together = batch_of(model_folder, *examples)
    logits = model(**together).logits
    for row, example in enumerate(examples):
        alone = batch_of(model_folder, example)
        length = alone["input_ids"].shape[1]
        torch.testing.assert_close(logits[row, :length], model(**alone).logits[0], atol=1e-4, rtol=1e-4)


def test_the_image_is_seen(model_folder: Path) -> None:
    model = load(model_folder).eval()
    first, other = (batch_of(model_folder, Example(0, "image", "a", "b", picture(seed=seed))) for seed in (0, 1))
    assert not torch.allclose(model(**first).logits[:, -1], model(**other).logits[:, -1], atol=1e-6)


def test_a_picture_without_its_tokens_is_refused(model_folder: Path) -> None:
    batch = batch_of(model_folder, told()) | {"pixel_values": torch.zeros(1, 3, 128, 128)}
    with pytest.raises(ValueError, match="Image features and image tokens do not match"):
        load(model_folder)(**batch)


def test_gradient_checkpointing_changes_no_gradient(model_folder: Path) -> None:
    batch, gradients = batch_of(model_folder, shown(), told()), []
    for checkpointed in (False, True):
        model = load(model_folder).train()
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            assert model.model.vision_tower.gradient_checkpointing
        model(**batch).loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-6, rtol=1e-5)


def test_it_computes_in_bf16(model_folder: Path) -> None:
    model = load(model_folder, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    batch = batch_of(model_folder, shown(), told())
    loss = model(**batch).loss
    loss.backward()
    torch.testing.assert_close(loss.float(), load(model_folder)(**batch).loss, atol=0.1, rtol=0.05)


def test_saved_and_loaded_it_is_the_same(model_folder: Path, tmp_path: Path) -> None:
    model = load(model_folder)
    model.save_pretrained(tmp_path)
    load_processor(model_folder).save_pretrained(tmp_path)
    again, info = AutoModelForImageTextToText.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert isinstance(again, EagleX2ForConditionalGeneration)
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    first, second = AutoProcessor.from_pretrained(model_folder), AutoProcessor.from_pretrained(tmp_path)
    assert json.loads(first.image_processor.to_json_string()) == json.loads(second.image_processor.to_json_string())
    assert again.generation_config.eos_token_id == model.generation_config.eos_token_id


def test_parts_are_told_by_their_names(model_folder: Path) -> None:
    model = load(model_folder)
    assert {part_of(name) for name, _ in model.named_parameters()} == {*PARTS}
    assert parameter_count(model_folder) == sum(parameter.numel() for parameter in model.parameters())
    counts = freeze(model, ["vision"])
    assert counts["vision"][0] > counts["vision"][1] == 0
    assert counts["projector"] == (88 * 32 + 32 + 32 * 32 + 32,) * 2
    layers = linear_layers(model, [])
    assert {"vision", "projector", "language"} == {part_of(name) for name in layers}
    assert "lm_head" not in layers


def test_low_rank_adapters_are_trained_and_merged(model_folder: Path) -> None:
    from peft import LoraConfig, get_peft_model

    model = load(model_folder)
    layers = linear_layers(model, [])
    adapted: Any = get_peft_model(model, LoraConfig(r=2, lora_alpha=4, target_modules=layers))
    adapted.enable_input_require_grads()
    adapted.gradient_checkpointing_enable({"use_reentrant": False})
    optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=1e-2)
    batch = batch_of(model_folder, shown(), told())
    losses = []
    for _ in range(4):
        loss = adapted.train()(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    expected = adapted.eval()(**batch).logits
    merged = adapted.merge_and_unload()
    torch.testing.assert_close(merged(**batch).logits, expected, atol=1e-4, rtol=1e-4)
    assert not [name for name, _ in merged.named_parameters() if "lora" in name]


# Decoding


@pytest.mark.parametrize("shows", [True, False])
def test_batches_padded_on_the_left_are_decoded_like_one_by_one(model_folder: Path, shows: bool) -> None:
    prompts = []
    for number, text in enumerate(["from a to b", "from a to b 7 = 7 from n", "a"]):
        image = io.BytesIO()
        picture(seed=number).save(image, "PNG")
        prompts.append(Prompt(text, image.getvalue() if shows else None))
    decoder = load_decoder(model_folder, ScoringSettings(max_new_tokens=6, batch_size=3))
    together = [prediction.text for prediction in decoder(prompts)]
    assert together == [decoder([prompt])[0].text for prompt in prompts]
    assert len(set(together)) == 3


@pytest.mark.parametrize("end", ["<|end_of_text|>", "<|eot_id|>"])
def test_a_prediction_stops_at_either_end(model_folder: Path, end: str) -> None:
    model, processor = load(model_folder).eval(), load_processor(model_folder)
    wanted = processor.tokenizer.convert_tokens_to_ids(end)
    with torch.no_grad():
        model.lm_head.weight.zero_()
        inputs = batch_of(model_folder, told())
        inputs.pop("labels")
        hidden = model.model(**inputs).last_hidden_state[0, -1]
        model.lm_head.weight[wanted] = hidden  # the end is the most likely word
        whole = model.generate(**inputs, max_new_tokens=5, do_sample=False)
    assert whole.shape[1] == inputs["input_ids"].shape[1] + 1
    assert int(whole[0, -1]) == wanted


# Training


def test_the_project_s_trainer_lowers_its_loss(model_folder: Path, mixture_file: Path, tmp_path: Path) -> None:
    changes = {"max_length": 512, "random_positions": 0, "warmup_ratio": 0, "gradient_checkpointing": True}
    trained_in(tmp_path, model_folder, mixture_file, processes=1, learning_rate=3e-3, **changes)
    steps = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert steps[-1]["loss"] < 0.9 * steps[0]["loss"]
    assert parameter_count(tmp_path / "model") == parameter_count(model_folder)
    before, after = load(model_folder).state_dict(), load(tmp_path / "model").state_dict()
    moved = {part_of(name) for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == {*PARTS}


def test_processes_with_and_without_images_do_not_wait_for_ever_under_zero_3(model_folder: Path) -> None:
    together = forked.ranks(2, ENVIRONMENT)
    done = forked.python("tests.models.eagle_ranks", str(model_folder), folder=ROOT, environments=together)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert sorted(re.findall(r"(\d) finished", done.stdout)) == ["0", "1"]  # lines of two processes may run together
