"""Checks before the first step, so that a wrong set-up stops early."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from s2h.errors import TrainingError
from s2h.logs import LOGGER
from s2h.models.settings import TrainingSettings
from s2h.supervision.examples import Example, Mixture
from s2h.tokenisation.chat_template import prompt_text
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.tokenisation.lengths import Lengths, count_tokens
from s2h.tokenisation.special_tokens import control_tokens
from s2h.training.collate import Collator, with_targets


def inspect(mixture: Mixture, encoder: ExampleEncoder, settings: TrainingSettings) -> tuple[Mixture, Lengths, int]:
    """Count the tokens of a mixture and refuse what cannot be trained.

    Returns:
        The mixture without examples that are too long or hold special tokens of the model, its lengths, and how many
        were dropped. Where examples are truncated (``on_overlength: truncate``), only those of which nothing in the
        loss would be left are too long.

    Raises:
        TrainingError: a word is not in the vocabulary, examples are too long, or none is left.
    """
    whole = len(mixture)
    mixture = _without_special_tokens(mixture, encoder)
    lengths = count_tokens(mixture, encoder)
    fits = (lengths.tokens <= settings.max_length) & (lengths.targets > 0)
    dropped = int((~fits).sum())
    if settings.on_overlength == "truncate":
        _report_truncated(lengths, fits, settings)
    elif dropped:
        _report_long(mixture, lengths.tokens, settings)
    if dropped:
        mixture, lengths = mixture.kept(fits), lengths.kept(fits)
    return mixture, lengths, whole - len(mixture)


def _without_special_tokens(mixture: Mixture, encoder: ExampleEncoder) -> Mixture:
    """The mixture without texts that hold the model's own special tokens; how many they are is said."""
    tokens = control_tokens(encoder.processor)
    texts = [pl.col("prompt"), pl.col("response")]
    if "more" in mixture.frame.columns:
        texts.append(pl.col("more").list.join("\n").fill_null(""))
    holding = mixture.frame.select(pl.any_horizontal(text.str.contains_any(tokens) for text in texts))
    holds = holding.to_series().to_numpy()
    if not holds.any():
        return mixture
    first = mixture.frame["puzzle_id"][int(holds.argmax())]
    summary = f"{holds.sum()} of {len(mixture)} examples hold special tokens of the model (the first is {first})"
    if holds.all():
        raise TrainingError(f"{summary}, and none is left: take {', '.join(tokens)} out of their texts.")
    LOGGER.warning("%s: they are left out", summary)
    return mixture.kept(~holds)


def check_targets(example: Example, collator: Collator) -> None:
    """Check that the tokens in the loss are exactly those of an example's responses.

    Raises:
        TrainingError: it is less, more or something else.
    """
    targets = with_targets(collator([example]))["targets"].tolist()
    encoder = collator.encoder
    responses = [token for ids in encoder.encode_responses(example.responses) for token in ids]
    if encoder.max_length is not None:
        responses = responses[: len(targets)]
    if not targets or targets != responses:
        prompt = prompt_text(encoder.processor, example.prompt, with_image=example.image is not None)
        raise TrainingError(
            "the labels are not the responses: no token, or a wrong one, would be in the loss. The first example's "
            f"prompt ends with {prompt[-40:]!r}."
        )


def _report_long(mixture: Mixture, tokens: NDArray[np.int64], settings: TrainingSettings) -> None:
    """Say how many examples are too long; raise TrainingError where they are refused, or none is left."""
    long = tokens > settings.max_length
    first = mixture.frame["puzzle_id"][int(long.argmax())]
    summary = (
        f"{int(long.sum())} of {len(tokens)} examples are longer than training.max_length = {settings.max_length} "
        f"tokens (the longest has {int(tokens.max())}; the first is {first})"
    )
    if settings.on_overlength == "error" or long.all():
        raise TrainingError(f"{summary}: raise max_length, make the puzzles smaller, or set on_overlength to drop.")
    LOGGER.warning("%s: they are left out", summary)


def _report_truncated(lengths: Lengths, fits: NDArray[np.bool_], settings: TrainingSettings) -> None:
    """Say how many examples are truncated, and how many are left out, of which nothing in the loss would be left."""
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
