"""The tables and examples of docs/recipes.md: python -m docs writes the page."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from docs.blocks import fill_block
from docs.pictures import record
from s2h.overlays import read_config, read_values
from s2h.phases import Part, Phase
from s2h.supervision.formats import FORMATS, FULL, has_image, prompt, response
from s2h.supervision.recipes import Recipe, count, examples_seen

PAGE = Path(__file__).parent / "recipes.md"

_TASK = "table_readout"
_BUDGET = 30_000
_COUNTED = ("text", "image", "image_text", "mix", "mix_plus", "align_mix_plus")
"""Recipes whose examples and puzzles the page counts."""


def formats() -> str:
    """One puzzle in each supervision format."""
    puzzle = record(read_config(), _TASK, "SIMPLE")
    frame = pl.DataFrame([{column: value for column, value in puzzle.items() if column != "image"}])
    parts = []
    for form in FORMATS:
        read, learned = (frame.select(words).item() for words in (prompt(form), response(form)))
        shown = "[the image]\n\n" if has_image(form) else ""
        parts.append(f"`{form}` reads\n\n```text\n{shown}{read}\n```\n\nand learns\n\n```text\n{learned}\n```")
    return "\n\n".join(parts)


def part_in_words(part: Part) -> str:
    """A part of a phase in one line."""
    extras = [
        *([f"chain {part.chain}"] if part.chain != FULL else []),
        *([f"{part.convert_tokens} tokens for the transcription"] if part.convert_tokens else []),
        *([f"each {part.repeats} times"] if part.repeats > 1 else []),
    ]
    return f"{part.share} {part.level} {part.format}" + (f" ({', '.join(extras)})" if extras else "")


def phase_in_words(phase: Phase) -> str:
    """A phase in one line."""
    extras = [
        *([f"budget x {phase.budget}"] if phase.budget != 1 else []),
        *([f"{float(phase.epochs):g} epochs"] if phase.epochs != 1 else []),
        *([phase.order] if phase.order != "shuffled" else []),
    ]
    held = " + ".join(map(part_in_words, phase.parts))
    return f"{', '.join(extras)}: {held}" if extras else held


def recipe_in_words(recipe: Recipe) -> str:
    """All phases of a recipe, one after the other."""
    return ", then ".join(map(phase_in_words, recipe.phases)) or "nothing is trained: give it the budget 0"


def all_recipes() -> str:
    """Every recipe that is shipped, in the order of the file."""
    recipes = read_config().recipes
    rows = [
        f"| `{name}` | {recipes[name].title} | {recipe_in_words(recipes[name])} |" for name in read_values()["recipes"]
    ]
    return "\n".join(["| recipe | title | what it holds |", "| --- | --- | --- |", *rows])


def compute() -> str:
    """Examples and different puzzles of some recipes at one budget."""
    lines = ["| recipe | phase | examples seen | different puzzles of each part |", "| --- | --: | --: | --- |"]
    recipes = read_config().recipes
    for name in _COUNTED:
        for number, phase in enumerate(recipes[name].phases, start=1):
            puzzles = [f"{each.unique:,} {each.part.level} as {each.part.format}" for each in count(phase, _BUDGET)]
            lines.append(f"| `{name}` | {number} | {examples_seen(phase, _BUDGET):,} | {', '.join(puzzles)} |")
    return "\n".join(lines)


SECTIONS = {"formats": formats, "compute": compute, "recipes": all_recipes}
"""What is written into the page, by the names of its places."""


def written(page: str) -> str:
    """The page with its sections as they are now."""
    for name, make in SECTIONS.items():
        page = fill_block(page, name, make())
    return page
