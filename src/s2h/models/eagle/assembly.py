"""The starting point of Eagle-X2: both towers and Llama-3 as they are published, the projector from random weights.

Published are: CLIP under transformers' names, with a text tower that is not needed; ConvNeXt as timm puts it on the
hub; Llama-3 under transformers' names. All becomes bf16, the type of Llama's weights; towers are published in fp32.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig

from s2h.errors import DataError, ModelError
from s2h.files import atomic_folder
from s2h.models.eagle.configuration import CLIP_SIZES, EagleX2Config, EagleX2VisionConfig
from s2h.models.eagle.conversion import (
    LARGEST_FILE,
    KeyReport,
    first_line,
    generation_config,
    match_keys,
    read_config,
    read_tokenizer,
    refuse_existing,
    save_around,
    token_ids,
)
from s2h.models.eagle.processing import make_processor
from s2h.models.eagle.safetensors_files import Stored, read_folder, read_header, read_json, write_folder

_DTYPE = "BF16"
_SEEN = "vision_model."
_UNSEEN = ("text_model.", "text_projection.", "visual_projection.", "logit_scale")
"""How the names in CLIP's files begin, of the image tower and of all that compares images with texts."""
_TORCH_FILE = "pytorch_model.bin"
"""CLIP at 336 pixels is published in this form alone, which torch reads without running any code of the file."""
_LANGUAGE = {"model.": "model.language_model.", "lm_head.": "lm_head."}
_PROJECTOR = "model.multi_modal_projector."


def assemble(
    clip: Path, convnext: Path, language: Path, target: Path, *, seed: int, largest: int = LARGEST_FILE
) -> KeyReport:
    """Write a model folder of ours from its parts, whole or not at all.

    The projector is as torch begins linear layers (uniform, by the number of inputs), as LLaVA's code leaves it.

    Args:
        clip: folder of a CLIP, e.g. of openai/clip-vit-large-patch14-336.
        convnext: folder of timm's ConvNeXt, e.g. of timm/convnext_xxlarge.clip_laion2b_soup_ft_in1k.
        language: folder of a Llama-3, e.g. of meta-llama/Meta-Llama-3-8B-Instruct, with its tokenizer.
        target: folder; it must not be there yet.
        seed: of the projector.
        largest: bytes of a weight file.

    Raises:
        DataError: files are missing or torn, or the target is there.
        ModelError: a part is another kind of model, or its tensors are not those of its config.
    """
    refuse_existing(target)
    tokenizer = read_tokenizer(_checked(language, "model_type", "llama"))
    ids = token_ids(tokenizer)
    config = _config(clip, convnext, language, ids)
    vision: Any = config.vision_config
    processor = make_processor(tokenizer, vision.image_size, config.image_seq_length)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as scratch:
        found = {
            **_clip_tensors(clip, Path(scratch)),
            **{f"model.vision_tower.convnext.{name}": stored for name, stored in read_folder(convnext).items()},
            **{_language_name(name): stored for name, stored in read_folder(language).items()},
            **_projector_tensors(config, seed, Path(scratch)),
        }
        kept = {name: stored for name, stored in found.items() if not name.startswith(_UNSEEN)}
        report, tensors = match_keys(kept, config, read_as=str, write_as=str)
        written = {name: stored.cast(_DTYPE) for name, stored in tensors.items()}
        with atomic_folder(target) as folder:
            write_folder(folder, written, largest=largest)
            save_around(folder, config, processor, generation_config(language, ids))
    return dataclasses.replace(report, notes=tuple(_notes(len(found) - len(kept), written, seed)))


def _notes(unseen: int, written: Mapping[str, Stored], seed: int) -> Iterator[str]:
    yield f"the projector is from random weights, seed {seed}"
    if unseen:
        yield f"{unseen:,} keys of CLIP that no image goes through were left out"
    types = [stored.read_as for stored in written.values() if stored.read_as]
    for dtype in sorted(set(types)):
        yield f"{types.count(dtype):,} keys were rounded from {dtype} to {_DTYPE}"


def _checked(folder: Path, key: str, begins: str) -> Path:
    """A part's folder, where its config says that it is of the right kind."""
    kind = str(read_config(folder).get(key))
    if not kind.startswith(begins):
        raise ModelError(f"{folder / 'config.json'} has {key}: {kind}, but a part of the kind {begins} is needed here.")
    return folder


def _config(clip: Path, convnext: Path, language: Path, ids: Mapping[str, Any]) -> EagleX2Config:
    """The config of the whole, its sizes from the parts' configs."""
    words = {name: value for name, value in ids.items() if name != "image_token_index"}
    try:
        seen = CLIPVisionConfig.from_pretrained(_checked(clip, "model_type", "clip"))
        text = LlamaConfig.from_pretrained(language)
        sizes = {name: getattr(seen, name) for name in (*CLIP_SIZES, "hidden_act", "layer_norm_eps")}
        config = EagleX2Config(
            vision_config=EagleX2VisionConfig(clip_config=sizes, **_convnext_sizes(convnext)),
            text_config=text.to_dict() | words,
            image_token_index=ids["image_token_index"],
            tie_word_embeddings=False,
            dtype="bfloat16",
        )
    except (StrictDataclassError, ValueError, TypeError, OSError) as error:
        raise ModelError(f"the sizes of the parts do not make a model: {first_line(error)}") from None
    if text.tie_word_embeddings:
        raise ModelError(f"{language} ties its output layer to its embeddings (tie_word_embeddings), as no Llama-3-8B.")
    return config


def _convnext_sizes(folder: Path) -> dict[str, Any]:
    """Sizes of a ConvNeXt, from the name of its architecture, which timm knows, and what its config says besides."""
    import timm  # takes seconds

    described = read_json(_checked(folder, "architecture", "convnext") / "config.json")
    given = {"num_classes": described.get("num_classes", 1000), **described.get("model_args", {})}
    try:
        with torch.device("meta"):
            tower: Any = timm.create_model(described["architecture"], **given)
    except RuntimeError as error:
        raise ModelError(f"timm does not know the ConvNeXt in {folder}: {first_line(error)}") from None
    blocks = [stage.blocks for stage in tower.stages]
    return {
        "convnext_depths": [len(each) for each in blocks],
        "convnext_widths": [each[0].conv_dw.out_channels for each in blocks],
        "convnext_head": tower.num_classes,
        "convnext_eps": blocks[0][0].norm.eps,
    }


def _clip_tensors(folder: Path, scratch: Path) -> dict[str, Stored]:
    """CLIP's tensors: those of the image tower under our names."""
    safe = [*folder.glob("*.safetensors"), *folder.glob("*.safetensors.index.json")]
    if safe or not (folder / _TORCH_FILE).is_file():
        found = read_folder(folder)
    else:
        found = read_header(_as_safetensors(folder / _TORCH_FILE, scratch / "clip.safetensors"))
    tower = "model.vision_tower.clip."
    return {
        tower + name.removeprefix(_SEEN) if name.startswith(_SEEN) else name: stored for name, stored in found.items()
    }


def _as_safetensors(file: Path, target: Path) -> Path:
    """Write the tensors of a file of torch's own form, of which no code is run, as safetensors."""
    try:
        found = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises errors of several libraries
        raise DataError(f"{file} cannot be read: {first_line(error)}") from None
    save_file({name: value.clone() for name, value in found.items()}, target)
    return target


def _language_name(name: str) -> str:
    """Our name of a tensor of Llama-3; one that is none of its own stays, and is refused as left over."""
    for begin, ours in _LANGUAGE.items():
        if name.startswith(begin):
            return ours + name.removeprefix(begin)
    return name


def _projector_tensors(config: EagleX2Config, seed: int, scratch: Path) -> dict[str, Stored]:
    """The projector as a file of random weights; fp32 is drawn, whatever it is rounded to."""
    vision, text = config.vision_config, config.text_config
    assert vision is not None
    assert text is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = {
            "linear_1": nn.Linear(vision.hidden_size, text.hidden_size),
            "linear_2": nn.Linear(text.hidden_size, text.hidden_size),
        }
    tensors = {
        f"{_PROJECTOR}{layer}.{name}": value for layer in layers for name, value in layers[layer].state_dict().items()
    }
    file = scratch / "projector.safetensors"
    save_file(tensors, file)
    return read_header(file)
