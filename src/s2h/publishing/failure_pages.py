"""A page that shows where a model fails and how: counts of all predictions, and examples beside the right responses.

Everything that a model wrote is data: it is escaped, cut to a length that can be read, kept from changing the direction
of what stands around it, and characters that nobody sees are shown by their numbers.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from s2h.analysis.failures import with_outcome
from s2h.diagnosis.diagnosis import lines, split_like
from s2h.errors import DataError, unreadable
from s2h.files import atomic_file
from s2h.images import decode_image
from s2h.puzzles.record import LEVELS, MODALITIES
from s2h.supervision.formats import CONVERT_TOKEN, FULL, Format, response
from s2h.templates import data_address, open_template

TEMPLATE = Path(__file__).with_name("failure_pages.html")

Shards = Mapping[str, Mapping[str, Sequence[str]]]
"""Parquet files of the evaluation puzzles, by task and level."""

Span = tuple[int, int]
"""The span of a word in a text: its first character and the one after its last."""

_RUN = ("trained_on", "recipe", "budget", "model", "seed")
_SET = ("task", "level", "modality")
_WRONG = ("error", "first_error_step", "error_detail", "expected", "observed")
_SCORES = (
    *_RUN, *_SET, "puzzle_id", "question", "prediction", "gold", "answer", "parsed", "correct", "chain_correct",
    *_WRONG, "tokens", "seconds",
)  # fmt: skip
_PUZZLES = ("puzzle_id", "image", "text", "reasoning", "alternatives", "answer_block")
_RESPONSE = dict.fromkeys(("text", "reasoning", "answer_block"), pl.String()) | {
    "alternatives": pl.List(pl.Struct(dict.fromkeys(("name", "reasoning"), pl.String())))
}  # columns that a right response is made of
_LONGEST = 6_000  # characters of a text that are shown
_LONGEST_VALUE = 200  # the same for what stands within a line
_LARGEST = 5_000_000  # bytes of a page; where it would be larger, it shows fewer examples
_ENLARGED = {"image": 384, "text": 192}  # pixels to which small images are brought, in whole multiples


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """An outcome of an example.

    Attributes:
        name: as tables have it.
        title: as it stands above examples.
        meaning: one sentence.
        shown: whether examples of it are shown.
    """

    name: str
    title: str
    meaning: str
    shown: bool = True


OUTCOMES = (
    Outcome(
        "correct_valid_cot",
        "Correct, valid chain",
        "The answer and every step leading to it are right.",
        shown=False,
    ),
    Outcome(
        "correct_permuted_cot",
        "Correct, values permuted",
        "The answer is right, but its values are listed in another order than the path's.",
    ),
    Outcome(
        "correct_invalid_cot", "Correct, invalid chain", "The answer is right, but something on the way to it is wrong."
    ),
    Outcome(
        "correct_no_cot", "Correct, no chain", "The answer is right, and no chain of thought leads to it.", shown=False
    ),
    Outcome("format", "Format error", "There is no answer that can be read, or a line that cannot be read as a step."),
    Outcome("perception", "Perception error", "The prediction tells of the image or text what is not there."),
    Outcome("permuted", "Values permuted", "It lists the right values in another order than the path's."),
    Outcome("reasoning", "Reasoning error", "It sees what is there and concludes what does not follow."),
    Outcome("arithmetic", "Arithmetic error", "It adds up wrongly."),
    Outcome("unexplained", "Unexplained error", "The answer is wrong, and nothing is said before it."),
)
"""The outcomes of ``s2h.analysis.failures``: every prediction is counted under one of them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Excerpt:
    """A text as it is shown, in parts that give what is shown of it when joined.

    Attributes:
        skipped: characters left out before it.
        before: what comes before the marked line; all that is shown where no word is marked.
        line: the marked line up to the marked word.
        word: the marked word, empty where the text ends too early; None where no word is marked.
        rest: the marked line after it.
        after: the lines that follow.
        left: characters left out behind it.
    """

    skipped: int
    before: str
    line: str
    word: str | None
    rest: str
    after: str
    left: int

    @property
    def tabbed(self) -> bool:
        """Whether it holds a table whose columns are set by tabs."""
        return "\t" in self.before + self.after


def write_failures(
    score_file: str | Path,
    output: str | Path,
    *,
    shards: Shards,
    titles: Mapping[str, str],
    recipe_title: str,
    per_kind: int = 6,
) -> None:
    """Write one HTML file that holds everything it shows, images included.

    Predictions for external evaluation sets are counted nowhere: their puzzles are in no shard.

    Args:
        score_file: the scores of one run.
        output: the page.
        shards: the puzzles that were scored.
        titles: of the tasks, by name.
        recipe_title: the paper's name of the run's recipe.
        per_kind: most examples of each outcome for a task, level and modality: the first ones in the order of the
            puzzles. All get fewer where the page would be too large.

    Raises:
        DataError: a file cannot be read, the scores are not those of one run, a wrong one has no known error, or a
            puzzle of theirs is in no shard.
    """
    scores = _read_scores(score_file)
    ours = with_outcome(scores.filter(~pl.col("external")))
    _refuse_unknown(ours, shards, score_file)
    groups = _groups(ours, shards, per_kind)
    values = {
        "run": _run(scores, score_file) | {"recipe_title": recipe_title},
        "titles": dict(titles),
        "counts": list(_counts(ours, shards)),
        "groups": groups,
        "filters": list(_filters(groups, titles)),
        "outcomes": OUTCOMES,
        "external": scores.height - ours.height,
        "wanted": per_kind,
    }
    with atomic_file(output) as temporary:
        temporary.write_text(_render(values, per_kind), encoding="utf-8")


def first_difference(prediction: str, right: str) -> tuple[Span, Span] | None:
    """The first word in which two texts differ, in each of them; None where all words are the same.

    Where one text ends before the other, its span is empty and stands at its end.
    """
    if prediction.split() == right.split():
        return None
    shared = _shared_words(prediction, right)
    return _word_span(prediction, shared), _word_span(right, shared)


def _word_span(text: str, number: int) -> Span:
    """The position of a word, counted from 0; the end of the text where it has too few."""
    match = next(itertools.islice(re.finditer(r"\S+", text), number, None), None)
    return match.span() if match else (len(text.rstrip()),) * 2


def excerpt(text: str, marked: Span | None = None, longest: int = _LONGEST) -> Excerpt:
    """The beginning of a text, or the part around its marked word where that stands further on."""
    start = 0 if marked is None or marked[1] <= longest else max(0, marked[0] - longest // 2)
    end = min(start + longest, len(text))
    if marked is None:
        return Excerpt(start, text[start:end], "", None, "", "", len(text) - end)
    first, last = marked[0], min(marked[1], end)
    line = max(text.rfind("\n", start, first) + 1, start)
    newline = text.find("\n", last, end)
    stop = end if newline < 0 else newline
    parts = text[start:line], text[line:first], text[first:last], text[last:stop], text[stop:end]
    return Excerpt(start, *parts, len(text) - end)


def _read_scores(path: str | Path) -> pl.DataFrame:
    """The rows of a score file with free conversion, and what puts levels and modalities in order."""
    try:
        frame = pl.read_parquet(path, columns=[*_SCORES, "external", "conversion"], glob=False)
        return frame.filter(conversion="free").with_columns(
            level_order=pl.col("level").cast(pl.Enum(LEVELS)),
            modality_order=pl.col("modality").cast(pl.Enum(MODALITIES)),
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable("score file", path, error) from None


def _run(scores: pl.DataFrame, path: str | Path) -> dict[str, Any]:
    runs = scores.select(_RUN).unique()
    if runs.height != 1:
        raise DataError(f"the scores {path} are of {runs.height} runs, but the page shows one: give one run's scores.")
    return runs.row(0, named=True)


def _refuse_unknown(scores: pl.DataFrame, shards: Shards, path: str | Path) -> None:
    for (task, level), part in scores.partition_by("task", "level", as_dict=True).items():
        paths = shards.get(task, {}).get(level, ())
        known = list(_read_shards(paths, ["puzzle_id"])["puzzle_id"]) if paths else list[str]()
        missing = part.filter(~pl.col("puzzle_id").is_in(known))["puzzle_id"]
        if len(missing):
            raise DataError(
                f"the scores {path} have the puzzle {missing[0]}, but it is in none of the {len(paths)} evaluation "
                f"shards of {task} {level}: give all of them, or score again where the puzzles were made anew."
            )


def _read_shards(paths: Sequence[str], columns: Sequence[str], ids: Sequence[str] | None = None) -> pl.DataFrame:
    """Columns of a set's puzzles, or of those with the given names alone."""
    wanted = pl.lit(True) if ids is None else pl.col("puzzle_id").is_in(list(ids))
    try:
        return pl.scan_parquet(list(paths), glob=False).filter(wanted).select(columns).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable("puzzle shard", f"{paths[0]}, or one after it,", error, remove="them") from None


def _sets(scores: pl.DataFrame, shards: Shards) -> Iterator[tuple[dict[str, str], pl.DataFrame]]:
    """The rows of each task, level and modality in the order of the puzzles; tasks are in the order of ``shards``."""
    order = pl.col("task").cast(pl.Enum(list(shards)))
    rows = scores.sort(order, "level_order", "modality_order", "puzzle_id")
    for key, part in rows.partition_by(_SET, as_dict=True, maintain_order=True).items():
        yield dict(zip(_SET, map(str, key), strict=True)), part


def _counts(scores: pl.DataFrame, shards: Shards) -> Iterator[dict[str, Any]]:
    """How often each outcome came in each set; ``n`` is their sum."""
    for names, part in _sets(scores, shards):
        found = dict(part["outcome"].value_counts().iter_rows())
        yield names | {"n": part.height, "outcomes": {each.name: found.get(each.name, 0) for each in OUTCOMES}}


def _groups(scores: pl.DataFrame, shards: Shards, per_kind: int) -> list[dict[str, Any]]:
    """The examples of each set, by outcome; sets without any are left out."""
    groups = []
    for names, part in _sets(scores, shards):
        failures = part.filter(pl.col("outcome").is_in([each.name for each in OUTCOMES if each.shown]))
        chosen = failures.group_by("outcome", maintain_order=True).head(per_kind)
        cards = _cards(chosen, shards[names["task"]][names["level"]]) if chosen.height else []
        numbers = dict(failures["outcome"].value_counts().iter_rows())
        kinds = [
            {
                "outcome": each,
                "n": numbers[each.name],
                "cards": [card for card in cards if card["outcome"] == each.name],
            }
            for each in OUTCOMES
            if each.name in numbers
        ]
        if kinds:
            groups.append(names | {"kinds": kinds})
    return groups


def _cards(chosen: pl.DataFrame, paths: Sequence[str]) -> list[dict[str, Any]]:
    """A card for each chosen example: its score and its puzzle; only these puzzles are read."""
    puzzles = _read_shards(paths, _PUZZLES, chosen["puzzle_id"].unique().to_list())
    by_name = {puzzle["puzzle_id"]: puzzle for puzzle in puzzles.iter_rows(named=True)}
    return [_card(score, by_name[score["puzzle_id"]]) for score in chosen.iter_rows(named=True)]


def _filters(groups: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The filters of the page: fields of the examples, and what they hold, with its titles."""
    names = {field: list(dict.fromkeys(group[field] for group in groups)) for field in _SET}
    yield {"field": "task", "title": "Task", "choices": {name: titles.get(name, name) for name in names["task"]}}
    yield {"field": "level", "title": "Level", "choices": {name: name for name in names["level"]}}
    yield {"field": "modality", "title": "Modality", "choices": {name: name for name in names["modality"]}}
    outcomes = {kind["outcome"].name for group in groups for kind in group["kinds"]}
    choices = {each.name: each.title for each in OUTCOMES if each.name in outcomes}
    yield {"field": "outcome", "title": "Outcome", "choices": choices}


def _card(score: dict[str, Any], puzzle: dict[str, Any]) -> dict[str, Any]:
    """The card of one example."""
    text, right = puzzle["text"], _right_response(puzzle, score["prediction"])
    prediction = _in_lines(score["prediction"], right)
    # A mark says nothing where the diagnosis found no step: a prediction may go its own way and be right.
    marks = first_difference(prediction, right) if score["first_error_step"] is not None else None
    prediction_mark, right_mark = marks or (None, None)
    return score | {
        "headline": _headline(score),
        "answer": excerpt(score["answer"], longest=_LONGEST_VALUE),
        "gold": excerpt(score["gold"], longest=_LONGEST_VALUE),
        "expected": _value(score["expected"]),
        "observed": _value(score["observed"]),
        "picture": _picture(puzzle["image"]["bytes"], score["modality"]),
        "text": excerpt(text),
        "question": excerpt(score["question"].removeprefix(text).strip("\n")),
        "prediction": excerpt(prediction, prediction_mark),
        "right": excerpt(right, right_mark),
        "marked": marks is not None,
        "laid_out": prediction != score["prediction"],
    }


def _headline(score: dict[str, Any]) -> str:
    """The error and its step, in one line."""
    error = f"{score['error']} error"
    step = score["first_error_step"]
    place = "" if step is None else f" in step {step}" if step else " before the first step"
    return f"Right answer, but {error}{place}" if score["correct"] else f"{error.capitalize()}{place}"


def _value(text: str | None) -> Excerpt | None:
    return excerpt(text, longest=_LONGEST_VALUE) if text else None


def _in_lines(prediction: str, right: str) -> str:
    """A prediction of one line in lines as the right response has them; any other as it is.

    The tiny model knows words alone, and writes no line breaks.
    """
    words = prediction.split()
    return "\n".join(split_like(words, lines(right))) if prediction == " ".join(words) else prediction


def _right_response(puzzle: dict[str, Any], prediction: str) -> str:
    """The right response in the words that the prediction begins with: of all wordings the one that agrees longest.

    A prediction may transcribe the puzzle before its chain, write tokens instead, or use an alternative chain.
    """
    tokens = (re.match(rf"(?:{re.escape(CONVERT_TOKEN)}\s*)*", prediction) or [""])[0].count(CONVERT_TOKEN)
    frame = pl.DataFrame([{name: puzzle[name] for name in _RESPONSE}], schema=_RESPONSE)
    forms: tuple[Format, ...] = ("text", "image_via_text")
    chains = [FULL, *(chain["name"] for chain in puzzle["alternatives"])]
    responses: list[str] = [frame.select(response(form, chain, tokens)).item() for form in forms for chain in chains]
    return max(responses, key=lambda right: _shared_words(prediction, right))


def _shared_words(first: str, second: str) -> int:
    """How many words two texts share before they first differ."""
    words, others = first.split(), second.split()
    pairs = enumerate(zip(words, others, strict=False))
    return next((at for at, (word, other) in pairs if word != other), min(len(words), len(others)))


def _picture(png: bytes, modality: str) -> dict[str, Any]:
    """The image as a data address, the width in which it is shown, and whether it needs the page's whole width.

    Its pixels are the stored ones; as WebP they take half the room.
    """
    webp = io.BytesIO()
    image = decode_image(png)
    width, height = image.size
    image.save(webp, "webp", lossless=True)
    enlarged = max(1, _ENLARGED[modality] // width)
    source = data_address(webp.getvalue(), "image/webp")
    return {"source": source, "width": width * enlarged, "enlarged": enlarged, "wide": width > 1.5 * height}


def _render(values: dict[str, Any], per_kind: int) -> str:
    """The page with as many examples of each outcome as it can hold."""
    template = open_template(TEMPLATE)
    for shown in range(per_kind, -1, -1):
        page = template.render(**values, shown=shown)
        if len(page.encode()) <= _LARGEST:
            break
    return page
