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
from s2h.training.collate import IGNORED, Collator, Segment
from s2h.training.data import Example, Mixture

_CHUNK = 2000  # examples tokenised at once
_SIZE = ("image_width", "image_height")
_MANY_SIZES = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Lengths:
    """How long the examples of a mixture are.

    Attributes:
        tokens: of every example as it is trained on, image tokens included, ``int64[examples]``.
        targets: of these the ones that are learned, ``int64[examples]``.
        pixels: numbers of which the processor makes an example's picture (elements of pixel_values),
            ``int64[examples]``; 0 without one.
    """

    tokens: NDArray[np.int64]
    targets: NDArray[np.int64]
    pixels: NDArray[np.int64]

    def kept(self, which: NDArray[np.bool_]) -> Lengths:
        """Those of some of the examples."""
        return Lengths(self.tokens[which], self.targets[which], self.pixels[which])


def measure(mixture: Mixture, collator: Collator) -> Lengths:
    """Tokenise a whole mixture once; lengths are those after the collator's cut, where it cuts.

    Raises:
        TrainingError: a word is not in the model's vocabulary.
    """
    processor = collator.processor
    added = _added(mixture, collator)
    tokens, targets, pixels = [], [], []
    for start in range(0, len(mixture), _CHUNK):
        rows = mixture.frame.slice(start, _CHUNK)
        prompts = processor.tokenizer(rows["prompt"].to_list(), add_special_tokens=False)["input_ids"]
        answers = [[Segment(ids, in_loss=True)] for ids in collator.encode_responses(rows["response"].to_list())]
        if "more" in rows.columns:
            for answer, more in zip(answers, rows["more"], strict=True):
                answer += collator.encode_more(more.to_list())
        _check_words(processor.tokenizer, rows, prompts, answers)
        extra = [added[kind] for kind in _kinds(rows).iter_rows()]
        for prompt, answer, (more_tokens, shown) in zip(prompts, answers, extra, strict=True):
            length, target_count = _counted(len(prompt) + more_tokens, answer, collator.max_length)
            tokens.append(length)
            targets.append(target_count)
            pixels.append(shown)
    return Lengths(*(np.array(each, dtype=np.int64) for each in (tokens, targets, pixels)))


def _counted(prompt: int, answer: list[Segment], most: int | None) -> tuple[int, int]:
    """Tokens of an example and how many of them are learned, of the first ``most``."""
    end, target_count = prompt, 0
    limit = most if most is not None else prompt + sum(len(piece.ids) for piece in answer)
    for piece in answer:
        target_count += max(min(len(piece.ids), limit - end), 0) * piece.in_loss
        end += len(piece.ids)
    return min(end, limit), target_count


def inspect(mixture: Mixture, collator: Collator, settings: TrainingSettings) -> tuple[Mixture, Lengths, int]:
    """Measure a mixture and refuse what cannot be trained.

    Returns:
        The mixture without examples that are too long, its lengths, and how many were dropped. Where they are cut
        (``on_overlength: truncate``), only those of which nothing learned would be left are too long.

    Raises:
        TrainingError: a word is not in the vocabulary, examples are too long, or labels are not the responses.
    """
    lengths = measure(mixture, collator)
    fits = (lengths.tokens <= settings.max_length) & (lengths.targets > 0)
    dropped = int((~fits).sum())
    if settings.on_overlength == "truncate":
        _report_cut(lengths, fits, settings)
    elif dropped:
        _report_long(mixture, lengths.tokens, settings)
    if dropped:
        mixture, lengths = Mixture(mixture.frame.filter(pl.Series(fits))), lengths.kept(fits)
    _check_labels(mixture, collator)
    return mixture, lengths, dropped


def _kinds(rows: pl.DataFrame) -> pl.DataFrame:
    """What decides how many tokens template and image add: the task, whether there is an image, and its size.

    All images of a task of puzzles have one size, so only mixtures of corpora hold them.
    """
    sizes = [pl.col(name) if name in rows.columns else pl.lit(0).alias(name) for name in _SIZE]
    return rows.select("task", (pl.col("image_shard") != "").alias("image"), *sizes)


def _added(mixture: Mixture, collator: Collator) -> dict[tuple[str, bool, int, int], tuple[int, int]]:
    """Tokens that the chat template and the image add to a prompt, and its pixels, by ``_kinds``: one of each tells.

    Where images have many sizes the most different ones are asked first: most models give all the same number.
    """
    kinds = _kinds(mixture.frame).with_row_index("place").unique(["task", "image", *_SIZE], keep="first").sort("place")
    added = {}
    for (task, image), alike in kinds.group_by("task", "image", maintain_order=True):
        places = _most_different(alike) if alike.height > _MANY_SIZES else alike
        found = {row[0]: _added_to(mixture[row[0]], collator) for row in places.iter_rows()}
        if len(set(found.values())) > 1:
            found |= {p: _added_to(mixture[p], collator) for p in alike["place"] if p not in found}
        some = next(iter(found.values()))
        for place, width, height in alike.select("place", *_SIZE).iter_rows():
            added[task, image, width, height] = found.get(place, some)
    return added


def _most_different(alike: pl.DataFrame) -> pl.DataFrame:
    """The smallest and the largest, the widest and the highest images."""
    area, shape = pl.col(_SIZE[0]).cast(pl.Int64) * pl.col(_SIZE[1]), pl.col(_SIZE[0]) / pl.col(_SIZE[1])
    ends = [alike.sort(by).select(pl.all().first()) for by in (area, -area, shape, -shape)]
    return pl.concat(ends).unique("place")


def _added_to(example: Example, collator: Collator) -> tuple[int, int]:
    """Tokens of an example's whole prompt without those of its text, and elements of its pixel_values."""
    encoded = collator.encode_prompts([example])
    alone: list[int] = collator.processor.tokenizer(example.prompt, add_special_tokens=False)["input_ids"]
    pixels = encoded["pixel_values"].numel() if "pixel_values" in encoded else 0
    return int(encoded["input_ids"].shape[1]) - len(alone), pixels


def _check_words(tokenizer: Any, rows: pl.DataFrame, prompts: list[list[int]], answers: list[list[Segment]]) -> None:
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return
    for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        if unknown in prompt or any(unknown in piece.ids for piece in answer):
            row = rows.row(i, named=True)
            words = " ".join([row["prompt"], row["response"], *row.get("more", [])]).split()
            strange = sorted({word for word in words if tokenizer.convert_tokens_to_ids(word) == unknown})
            raise TrainingError(
                f"the model's vocabulary lacks {', '.join(map(repr, strange[:5]))} (puzzle {row['puzzle_id']}): "
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
    if settings.on_overlength == "error" or long.all():
        raise TrainingError(f"{found}: raise max_length, make the puzzles smaller, or set on_overlength to drop.")
    LOGGER.warning("%s: they are left out", found)


def _report_cut(lengths: Lengths, fits: NDArray[np.bool_], settings: TrainingSettings) -> None:
    """Say how many examples are cut, and how many are left out because nothing learned would be left of them."""
    if not fits.any():
        raise TrainingError(
            f"no example has a response within training.max_length = {settings.max_length} tokens: raise it."
        )
    full = int((lengths.tokens[fits] == settings.max_length).sum())
    if full or not fits.all():
        LOGGER.warning(
            "%d of %d examples reach training.max_length = %d tokens, and what is behind is cut off; %d more are left "
            "out, whose responses begin behind it",
            *(full, len(fits), settings.max_length, int((~fits).sum())),
        )


def _check_labels(mixture: Mixture, collator: Collator) -> None:
    """The first example's labels must be exactly its responses."""
    example = mixture[0]
    labels = collator([example])["labels"][0]
    targets = labels[labels != IGNORED].tolist()
    responses = [token for ids in collator.encode_responses(list(example.responses)) for token in ids]
    if collator.max_length is not None:
        responses = responses[: len(targets)]
    if not targets or targets != responses:
        prompt = prompt_text(collator.processor, example.prompt, with_image=example.image is not None)
        raise TrainingError(
            "the labels are not the responses: every label would be ignored, or others learned. The first example's "
            f"prompt ends with {prompt[-40:]!r}."
        )
