"""A small Eagle-X2 from random weights: the real classes, and tokenizers with Llama-3's special tokens made here."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import GenerationConfig, LlamaConfig, PreTrainedTokenizerFast

from s2h.models.eagle import EagleX2Config, EagleX2ForConditionalGeneration, register
from s2h.models.eagle.processing import SYSTEM, make_processor

SPECIAL = (
    "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
    "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
)  # fmt: skip
IMAGE_SIZE, IMAGE_TOKENS = 128, 16


def llama_tokenizer(
    words: Iterable[str], *, adds_bos: bool, special: tuple[str, ...] = SPECIAL
) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words with Llama-3's special tokens; some of Llama-3's add a BOS, some do not."""
    vocabulary = [*special, *sorted({*words, *SYSTEM.split(), "system", "user", "assistant", "<unk>"})]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|begin_of_text|>",
        eos_token="<|end_of_text|>",
        unk_token="<unk>",
        additional_special_tokens=list(special[2:]),
    )
    if adds_bos:
        bos = ("<|begin_of_text|>", 0)
        backend = tokenizer.backend_tokenizer
        backend.post_processor = TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[bos])
    return tokenizer


def small_config(tokenizer: PreTrainedTokenizerFast) -> EagleX2Config:
    """CLIP's 3 x 3 patches are brought to ConvNeXt's 4 x 4 places."""
    ids = {word: tokenizer.convert_tokens_to_ids(word) for word in SPECIAL}
    return EagleX2Config(
        vision_config={
            "clip_config": {
                "hidden_size": 64,
                "intermediate_size": 96,
                "num_hidden_layers": 2,
                "num_attention_heads": 1,
                "image_size": 42,
                "patch_size": 14,
            },
            "convnext_depths": [1, 1, 2, 1],
            "convnext_widths": [8, 12, 16, 24],
            "convnext_head": 10,
            "image_size": IMAGE_SIZE,
        },
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0},
            "bos_token_id": ids["<|begin_of_text|>"],
            "eos_token_id": [ids["<|end_of_text|>"], ids["<|eot_id|>"]],
            "pad_token_id": ids["<|reserved_special_token_0|>"],
        },
        image_token_index=ids["<|reserved_special_token_1|>"],
    )


def small_model(tokenizer: PreTrainedTokenizerFast) -> EagleX2ForConditionalGeneration:
    """Random weights, large enough for predictions to depend on prompts and pictures."""
    register()
    torch.manual_seed(0)
    model = EagleX2ForConditionalGeneration(small_config(tokenizer))
    for name, parameter in model.named_parameters():
        if name.endswith("gamma"):
            torch.nn.init.uniform_(parameter, 0.5, 1.0)
        elif parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    ends = model.config.text_config.eos_token_id
    model.generation_config = GenerationConfig(
        bos_token_id=0, eos_token_id=ends, pad_token_id=tokenizer.convert_tokens_to_ids(SPECIAL[2])
    )
    return model


def build(folder: Path, words: Iterable[str], *, adds_bos: bool = False) -> None:
    """Write the model and its processor; an image becomes 4 x 4 tokens."""
    tokenizer = llama_tokenizer(words, adds_bos=adds_bos)
    small_model(tokenizer).save_pretrained(folder)
    make_processor(tokenizer, IMAGE_SIZE, IMAGE_TOKENS).save_pretrained(folder)


def build_released(folder: Path, words: Iterable[str]) -> None:
    """Write what the paper's authors would have released of the small model: LLaVA's names and config, in shards.

    Names are written here once more, by hand, as the released files have them.
    """
    folder.mkdir(parents=True)
    tokenizer = llama_tokenizer(words, adds_bos=True)
    model = small_model(tokenizer)
    tensors = {_released_name(name): value.to(torch.bfloat16) for name, value in model.state_dict().items()}
    tensors["model.norm.weight"] = tensors["model.norm.weight"].float()  # types are kept, whatever they are
    places = {}
    for number, names in enumerate(_thirds(sorted(tensors)), start=1):
        file = f"model-{number:05}-of-00003.safetensors"
        save_file({name: tensors[name].contiguous() for name in names}, folder / file, metadata={"format": "pt"})
        places.update(dict.fromkeys(names, file))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    (folder / "config.json").write_text(json.dumps(_released_config(model.config.text_config)))
    tokenizer.save_pretrained(folder)
    GenerationConfig(bos_token_id=0, eos_token_id=1, do_sample=True, temperature=0.6, top_p=0.9).save_pretrained(folder)


def merge(folder: Path) -> None:
    """Put the shards of a folder into one file."""
    files = sorted(folder.glob("model-*.safetensors"))
    tensors = {name: value for file in files for name, value in load_file(file).items()}
    for file in [*files, folder / "model.safetensors.index.json"]:
        file.unlink()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def picture_file() -> bytes:
    """A small picture, as a PNG file."""
    file = io.BytesIO()
    Image.new("RGB", (80, 60), "red").save(file, "PNG")
    return file.getvalue()


def _released_name(ours: str) -> str:
    tower = "model.vision_tower.vision_towers.{}.vision_tower."
    for begin, theirs in {
        "model.vision_tower.clip.": tower.format(0) + "vision_model.",
        "model.vision_tower.convnext.": tower.format(1),
        "model.multi_modal_projector.linear_1.": "model.mm_projector.0.",
        "model.multi_modal_projector.linear_2.": "model.mm_projector.2.",
        "model.language_model.": "model.",
    }.items():
        if ours.startswith(begin):
            return theirs + ours.removeprefix(begin).replace("gamma", "weight")
    return ours


def _thirds(names: list[str]) -> list[list[str]]:
    return [names[start::3] for start in range(3)]


def _released_config(text: LlamaConfig) -> dict[str, object]:
    """LLaVA's config, as its training writes it; the towers' sizes are not in it."""
    return {
        "architectures": ["EagleLlamaForCausalLM"],
        "model_type": "eagle_llama",
        "vocab_size": text.vocab_size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "rope_theta": 500_000.0,
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_mm_proj": True,
        "mm_hidden_size": 88,
        "mm_projector_type": "mlp2x_gelu",
        "mm_patch_merge_type": "flat",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": f"clip-448;convnext-{IMAGE_SIZE}",
        "image_aspect_ratio": "pad",
    }


def build_parts(folder: Path, words: Iterable[str]) -> tuple[Path, Path, Path]:
    """Write what CLIP, ConvNeXt and Llama-3 in the small model's sizes would be on the hub, from random weights."""
    import timm
    from transformers import CLIPConfig, CLIPModel, LlamaForCausalLM

    tokenizer = llama_tokenizer(words, adds_bos=True)
    config = small_config(tokenizer)
    torch.manual_seed(1)
    seen = config.vision_config.clip_config.to_dict()
    read = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    clip = CLIPModel(CLIPConfig(vision_config=seen, text_config={**read, "vocab_size": 9}, projection_dim=8))
    clip.save_pretrained(folder / "clip")
    file = folder / "clip/model.safetensors"
    positions = torch.arange(10)[None]  # a table that older versions of transformers stored
    save_file({**load_file(file), "vision_model.embeddings.position_ids": positions}, file, metadata={"format": "pt"})
    sizes = {"depths": [1, 1, 2, 1], "dims": [8, 12, 16, 24]}
    convnext = timm.create_model("convnext_xxlarge", num_classes=10, **sizes)
    (folder / "convnext").mkdir()
    save_file(convnext.state_dict(), folder / "convnext/model.safetensors")
    described = {"architecture": "convnext_xxlarge", "num_classes": 10, "num_features": 24, "model_args": sizes}
    (folder / "convnext/config.json").write_text(json.dumps(described))
    language = LlamaForCausalLM(config.text_config).to(torch.bfloat16)
    language.save_pretrained(folder / "language", max_shard_size="20KB")
    tokenizer.save_pretrained(folder / "language")
    return folder / "clip", folder / "convnext", folder / "language"
