"""What is looked at before the first step, so that a wrong set-up stops early."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from s2h.errors import TrainingError
from s2h.logs import LOGGER
from s2h.models.loading import prompt_text
from s2h.models.settings import TrainingSettings
from s2h.training.collate import IGNORED, Collator
from s2h.training.data import Mixture

_CHUNK = 2000  # examples tokenised at once


@dataclasses.dataclass(frozen=True, slots=True)
class Lengths:
    """How long the examples of a mixture are.

    Attributes:
        tokens: of every example, image tokens included, ``int64[examples]``.
        targets: of these the ones that are learned, ``int64[examples]``.
    """

    tokens: NDArray[np.int64]
    targets: NDArray[np.int64]

    def kept(self, which: NDArray[np.bool_]) -> Lengths:
        """Those of some of the examples."""
        return Lengths(self.tokens[which], self.targets[which])


def measure(mixture: Mixture, collator: Collator) -> Lengths:
    """Tokenise a whole mixture once.

    Raises:
        TrainingError: a word is not in the model's vocabulary.
    """
    processor = collator.processor
    added = _added_tokens(mixture, collator)
    tokens, targets = [], []
    for start in range(0, len(mixture), _CHUNK):
        rows = mixture.frame.slice(start, _CHUNK)
        prompts = processor.tokenizer(rows["prompt"].to_list(), add_special_tokens=False)["input_ids"]
        answers = collator.encode_responses(rows["response"].to_list())
        _check_words(processor.tokenizer, rows, prompts, answers)
        targets += [len(answer) for answer in answers]
        extra = [added[task, bool(shard)] for task, shard in rows.select("task", "image_shard").iter_rows()]
        tokens += [len(p) + len(a) + e for p, a, e in zip(prompts, answers, extra, strict=True)]
    return Lengths(np.array(tokens, dtype=np.int64), np.array(targets, dtype=np.int64))


def inspect(mixture: Mixture, collator: Collator, settings: TrainingSettings) -> tuple[Mixture, Lengths, int]:
    """Measure a mixture and refuse what cannot be trained.

    Returns:
        The mixture without examples that are too long, its lengths, and how many were dropped.

    Raises:
        TrainingError: a word is not in the vocabulary, examples are too long, or labels are not the responses.
    """
    lengths = measure(mixture, collator)
    fits = lengths.tokens <= settings.max_length
    dropped = int((~fits).sum())
    if dropped:
        _report_long(mixture, lengths.tokens, settings)
        mixture, lengths = Mixture(mixture.frame.filter(pl.Series(fits))), lengths.kept(fits)
    _check_labels(mixture, collator)
    return mixture, lengths, dropped


def _added_tokens(mixture: Mixture, collator: Collator) -> dict[tuple[str, bool], int]:
    """Tokens that the chat template and the image add to a prompt, by task and whether there is an image.

    All images of a task have one size, so one example tells.
    """
    added = {}
    shows = mixture.frame.select("task", image=pl.col("image_shard") != "")
    for task, with_image in shows.unique().sort("task", "image").iter_rows():
        which = (shows["task"] == task) & (shows["image"] == with_image)
        example = mixture[int(which.arg_true()[0])]
        whole = collator.encode_prompts([example])["input_ids"].shape[1]
        alone = len(collator.processor.tokenizer(example.prompt, add_special_tokens=False)["input_ids"])
        added[task, with_image] = whole - alone
    return added


def _check_words(tokenizer: Any, rows: pl.DataFrame, prompts: list[list[int]], answers: list[list[int]]) -> None:
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


def _report_long(mixture: Mixture, tokens: NDArray[np.int64], settings: TrainingSettings) -> None:
    """Say how many examples are too long; raise TrainingError where they are refused, or none is left."""
    long = tokens > settings.max_length
    first = mixture.frame["puzzle_id"][int(long.argmax())]
    found = (
        f"{int(long.sum())} of {len(tokens)} examples are longer than training.max_length = {settings.max_length} "
        f"tokens (the longest has {int(tokens.max())}; the first is {first})"
    )
    if settings.too_long == "refuse" or long.all():
        raise TrainingError(f"{found}: raise max_length, make the puzzles smaller, or set too_long to drop.")
    LOGGER.warning("%s: they are left out", found)


def _check_labels(mixture: Mixture, collator: Collator) -> None:
    """The first example's labels must be exactly its response."""
    example = mixture[0]
    labels = collator([example])["labels"][0]
    learned = labels[labels != IGNORED].tolist()
    if not learned or learned != collator.encode_responses([example.response])[0]:
        prompt = prompt_text(collator.processor, example.prompt, with_image=example.image is not None)
        raise TrainingError(
            "the labels are not the responses: every label would be ignored, or others learned. The first example's "
            f"prompt ends with {prompt[-40:]!r}."
        )
