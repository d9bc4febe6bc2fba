"""The puzzles that docs/tasks.md shows: python -m docs writes the page.

Shown are the first SIMPLE and HARD evaluation puzzle of every task, in the sizes of the default and of the paper's
config: their pictures in docs/images/, their texts, and the settings of the levels. A task that is not yet on the page
gets a section at its end.
"""

from __future__ import annotations

import inspect
import io
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from docs.blocks import block_names, fill_block
from s2h.config import Config
from s2h.overlays import read_config
from s2h.puzzles.record import LEVELS
from s2h.puzzles.shards import PuzzleSet, make_record
from s2h.puzzles.task import Level, Task
from s2h.puzzles.task_registry import TASKS
from s2h.supervision.formats import prompt, response

PAGE = Path(__file__).parent / "tasks.md"
IMAGES = Path(__file__).parent / "images"
CONFIGS = {"default": (), "paper": ("paper",)}
"""The config files that are laid over the default, by what the page calls the result."""

_SHOWN: tuple[Level, ...] = ("SIMPLE", "HARD")
_ENLARGED = 3
"""How many times compact images are enlarged."""
_SIZES = {"image_side", "levels", "style", "train", "eval"}
"""Settings that say nothing about how hard a puzzle is."""


def record(config: Config, name: str, level: Level, index: int = 0) -> dict[str, Any]:
    """An evaluation puzzle of a level as it is stored in a shard."""
    found = make_record(config.task_object(name), PuzzleSet(config.seed, level, "eval"), index)
    return {column: getattr(found, column) for column in found.__slots__}


def picture(task: Task[Any], png: bytes) -> bytes:
    """The image as the page shows it: the file itself, or a compact one enlarged."""
    if not task.compact:
        return png
    small = Image.open(io.BytesIO(png))
    large = small.resize((small.width * _ENLARGED, small.height * _ENLARGED), Image.Resampling.NEAREST)
    large.save(written := io.BytesIO(), "PNG", optimize=True)
    return written.getvalue()


def texts(puzzle: dict[str, Any], level: Level) -> str:
    """What a model reads of a puzzle, and the response that it learns, folded in."""
    frame = pl.DataFrame([{column: value for column, value in puzzle.items() if column != "image"}])
    read, learned = (frame.select(words).item() for words in (prompt("text"), response("text")))
    return (
        f"<details><summary>{level} as text, and the response that is learned</summary>\n\n"
        f"```text\n{read}\n```\n\n```text\n{learned}\n```\n\n</details>"
    )


def cell(value: Any) -> str:
    """A setting in words: a range, families of paths, combinations, a list, or a number."""
    match value:
        case dict():
            return "; ".join(f"{name} on {' or '.join(members)}" for name, members in value.items())
        case [{"family": _}, *_]:
            notes = (" (training only)" if each["eval_share"] == 0 else "" for each in value)
            return ", ".join(f"{each['family']}{note}" for each, note in zip(value, notes, strict=True))
        case [int(least), int(most)]:
            return str(least) if least == most else f"{least} to {most}"
        case list():
            return ", ".join(map(str, value))
    return str(value)


def level_settings(name: str, config: Config) -> dict[str, dict[str, str]]:
    """What a puzzle of each level is like, by the setting's name."""
    settings = config.task(name).model_dump(mode="json")
    shared = {key: cell(value) for key, value in settings.items() if key not in _SIZES}
    levels = sorted(settings["levels"], key=LEVELS.index)
    return {
        level: shared | {key: cell(value) for key, value in settings["levels"][level].items() if key not in _SIZES}
        for level in levels
    }


def settings_table(name: str, configs: dict[str, Config]) -> str:
    """The settings of a task's levels, a column for each level of each config."""
    columns = {
        f"{title} {level}": settings
        for title, config in configs.items()
        for level, settings in level_settings(name, config).items()
    }
    rows = [["", *columns], ["---"] * (len(columns) + 1)]
    for key in next(iter(columns.values())):
        rows.append([f"`{key}`", *(settings.get(key, "") for settings in columns.values())])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def section(name: str, configs: dict[str, Config]) -> tuple[str, dict[str, bytes]]:
    """What the page shows of a task, and the pictures by their file names."""
    settings = {title: config.task(name) for title, config in configs.items()}
    configs = {
        title: configs[title] for title in configs if title == "default" or settings[title] != settings["default"]
    }
    parts, pictures = [settings_table(name, configs)], {}
    for title, config in configs.items():
        task = config.task_object(name)
        puzzles = {level: record(config, name, level) for level in _SHOWN if level in task.settings.levels}
        files = {level: f"{name}-{title}-{level.lower()}.png" for level in puzzles}
        pictures |= {files[level]: picture(task, puzzle["image"]["bytes"]) for level, puzzle in puzzles.items()}
        shown = " | ".join(f"![{task.title}, {level}, {title} config](images/{files[level]})" for level in puzzles)
        width, height = task.image_size
        heads = " | ".join(f"{title} {level}, {width} x {height} pixels" for level in puzzles)
        parts.append(f"| {heads} |\n|{' --- |' * len(puzzles)}\n| {shown} |")
        parts += [texts(puzzle, level) for level, puzzle in puzzles.items()]
    return "\n\n".join(parts), pictures


def new_section(name: str) -> str:
    """The heading of a task, what its class says of it, and the place of its puzzles."""
    about = inspect.cleandoc(TASKS[name].__doc__ or "").partition("\n\n")[0]
    return f"\n## {TASKS[name].title}\n\n{about}\n\n<!-- {name}: begin -->\n\n<!-- {name}: end -->\n"


def drawn(page: str) -> tuple[str, dict[str, bytes]]:
    """The page with the sections as they are now, and all its pictures by their file names."""
    configs = {title: read_config(*overlays) for title, overlays in CONFIGS.items()}
    pictures: dict[str, bytes] = {}
    page += "".join(new_section(name) for name in TASKS if name not in block_names(page))
    for name in block_names(page):
        written, found = section(name, configs)
        pictures |= found
        page = fill_block(page, name, written)
    return page, pictures
