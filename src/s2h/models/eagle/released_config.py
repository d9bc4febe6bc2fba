"""The released checkpoints' ``config.json``, which is that of LLaVA's code, read and written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from huggingface_hub.errors import StrictDataclassError

from s2h.errors import ModelError
from s2h.models.eagle.configuration import RELEASED_TYPES, EagleX2Config, EagleX2VisionConfig
from s2h.models.eagle.names import CLIP, CONVNEXT

_TOWERS = re.compile(r"clip-448;convnext-(\d+)")
"""QUIRK: the tower is called clip-448 and is fed 336 pixels. ConvNeXt's number is the side of the pictures."""

_FIXED = {
    "mm_projector_type": "mlp2x_gelu",
    "mm_use_im_start_end": False,
    "mm_use_im_patch_token": False,
    "mm_patch_merge_type": "flat",
    "image_aspect_ratio": "pad",
    "tie_word_embeddings": False,
    "rope_scaling": None,
}
"""Options of the released code that our model supports with one value only."""

_REQUIRED = ("mm_projector_type", "image_aspect_ratio")  # the released code's own defaults are others
_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
    "rms_norm_eps",
)
_CLIP_HEAD = 64  # width of an attention head in every CLIP (Radford et al., 2021, table 20)


def from_released(
    found: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], ids: Mapping[str, Any]
) -> EagleX2Config:
    """Our config for a released one.

    The released one does not say how large the towers are, since its code knows one size. That size is taken where the
    pictures have the release's 1024 pixels; towers for other pictures are measured by their tensors.

    Args:
        found: the released ``config.json``.
        shapes: of the released tensors, by name.
        ids: ``bos_token_id``, ``eos_token_id``, ``pad_token_id`` and ``image_token_index``, which the tokenizer knows.

    Raises:
        ModelError: it describes another kind of model.
    """
    _check_kind(found)
    text = {name: found[name] for name in _SIZES}
    rope = {"rope_type": "default", "rope_theta": float(found.get("rope_theta", 10_000.0))}
    words = {name: value for name, value in ids.items() if name != "image_token_index"}
    try:
        return EagleX2Config(
            vision_config=_vision(_image_size(found), shapes),
            text_config=text | words | {"rope_parameters": rope, "tie_word_embeddings": False},
            image_token_index=ids["image_token_index"],
            dtype=found.get("torch_dtype") or found.get("dtype"),
        )
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise ModelError(f"the sizes in config.json do not make a model: {_last_line(error)}") from None


def to_released(config: EagleX2Config) -> dict[str, Any]:
    """The released code's ``config.json`` for a config of ours.

    QUIRK: ``mm_vision_select_layer`` is what the release has, and without effect there. The released code silently cuts
    inputs off at ``tokenizer_model_max_length``: it is set to all that the positions allow.
    """
    text: Any = config.text_config
    vision: Any = config.vision_config
    dtype = str(config.dtype or "bfloat16").removeprefix("torch.")
    return {
        "architectures": ["EagleLlamaForCausalLM"],
        "model_type": RELEASED_TYPES[0],
        **{name: getattr(text, name) for name in _SIZES},
        "hidden_act": "silu",
        "attention_bias": False,
        "rope_theta": text.rope_parameters["rope_theta"],
        "bos_token_id": text.bos_token_id,
        "eos_token_id": text.eos_token_id,
        "pad_token_id": text.pad_token_id,
        "torch_dtype": dtype,
        "use_cache": True,
        **_FIXED,
        "mm_vision_tower": f"clip-448;convnext-{vision.image_size}",
        "mm_hidden_size": vision.hidden_size,
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch",
        "use_mm_proj": True,
        "tokenizer_padding_side": "right",
        "tokenizer_model_max_length": text.max_position_embeddings,
    }


def _check_kind(found: Mapping[str, Any]) -> None:
    kind = found.get("model_type")
    if kind == EagleX2Config.model_type:
        raise ModelError("config.json is of a model of ours already (eagle_x2): there is nothing to convert.")
    if kind not in RELEASED_TYPES:
        raise ModelError(
            f"config.json is of a model of type {kind}; a released Eagle-X2 is of {' or '.join(RELEASED_TYPES)}."
        )
    for name, value in _FIXED.items():
        if found.get(name, None if name in _REQUIRED else value) != value:
            raise ModelError(
                f"config.json has {name}: {found.get(name)!r}, but only {value!r} is known here, as in "
                "Eagle-X2-Llama3-8B."
            )
    lacks = [name for name in _SIZES if name not in found]
    if lacks:
        raise ModelError(f"config.json does not say {', '.join(lacks)}.")


def _image_size(found: Mapping[str, Any]) -> int:
    towers = str(found.get("mm_vision_tower"))
    named = _TOWERS.fullmatch(towers)
    if named is None:
        raise ModelError(
            f"config.json has mm_vision_tower: {towers}, but only clip-448;convnext-1024 is known here, the two towers "
            "of Eagle-X2."
        )
    return int(named[1])


def _vision(image_size: int, shapes: Mapping[str, tuple[int, ...]]) -> EagleX2VisionConfig:
    # The head is measured at any size: nothing depends on it, and the release does not say what it has.
    head = shapes.get(f"{CONVNEXT}head.fc.bias", (0,))[0]
    if image_size == EagleX2VisionConfig.image_size:
        return EagleX2VisionConfig(convnext_head=head)
    try:
        sizes = _measured(shapes)
    except (KeyError, ValueError, IndexError):
        raise ModelError(
            "the tensors of the vision towers are not those of a CLIP and a ConvNeXt: see that all weight files are "
            "there."
        ) from None
    return EagleX2VisionConfig(**sizes, convnext_head=head, image_size=image_size)


def _measured(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Sizes of both towers, from the shapes of their tensors."""
    width, _, _, patch = shapes[f"{CLIP}embeddings.patch_embedding.weight"]
    places = shapes[f"{CLIP}embeddings.position_embedding.weight"][0] - 1  # one is that of the class token
    return {
        "clip_config": {
            "hidden_size": width,
            "intermediate_size": shapes[f"{CLIP}encoder.layers.0.mlp.fc1.weight"][0],
            "num_hidden_layers": _count(shapes, f"{CLIP}encoder.layers."),
            "num_attention_heads": max(width // _CLIP_HEAD, 1),
            "image_size": math.isqrt(places) * patch,
            "patch_size": patch,
        },
        "convnext_depths": [_count(shapes, f"{CONVNEXT}stages.{stage}.blocks.") for stage in range(4)],
        "convnext_widths": [shapes[f"{CONVNEXT}stages.{stage}.blocks.0.conv_dw.weight"][0] for stage in range(4)],
    }


def _count(shapes: Mapping[str, tuple[int, ...]], beginning: str) -> int:
    return 1 + max(int(name.removeprefix(beginning).split(".")[0]) for name in shapes if name.startswith(beginning))


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()
