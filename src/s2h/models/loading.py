"""Models and processors from a folder, with errors that say what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.integrations import is_deepspeed_zero3_enabled
from transformers.utils import is_flash_attn_2_available

from s2h.errors import ModelError
from s2h.models import eagle
from s2h.models.adapters import merge_adapters
from s2h.models.attention import attend_in_windows
from s2h.models.weights import ADAPTERS, check_weights, checked_base, missing_files


def load_processor(folder: str | Path, **options: Any) -> Any:
    """The processor of a model folder; raises ModelError when it has none that shows images.

    Args:
        folder: what ``save_pretrained`` wrote.
        options: keyword arguments for loading the processor, e.g. ``max_pixels``.
    """
    eagle.register()
    try:
        processor = AutoProcessor.from_pretrained(folder, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"no processor can be loaded from {folder}: {_advice(folder)}{error}") from None
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
        raise ModelError(
            f"{_advice(folder)}{folder} holds a {type(processor).__name__}, which handles text or images alone: a "
            "processor with a tokenizer and an image processor is needed; save it next to the model with "
            "save_pretrained."
        )
    return processor


def load_model(folder: str | Path, *, dtype: torch.dtype, attention: str) -> Any:
    """The model of a folder; where adapters alone were kept of it, they are put onto their base.

    Args:
        folder: what ``save_pretrained`` wrote.
        dtype: of the weights.
        attention: implementation of attention: "eager", "sdpa" or "flash_attention_2". With "sdpa" a vision tower that
            cuts pictures into windows computes all of them in one call (``s2h.models.attention``).

    Raises:
        ModelError: it cannot be loaded, or its weights were removed.
    """
    eagle.register()
    if missing_files(folder):
        return _made_again(folder, dtype=dtype, attention=attention)
    try:
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, attn_implementation=attention)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise _not_loadable(folder, error) from None
    _keep_the_names(model)
    if attention == "sdpa":
        attend_in_windows(model)
    return model


def _keep_the_names(model: Any) -> None:
    """Have the model saved under the names under which its weights were found.

    transformers renames weights of older checkpoints as it loads them, and back as it saves them. With ZeRO-3 it would
    undo every renaming that it knows of this architecture, also those that it did not do (seen in 5.23: names with
    ``model.model``, which it reads itself, and others do not).
    """
    if is_deepspeed_zero3_enabled():
        renamings = getattr(model, "_weight_conversions", None) or []
        model._weight_conversions = [renaming for renaming in renamings if renaming.was_used()]


def _made_again(folder: str | Path, *, dtype: torch.dtype, attention: str) -> Any:
    """The model of a folder that has adapters alone, with the weights that its training wrote."""
    check_weights(folder)
    if is_deepspeed_zero3_enabled():
        raise ModelError(
            f"the weights of {folder} are made again from its adapters, and ZeRO-3 holds none whole: use a ZeRO-2 file "
            "(training.deepspeed)."
        )
    trained_in = AutoConfig.from_pretrained(folder).dtype
    model = load_model(checked_base(folder), dtype=trained_in, attention=attention)
    merge_adapters(model, Path(folder) / ADAPTERS)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    return model


def parameter_count(folder: str | Path) -> int:
    """Number of parameters of a model folder, from its config alone: no weights are read."""
    return sum(parameter.numel() for parameter in weightless_model(folder).parameters())


def weightless_model(folder: str | Path, **options: Any) -> Any:
    """The model of a folder on the meta device, where tensors have a shape and no values: no weights are read.

    Args:
        folder: what ``save_pretrained`` wrote.
        options: keyword arguments for building the model beside its config, e.g. ``attn_implementation``.
    """
    eagle.register()
    try:
        config = AutoConfig.from_pretrained(folder)
        with torch.device("meta"):
            return AutoModelForImageTextToText.from_config(config, **options)
    except (OSError, ValueError, KeyError) as error:
        raise _not_loadable(folder, error) from None


def _not_loadable(folder: str | Path, error: Exception) -> ModelError:
    return ModelError(f"no image-text-to-text model can be loaded from {folder}: {_advice(folder)}{error}")


def _advice(folder: str | Path) -> str:
    """Advice on a folder that transformers cannot read but that can be converted; empty otherwise."""
    try:
        model_type = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return ""
    if model_type not in eagle.RELEASED_TYPES:
        return ""
    return (
        "this is a released Eagle-X2, which is converted first (in the config: source.kind: released_eagle; by hand: "
        f"s2h eagle convert {folder} TARGET): "
    )


_CAUSAL = ("eagle_x2", "internvl", "llava", "llava_next", "mistral3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl")
"""Types of models known to let each token see only what stands before it. Others, such as PaliGemma, do not."""


def needs_mask(folder: str | Path) -> bool:
    """Whether a model needs an attention mask where padding stands on the right, as padding may be seen."""
    eagle.register()
    return AutoConfig.from_pretrained(folder).model_type not in _CAUSAL


def fastest_attention(device: str) -> str:
    """The fastest implementation of attention on ``cuda`` or ``cpu``.

    On a CPU that is the plain product, for models as small as the tiny one; elsewhere FlashAttention 2 where it is
    installed, or torch's scaled dot product.
    """
    if device == "cpu":
        return "eager"
    return "flash_attention_2" if is_flash_attn_2_available() else "sdpa"
