"""Another study in the same results folder, told by the records of its puzzles, before anything is planned.

A study is known by its puzzles. Where models were trained on them, or predictions made, a config that makes them with
other settings belongs to another study. Growing a study changes no puzzle that is there. Other settings of a model or a
recipe change none either, and cost nothing that took long (``s2h.provenance.kept``); new code is an improvement.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from s2h.errors import DataError
from s2h.plan.puzzle_stage import PuzzleStage
from s2h.provenance.records import Record, all_records, read_record, record_path, recorded_output

_FROM_PUZZLES = ("models", "base_models", "predictions")
_SHOWN = 5  # settings that differ


def refuse_another_study(puzzles: PuzzleStage) -> None:
    """End the program where the plan would replace puzzles on which models were trained or predictions made.

    Args:
        puzzles: the stage of the plan that makes puzzles; its config may allow it (``replace``).
    """
    if puzzles.config.replace:
        return
    results, changes = puzzles.config.results, _changes(puzzles)
    made = _made_from(changes, results) if changes else {}
    if made:
        differences = sorted({line for folder in made for line in changes[folder]})
        outputs = sorted({output for each in made.values() for output in each})
        sys.exit(_refusal(results, outputs, differences))


def _refusal(results: str, outputs: Sequence[str], differences: Sequence[str]) -> str:
    made = f"{outputs[0]} and {len(outputs) - 1} more" if len(outputs) > 1 else outputs[0]
    lines = [*differences[:_SHOWN], *([f"and {len(differences) - _SHOWN} more"] if len(differences) > _SHOWN else [])]
    differ = "\n  ".join(lines)
    return (
        f"s2h: {results} holds another study: {made} came from puzzles that this config would replace, as these "
        f"settings differ:\n  {differ}\nGive this study a folder of its own (--config results=results/NAME), or "
        "replace the other one (--config replace=true)."
    )


def _changes(puzzles: PuzzleStage) -> dict[str, list[str]]:
    """For each folder of puzzles, below the results, that would be made with other settings: what differs."""
    found = {}
    for task in puzzles.config.task_names():
        for level, sizes in puzzles.sizes(task).items():
            for split in (split for split, size in sizes.items() if size):
                shard = puzzles.shards(task, level, split, 1)[0]
                if record := _record(shard, puzzles.config.results):
                    of = SimpleNamespace(task=task, level=level, split=split)
                    found[f"/puzzles/{task}/{level}/{split}/"] = [*_differences(record.params, puzzles, of)]
    return {folder: changes for folder, changes in found.items() if changes}


def _record(output: str, results: str) -> Record | None:
    place = record_path(output, results)
    try:
        return read_record(place) if place else None
    except DataError:
        return None


def _differences(params: Mapping[str, Any], puzzles: PuzzleStage, of: Any) -> Iterator[str]:
    """The keys of the config that decide a shard and differ from those that made it, each with both values."""
    config = puzzles.config
    yield from _changed("seed", params.get("seed"), config.seed)
    size = params["span"][1] if "span" in params else None
    yield from _changed(f"shard_size.{of.split}", size, getattr(config.shard_size, of.split))
    yield from _changed(f"tasks.{of.task}", params.get("settings"), puzzles.level_settings(of))


def _changed(name: str, made: Any, planned: Any) -> Iterator[str]:
    """Lines for values that differ; what only one of two versions of the program knows is no change of the user's."""
    if isinstance(made, Mapping) and isinstance(planned, Mapping):
        for key in made.keys() & planned.keys():
            yield from _changed(f"{name}.{key}", made[key], planned[key])
    elif made not in (None, planned):
        yield f"{name}: {made} there, {planned} in this config"


def _made_from(folders: Collection[str], results: str) -> dict[str, list[str]]:
    """The models and predictions that are there, by the folder of puzzles from which they were made."""
    found: dict[str, list[str]] = {}
    for kind in _FROM_PUZZLES:
        for place in all_records(results, kind):
            output = recorded_output(place, results)
            record = _record(output, results)
            if record and Path(output).exists():
                for folder in {folder for path in record.inputs for folder in folders if folder in path}:
                    found.setdefault(folder, []).append(output)
    return found
