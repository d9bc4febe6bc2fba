"""The released Eagle-X2 checkpoints under the names of our model, and our models under those of the release.

Tensors stay as they are, byte for byte: only names and the files beside the weights change.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import GenerationConfig, PreTrainedTokenizerFast

from s2h.errors import DataError, ModelError
from s2h.files import atomic_folder
from s2h.models.eagle import register
from s2h.models.eagle.configuration import EagleX2Config
from s2h.models.eagle.modelling import EagleX2ForConditionalGeneration
from s2h.models.eagle.names import is_recomputed, part_name, released_name
from s2h.models.eagle.processing import (
    BOS,
    IMAGE,
    PAD,
    TEXT_END,
    TURN_END,
    EagleX2Processor,
    check_words,
    make_processor,
)
from s2h.models.eagle.released_config import from_released, to_released
from s2h.models.eagle.safetensors_files import Stored, read_folder, read_json, write_folder

LARGEST_FILE = 5_000_000_000
"""Bytes of a weight file."""

_LISTED = 8  # names of each kind that a refusal lists


@dataclasses.dataclass(frozen=True, slots=True)
class KeyReport:
    """A report on how a checkpoint's keys were converted.

    Attributes:
        parts: for each part of the model how many keys it has, and how many parameters.
        recomputed: keys of tables that are no weights and were left out.
        notes: further remarks on them.
    """

    parts: dict[str, tuple[int, int]]
    recomputed: int
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """A table as lines of text."""
        rows = [(part, *counts) for part, counts in self.parts.items()]
        rows.append(("all", sum(keys for _, keys, _ in rows), sum(numbers for _, _, numbers in rows)))
        table = [f"{part:<10}{keys:>6,} keys {numbers:>15,} parameters" for part, keys, numbers in rows]
        aside = f"; {self.recomputed} tables that are no weights were left out" if self.recomputed else ""
        return [*table, f"no key is missing, none is left over{aside}", *self.notes]


def convert(source: Path, target: Path, *, largest: int = LARGEST_FILE) -> KeyReport:
    """Write a released checkpoint as a model folder of ours, whole or not at all.

    Args:
        source: folder with ``config.json``, safetensors files and ``tokenizer.json``.
        target: folder; it must not be there yet.
        largest: bytes of a weight file.

    Raises:
        DataError: files are missing or torn, or the target is there.
        ModelError: it is another kind of model, or its tensors are not those of its config.
    """
    tensors, tokenizer = _read(source, target)
    ids = token_ids(tokenizer)
    shapes = {name: stored.shape for name, stored in tensors.items()}
    config = from_released(read_json(source / "config.json"), shapes, ids)
    vision: Any = config.vision_config
    processor = make_processor(tokenizer, vision.image_size, config.image_seq_length)
    report, renamed = match_keys(tensors, config, read_as=released_name, write_as=str)
    with atomic_folder(target) as folder:
        write_folder(folder, renamed, largest=largest)
        save_around(folder, config, processor, generation_config(source, ids))
    return report


def release(source: Path, target: Path, *, largest: int = LARGEST_FILE) -> KeyReport:
    """Write a model folder of ours as a checkpoint that the released code reads; see ``convert``."""
    tensors, tokenizer = _read(source, target)
    kind = read_json(source / "config.json").get("model_type")
    if kind != EagleX2Config.model_type:
        raise ModelError(f"{source} holds a model of type {kind}: only one of type {EagleX2Config.model_type} can be.")
    try:
        config = EagleX2Config.from_pretrained(source)
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise ModelError(f"{source / 'config.json'} does not make a model: {first_line(error)}") from None
    report, renamed = match_keys(tensors, config, read_as=str, write_as=released_name)
    with atomic_folder(target) as folder:
        write_folder(folder, renamed, largest=largest)
        _write_json(folder / "config.json", to_released(config))
        _save_tokenizer(tokenizer, folder)
        generation_config(source, token_ids(tokenizer)).save_pretrained(folder)
    return report


def _read(source: Path, target: Path) -> tuple[dict[str, Stored], PreTrainedTokenizerFast]:
    """The tensors and the tokenizer of the source, after a check of the target."""
    refuse_existing(target)
    read_config(source)
    tensors = read_folder(source)
    return tensors, read_tokenizer(source)


def refuse_existing(target: Path) -> None:
    """Raise DataError where the folder to write already exists."""
    if target.exists():
        raise DataError(f"{target} already exists: name a folder that is not, or remove it.")


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a model folder; raises DataError where there is none that can be read."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: name the one that holds config.json and the weights.")
    return read_json(folder / "config.json")


def read_tokenizer(source: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a model folder.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return PreTrainedTokenizerFast.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise DataError(f"{source} has no tokenizer that can be read (tokenizer.json): {first_line(error)}") from None


def token_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """Special token ids of the configs; a response ends at either of two tokens (128001 and 128009 in Llama-3)."""
    check_words(tokenizer)
    bos, text_end, turn_end, pad, image = tokenizer.convert_tokens_to_ids([BOS, TEXT_END, TURN_END, PAD, IMAGE])
    return {
        "bos_token_id": bos,
        "eos_token_id": [text_end, turn_end],
        "pad_token_id": pad,
        "image_token_index": image,
    }


def match_keys(
    tensors: Mapping[str, Stored],
    config: EagleX2Config,
    *,
    read_as: Callable[[str], str],
    write_as: Callable[[str], str],
) -> tuple[KeyReport, dict[str, Stored]]:
    """The tensors of a model under other names, in the model's order, after all of them are accounted for.

    Args:
        tensors: by the names that they have.
        config: which tensors there should be, and of which shapes.
        read_as: from our name to the one that a tensor has.
        write_as: from our name to the one that it shall have.

    Raises:
        ModelError: tensors are missing, left over, or of another shape.
    """
    expected = _expected(config)
    kept = {name: stored for name, stored in tensors.items() if not is_recomputed(name)}
    _check(kept, {read_as(ours): shape for ours, shape in expected.items()})
    parts: dict[str, tuple[int, int]] = {}
    for ours in expected:
        keys, numbers = parts.get(part_name(ours), (0, 0))
        parts[part_name(ours)] = (keys + 1, numbers + kept[read_as(ours)].numbers)
    renamed = {write_as(ours): kept[read_as(ours)] for ours in expected}
    return KeyReport(parts, len(tensors) - len(kept)), renamed


def _expected(config: EagleX2Config) -> dict[str, tuple[int, ...]]:
    """Shapes of our model's tensors, by our names."""
    register()
    with torch.device("meta"):
        model = EagleX2ForConditionalGeneration(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _check(found: Mapping[str, Stored], expected: Mapping[str, tuple[int, ...]]) -> None:
    others = [name for name in expected if name in found and found[name].shape != expected[name]]
    problems = [
        _listed("missing", [name for name in expected if name not in found]),
        _listed("left over", [name for name in found if name not in expected]),
        _listed(
            "of another shape", [f"{name} {list(found[name].shape)}, not {list(expected[name])}" for name in others]
        ),
    ]
    if any(problems):
        raise ModelError("the weights are not those of the config:\n" + "\n".join(filter(None, problems)))


def _listed(what: str, names: list[str]) -> str:
    """Some names of a kind, and how many more there are; empty where there are none."""
    more = [f"and {len(names) - _LISTED:,} more"] if len(names) > _LISTED else []
    return "\n  ".join([f"{len(names):,} {what}:", *names[:_LISTED], *more]) if names else ""


def save_around(folder: Path, config: EagleX2Config, processor: EagleX2Processor, generation: GenerationConfig) -> None:
    """Write what lies beside the weights of a model folder of ours."""
    config.architectures = [EagleX2ForConditionalGeneration.__name__]
    config.save_pretrained(folder)
    processor.save_pretrained(folder)
    generation.save_pretrained(folder)


def generation_config(source: Path, ids: Mapping[str, Any]) -> GenerationConfig:
    """How the source generates, with the words that end a response set."""
    known = (source / "generation_config.json").is_file()
    config = GenerationConfig.from_pretrained(source) if known else GenerationConfig()
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config, name, ids[name])
    return config


def _save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a tokenizer under a class name that the released code's transformers 4.37 knows; today's has another."""
    tokenizer.save_pretrained(folder)
    settings = read_json(folder / "tokenizer_config.json")
    _write_json(folder / "tokenizer_config.json", settings | {"tokenizer_class": "PreTrainedTokenizerFast"})


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def first_line(error: Exception) -> str:
    """The first line of an error message."""
    return str(error).strip().splitlines()[0]
