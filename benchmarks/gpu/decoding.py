"""Decoding with Qwen2.5-VL-3B from random weights, whose predictions all run to the limit, at several batch sizes.

Questions of Table Readout at the paper's size, half with a picture and half as text; words as tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.gpu.data import paper_task, qwen_model, qwen_processor
from benchmarks.gpu.measuring import clear_memory, peak_gib, seconds_of
from benchmarks.gpu.models import sizes
from benchmarks.gpu.sections import Report, Results
from s2h.models.settings import ScoringSettings
from s2h.puzzles.shards import PuzzleSet, make_record
from s2h.scoring.decoding import Decoder, Prediction, Prompt

_MARKS = 32  # words of the tokenizer that are none of the questions, at most


def measure(report: Report, *, dry: bool) -> None:
    """The same questions at every size of batch; one at a time only some of them."""
    number, limit = (2, 3) if dry else (64, 64)
    asked, size = _prompts(number), sizes(dry=dry)
    least, most = (4, 16) if dry else (128, 1280)
    processor = qwen_processor(_words(asked, size.words), least=least, most=most)
    model = qwen_model(size, processor)
    alone: list[list[Prediction]] = []
    for batch in (1, 2) if dry else (1, 16, 64, "auto"):
        chosen = [prompts[:4] for prompts in asked] if batch == 1 else asked
        settings = ScoringSettings(max_new_tokens=limit, batch_size=batch)
        found = report.attempt(
            f"batches of {batch}",
            lambda chosen=chosen, settings=settings: _decoded(model, processor, settings, chosen, alone),  # type: ignore[misc]
        )
        if found is None:
            clear_memory()


def _words(asked: Iterable[list[Prompt]], number: int) -> set[str]:
    """The words of the questions, and others up to about the number that the model may say: predictions are text."""
    words = {word for prompts in asked for prompt in prompts for word in prompt.text.split()}
    return words | {f"word-{place}" for place in range(number - len(words) - _MARKS)}


def _prompts(number: int) -> tuple[list[Prompt], list[Prompt]]:
    """Questions with a picture, and the same as text."""
    task, which = paper_task(), PuzzleSet(0, "HARD", "eval")
    records = [make_record(task, which, index) for index in range(number)]
    shown = [Prompt(record.image_question, record.image["bytes"]) for record in records]
    return shown, [Prompt(f"{record.text}\n\n{record.text_question}", None) for record in records]


def _decoded(
    model: Any, processor: Any, settings: ScoringSettings, asked: list[list[Prompt]], alone: list[list[Prediction]]
) -> Results:
    """Decode and measure; the first call fills ``alone``, with which the others are compared."""
    decoder = Decoder(model, processor, settings)
    decoder(asked[1][:1])  # warm-up
    clear_memory()
    predictions: list[list[Prediction]] = []
    seconds = seconds_of(lambda: predictions.extend(decoder(prompts) for prompts in asked))
    alone.extend([] if alone else predictions)
    pairs = [pair for one, other in zip(alone, predictions, strict=True) for pair in zip(one, other, strict=False)]
    number, tokens = sum(map(len, asked)), sum(prediction.tokens or 0 for each in predictions for prediction in each)
    return {
        "predictions": number,
        "predictions_per_second": round(number / seconds, 2),
        "new_tokens_per_second": round(tokens / seconds, 1),
        "peak_gib": peak_gib(),
        "same_as_alone": round(sum(one.text == other.text for one, other in pairs) / len(pairs), 4),
    }
