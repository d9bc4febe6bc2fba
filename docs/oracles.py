"""What scoring makes of predictions that are all right, and of predictions that are all wrong: python -m docs.oracles.

It prints the table of docs/metrics.md: every task, style and level, in every supervision format with and without a
chain of thought, through VLMEvalKit and our judges. A cell is the worst of these for right predictions, and the best of
them for wrong ones, in per cent.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from s2h.diagnosis.diagnoser_registry import METRICS, find_diagnoser
from s2h.overlays import read_config
from s2h.puzzles.grid_navigation import NO_PATH
from s2h.puzzles.shards import PuzzleSet, draw_puzzle, read_shards, write_shard
from s2h.puzzles.task import Task
from s2h.puzzles.task_registry import TASKS, make_task
from s2h.scoring.decoding import Prediction
from s2h.scoring.score_record import Score
from s2h.scoring.sets import read_set
from s2h.scoring.vlmevalkit import score_set
from s2h.supervision.formats import TRANSCRIPTION_HEADER, Format, has_image, response

COUNTS = {"num_obstacles", "objects_collected", "objects"}
SHARES = [name for name in METRICS if name not in COUNTS]
FORMS: tuple[Format, ...] = ("text", "image", "image_via_text")
IDENTITY = {"trained_on": "", "recipe": "", "model": "", "budget": 0, "seed": 0}


def wrong_answer(task: Task[Any], level: Any, gold: str) -> str:
    """An answer of the right form that solves nothing: that of another puzzle."""
    if task.name == "grid_navigation":  # whose other puzzles' answers may go part of the way
        return NO_PATH
    others = (draw_puzzle(task, PuzzleSet(1, level, "eval"), index)[0] for index in itertools.count())
    return next(answer for answer in map(task.answer, others) if answer != gold)


def predictions(
    task: Task[Any], level: Any, records: list[dict[str, Any]], form: Format
) -> Iterator[tuple[bool, bool, list[str]]]:
    """(whether they are right, whether they have a chain, the predictions) in one format."""
    frame = pl.DataFrame(records)
    for chain in ("full", "none"):
        yield True, chain == "full", frame.select(response(form, chain)).to_series().to_list()
    opening = f"{TRANSCRIPTION_HEADER}\n\nnothing\n\n" if form == "image_via_text" else ""
    answers = [wrong_answer(task, level, record["answer"]) for record in records]
    yield False, True, [f"{opening}I do not know.\n\nAnswer: {answer}" for answer in answers]
    yield False, False, [f"{opening}Answer: {answer}" for answer in answers]


def scored(task: Task[Any], level: Any, puzzles: int, work: Path) -> Iterator[tuple[bool, bool, list[Score]]]:
    """The scores of all these predictions."""
    shard = str(work / f"{task.name}-{level}.parquet")
    write_shard(shard, task, PuzzleSet(0, level, "eval"), (0, puzzles), progress=lambda done: None)
    records = [{k: v for k, v in record.items() if k != "image"} for record in read_shards([shard])]
    for form in FORMS:
        eval_set = read_set(task, level, "image" if has_image(form) else "text", [shard])
        for number, (right, chain, texts) in enumerate(predictions(task, level, records, form)):
            folder = work / f"{form}-{number}"
            found = [Prediction(text, None, 0.0) for text in texts]
            yield right, chain, score_set(eval_set, found, work=folder, identity=IDENTITY)


def row(task: Task[Any], level: Any, puzzles: int, right: bool) -> list[str]:
    """Accuracy, chain accuracy and metrics of the worst right predictions, or of the best wrong ones."""
    with tempfile.TemporaryDirectory() as name:
        found = [(chain, scores) for was, chain, scores in scored(task, level, puzzles, Path(name)) if was == right]
    worst = min if right else max
    cells = [
        worst(sum(score.correct for score in scores) / len(scores) for _, scores in found),
        worst(sum(score.chain_correct for score in scores) / len(scores) for chain, scores in found if chain),
    ]
    own = find_diagnoser(task).metrics
    for metric in SHARES:
        # What is measured on the chain is not asked of predictions without one.
        values = [s.metrics.get(metric) for chain, scores in found if chain for s in scores]
        known = [value for value in values if value is not None]
        cells.append(worst(known) if metric in own and known else None)
    return ["–" if cell is None else f"{100 * cell:.0f}" for cell in cells]


def table(puzzles: int) -> str:
    """The whole table."""
    heads = ["task", "style", "level", "predictions", "accuracy", "chain accuracy", *SHARES]
    lines = [f"| {' | '.join(heads)} |", f"| --- | --- | --- | --- {'| --: ' * (len(heads) - 4)}|"]
    for name in TASKS:
        for style, overlays in (("compact", ()), ("paper", ("paper",))):
            settings = read_config(*overlays).task(name)
            if settings.style != style:
                continue
            task = make_task(name, settings.model_dump(mode="json"))
            for level in settings.levels:
                for right in (True, False):
                    cells = [task.title, style, level, "right" if right else "wrong", *row(task, level, puzzles, right)]
                    lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--puzzles", type=int, default=20, help="of each level")
    print(table(parser.parse_args().puzzles))


if __name__ == "__main__":
    main()
