"""Puzzles, mixtures and model folders for real training runs and decodings, all made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

from benchmarks.gpu.models import Sizes, make_model, qwen_config
from benchmarks.puzzles import settings
from s2h.overlays import read_config
from s2h.puzzles.shards import PuzzleSet, write_shard
from s2h.puzzles.task import Level, Task, TrainingLevel
from s2h.puzzles.task_registry import make_task
from s2h.supervision.mixture import read_mixture, write_mixture
from tests.models.qwen import CHAT_TEMPLATE, SPECIAL
from tests.models.words import word_tokenizer

_LEVELS: tuple[Level, ...] = ("SIMPLE", "HARD")
_NAMED = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
_TURNS = ("system", "user", "assistant", "You", "are", "a", "helpful", "assistant.")


def paper_task() -> Task[Any]:
    """Table Readout at the paper's size: images of 1500 x 800 pixels."""
    return make_task("table_readout", settings("table_readout"))


def make_mixture(folder: Path, task: Task[Any], *, budget: int) -> Path:
    """A mixture of Mix+ with its puzzles; returns its file."""
    shards: dict[str, dict[TrainingLevel, list[str]]] = {task.name: {}}
    for level in _LEVELS:
        path = folder / f"{level}.parquet"
        write_shard(path, task, PuzzleSet(0, level, "train"), (0, budget), progress=lambda done: None)
        shards[task.name][level] = [str(path)]
    phase = read_config().recipes["mix_plus"].phases[0]
    write_mixture(folder / "mixture.parquet", phase, budget=budget, shards=shards, key=(0, "gpu"))
    return folder / "mixture.parquet"


def words_of(mixture: Path) -> set[str]:
    """All words of a mixture."""
    frame = read_mixture(mixture)
    return {word for name in ("prompt", "response") for text in frame[name] for word in text.split()}


def qwen_processor(words: set[str], *, least: int = 128, most: int = 1280) -> Any:
    """Qwen2.5-VL's processor with a tokenizer of whole words.

    Args:
        words: that it knows.
        least: image tokens.
        most: image tokens; the paper's script has 128 to 1,280.
    """
    size = {"shortest_edge": least * 28**2, "longest_edge": most * 28**2}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size),
        tokenizer=word_tokenizer(SPECIAL, {*words, *_TURNS}, named=_NAMED),
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=CHAT_TEMPLATE,
    )


def qwen_model(size: Sizes, processor: Any, **options: Any) -> Any:
    """A Qwen2.5-VL of some size for a processor of ``qwen_processor``; the options are those of ``make_model``."""
    names = {
        "end": "<|im_end|>",
        "pad": "<|endoftext|>",
        "image": "<|image_pad|>",
        "video": "<|video_pad|>",
        "begin": "<|vision_start|>",
    }
    ids = {key: processor.tokenizer.convert_tokens_to_ids(word) for key, word in names.items()}
    return make_model(qwen_config(size, ids), **options)


def qwen_folder(folder: Path, size: Sizes, processor: Any) -> Path:
    """The same as a model folder."""
    model = qwen_model(size, processor, windows=False)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
