"""What is looked at before the first step, so that a wrong set-up stops early."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2h.errors import TrainingError
from s2h.models.loading import prompt_text
from s2h.models.settings import TrainingSettings
from s2h.training.collate import IGNORED, Collator
from s2h.training.data import Mixture

_CHUNK = 2000  # examples tokenised at once


@dataclasses.dataclass(frozen=True, slots=True)
class Inspection:
    """What was found in a mixture.

    Attributes:
        lengths: tokens of every example, image tokens included, ``int64[examples]``.
        targets: tokens of every example that are learned, ``int64[examples]``.
    """

    lengths: NDArray[np.int64]
    targets: NDArray[np.int64]


def inspect(mixture: Mixture, collator: Collator, settings: TrainingSettings) -> Inspection:
    """Tokenise the whole mixture once and refuse what cannot be trained.

    Raises:
        TrainingError: a word is not in the vocabulary, an example is too long, or no token would be learned.
    """
    processor = collator.processor
    template = _template_tokens(mixture, collator)
    lengths, targets = [], []
    for start in range(0, len(mixture), _CHUNK):
        rows = mixture.frame.slice(start, _CHUNK)
        prompts = processor.tokenizer(rows["prompt"].to_list(), add_special_tokens=False)["input_ids"]
        answers = collator.encode_responses(rows["response"].to_list())
        _check_words(processor.tokenizer, rows, prompts, answers)
        targets += [len(a) for a in answers]
        shows = rows["image_shard"] != ""
        extra = [template[bool(image)] for image in shows]
        lengths += [len(p) + len(a) + e for p, a, e in zip(prompts, answers, extra, strict=True)]
    found = Inspection(np.array(lengths, dtype=np.int64), np.array(targets, dtype=np.int64))
    _check_lengths(found.lengths, mixture, settings)
    _check_labels(mixture, collator)
    return found


def _template_tokens(mixture: Mixture, collator: Collator) -> dict[bool, int]:
    """Tokens that the chat template and the image add to a prompt, without and with an image."""
    added = {}
    for with_image in (False, True):
        rows = (mixture.frame["image_shard"] != "") == with_image
        if not rows.any():
            continue
        example = mixture[int(rows.arg_true()[0])]
        whole = collator.encode_prompts([example])["input_ids"].shape[1]
        alone = len(collator.processor.tokenizer(example.prompt, add_special_tokens=False)["input_ids"])
        added[with_image] = whole - alone
    return added


def _check_words(tokenizer: Any, rows: Any, prompts: list[list[int]], answers: list[list[int]]) -> None:
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return
    for i, ids in enumerate(zip(prompts, answers, strict=True)):
        if unknown in ids[0] or unknown in ids[1]:
            words = f"{rows['prompt'][i]} {rows['response'][i]}".split()
            strange = sorted({word for word in words if tokenizer.convert_tokens_to_ids(word) == unknown})
            raise TrainingError(
                f"the model's vocabulary lacks {', '.join(map(repr, strange[:5]))} (puzzle {rows['puzzle_id'][i]}): "
                "the tiny model reads the compact style of its own task only."
            )


def _check_lengths(lengths: NDArray[np.int64], mixture: Mixture, settings: TrainingSettings) -> None:
    long = lengths > settings.max_length
    if long.any():
        first = mixture.frame["puzzle_id"][int(long.argmax())]
        raise TrainingError(
            f"{int(long.sum())} of {len(lengths)} examples are longer than training.max_length = "
            f"{settings.max_length} tokens (the longest has {int(lengths.max())}; the first is {first}): "
            "raise max_length, or make the puzzles smaller."
        )


def _check_labels(mixture: Mixture, collator: Collator) -> None:
    """The first example's labels must be exactly its response."""
    example = mixture[0]
    labels = collator([example])["labels"][0]
    learned = labels[labels != IGNORED].tolist()
    if not learned or learned != collator.encode_responses([example.response])[0]:
        raise TrainingError(
            f"the labels of {mixture.path} are not the responses: the first example's prompt ends with "
            f"{prompt_text(collator.processor, example.prompt, with_image=example.image is not None)[-40:]!r}."
        )
