"""How many tokens the examples of a mixture have, counted without reading all of their images."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from s2h.errors import TrainingError
from s2h.supervision.examples import Example, Mixture
from s2h.tokenisation.chat_template import encode_prompts
from s2h.tokenisation.encoding import ExampleEncoder, Segment

_CHUNK = 2000  # examples tokenised at once
_SIZE = ("image_width", "image_height")
_MANY_SIZES = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Lengths:
    """How long the examples of a mixture are.

    Attributes:
        tokens: of every example as it is trained on, image tokens included, ``int64[examples]``.
        targets: of these the ones in the loss, ``int64[examples]``.
        pixels: numbers of which the processor makes an example's picture (elements of pixel_values),
            ``int64[examples]``; 0 without one.
    """

    tokens: NDArray[np.int64]
    targets: NDArray[np.int64]
    pixels: NDArray[np.int64]

    def kept(self, which: NDArray[np.bool_]) -> Lengths:
        """The lengths of the examples for which ``which bool[examples]`` is true."""
        return Lengths(self.tokens[which], self.targets[which], self.pixels[which])


def count_tokens(mixture: Mixture, encoder: ExampleEncoder) -> Lengths:
    """Tokenise the texts of a whole mixture once; lengths are those after the encoder's truncation, if any.

    Raises:
        TrainingError: a word is not in the model's vocabulary.
    """
    added = _added(mixture, encoder)
    counts: list[tuple[int, int, int]] = []
    for start in range(0, len(mixture), _CHUNK):
        rows = mixture.frame.slice(start, _CHUNK)
        prompts = encoder.encode_texts(rows["prompt"].to_list())
        more = rows["more"].to_list() if "more" in rows.columns else [[]] * rows.height
        answers = encoder.encode_answers(rows["response"].to_list(), more)
        _check_words(encoder.processor.tokenizer, rows, prompts, answers)
        for prompt, answer, kind in zip(prompts, answers, _kinds(rows).iter_rows(), strict=True):
            more_tokens, more_pixels = added[kind]
            counts.append((*_counted(len(prompt) + more_tokens, answer, encoder.max_length), more_pixels))
    return Lengths(*np.array(counts, dtype=np.int64).reshape(-1, 3).T.copy())


def _counted(prompt: int, answer: list[Segment], most: int | None) -> tuple[int, int]:
    """Tokens of an example and how many of them are in the loss, of the first ``most``."""
    end, targets = prompt, 0
    limit = most if most is not None else prompt + sum(len(segment.ids) for segment in answer)
    for segment in answer:
        targets += max(min(len(segment.ids), limit - end), 0) * segment.in_loss
        end += len(segment.ids)
    return min(end, limit), targets


def _kinds(rows: pl.DataFrame) -> pl.DataFrame:
    """The keys on which the tokens of template and image depend: task, whether there is an image, and its size.

    All images of a task of puzzles have one size, so only mixtures of corpora hold them.
    """
    sizes = [pl.col(name) if name in rows.columns else pl.lit(0).alias(name) for name in _SIZE]
    return rows.select("task", (pl.col("image_shard") != "").alias("image"), *sizes)


def _added(mixture: Mixture, encoder: ExampleEncoder) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Tokens that the chat template and the image add to a prompt, and its pixels, by ``_kinds``: one of each tells.

    Where images have many sizes the most different ones are asked first: most models give all the same number.
    """
    kinds = _kinds(mixture.frame).with_row_index("place").unique(["task", "image", *_SIZE], keep="first").sort("place")
    added = {}
    for (task, image), alike in kinds.group_by("task", "image", maintain_order=True):
        places = _most_different(alike) if alike.height > _MANY_SIZES else alike
        counts = {row[0]: _added_to(mixture[row[0]], encoder) for row in places.iter_rows()}
        if len(set(counts.values())) > 1:
            counts |= {p: _added_to(mixture[p], encoder) for p in alike["place"] if p not in counts}
        some = next(iter(counts.values()))
        for place, width, height in alike.select("place", *_SIZE).iter_rows():
            added[task, image, width, height] = counts.get(place, some)
    return added


def _most_different(alike: pl.DataFrame) -> pl.DataFrame:
    """The smallest and the largest, the widest and the highest images."""
    area, shape = pl.col(_SIZE[0]).cast(pl.Int64) * pl.col(_SIZE[1]), pl.col(_SIZE[0]) / pl.col(_SIZE[1])
    ends = [alike.sort(by).select(pl.all().first()) for by in (area, -area, shape, -shape)]
    return pl.concat(ends).unique("place")


def _added_to(example: Example, encoder: ExampleEncoder) -> tuple[int, int]:
    """Tokens of an example's whole prompt without those of its text, and elements of its pixel_values."""
    encoded = encode_prompts(encoder.processor, [example.prompt], [example.image])
    (alone,) = encoder.encode_texts([example.prompt])
    pixels = encoded["pixel_values"].numel() if "pixel_values" in encoded else 0
    return int(encoded["input_ids"].shape[1]) - len(alone), pixels


def _check_words(tokenizer: Any, rows: pl.DataFrame, prompts: list[list[int]], answers: list[list[Segment]]) -> None:
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return
    for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        if unknown in prompt or any(unknown in segment.ids for segment in answer):
            row = rows.row(i, named=True)
            words = " ".join([row["prompt"], row["response"], *row.get("more", [])]).split()
            strange = sorted({word for word in words if tokenizer.convert_tokens_to_ids(word) == unknown})
            raise TrainingError(
                f"the model's vocabulary lacks {', '.join(map(repr, strange[:5]))} (puzzle {row['puzzle_id']}): "
                "the tiny model reads the compact style of its own task only."
            )
