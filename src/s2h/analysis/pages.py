"""What the pages of the tables share: their lines, headings and order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from s2h.files import whole_file
from s2h.puzzles.record import LEVELS, MODALITIES

PAGE = ("task", "model", "budget", "seed")
"""What the runs of one table share."""

ABSENT = "–"
"""Stands where there is no number."""

Cell = tuple[str, str]
"""(level, modality)."""

Section = tuple[str, str, Iterable[str]]
"""Name of the task, heading, lines below it."""


def write_csv(frame: pl.DataFrame, path: str | Path) -> None:
    """Write a table with four decimals."""
    with whole_file(path) as temporary:
        frame.write_csv(temporary, float_precision=4)


def write_page(text: str, path: str | Path) -> None:
    """Write a page."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render_page(title: str, sections: Iterable[Section], task_titles: Mapping[str, str]) -> str:
    """A page of sections; a task's title stands above its first one."""
    lines = [f"# {title}", ""]
    current = None
    for task, heading, body in sections:
        if task != current:
            current = task
            lines += [f"## {task_titles.get(task, task)}", ""]
        lines += [f"### {heading}", "", *body, ""]
    return "\n".join(lines)


def run_sections(frame: pl.DataFrame, body: Callable[[pl.DataFrame], Iterable[str]]) -> Iterator[Section]:
    """A section for each task, model, budget and seed of a table."""
    for key, part in (
        frame.sort(PAGE, maintain_order=True).partition_by(PAGE, as_dict=True, maintain_order=True).items()
    ):
        task, model, budget, seed = key
        yield str(task), f"{model}, budget {budget:,}, seed {seed}", body(part)


def sets_of(part: pl.DataFrame) -> list[Cell]:
    """The levels and modalities that a table has rows of, in order."""
    found = set(part.select("level", "modality").iter_rows())
    return [(level, modality) for level in LEVELS for modality in MODALITIES if (level, modality) in found]


def table_head(words: Sequence[str], numbers: Sequence[str], notes: Sequence[str] = ()) -> list[str]:
    """The first two lines of a table: columns of words, of numbers, and of words again."""
    marks = ["---"] * len(words) + ["--:"] * len(numbers) + ["---"] * len(notes)
    return [table_line([*words, *numbers, *notes]), table_line(marks)]


def table_line(cells: Iterable[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cells) + " |"


def by_recipe(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each recipe under its title, in the order of the titles, then of the names.

    Where several tasks were trained together, their name stands behind the recipe.
    """
    runs = part.partition_by("recipe", "trained_on", "task", as_dict=True, maintain_order=True)
    order = recipe_order(recipe_titles)
    for key in sorted(runs, key=lambda key: (order(str(key[0])), key)):
        recipe, trained_on, task = map(str, key)
        yield recipe_titles.get(recipe, recipe) + ("" if trained_on == task else f" ({trained_on})"), runs[key]


def recipe_order(recipes: Iterable[str]) -> Callable[[str], tuple[int, str]]:
    """A sorting key: the given recipes in their order, then others by name."""
    places = {recipe: place for place, recipe in enumerate(recipes)}
    return lambda recipe: (places.get(recipe, len(places)), recipe)


def percent(share: float | None) -> str:
    """A share or a difference of shares in whole per cent."""
    return ABSENT if share is None else str(round(100 * share))


def percent_interval(share: float, low: float, high: float) -> str:
    """The same with its interval."""
    return f"{percent(share)} [{percent(low)}, {percent(high)}]"
