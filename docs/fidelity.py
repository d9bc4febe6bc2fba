"""Measure our puzzles at the paper's settings, beside what was published: python -m docs.fidelity.

It writes the tables between the two marks in docs/fidelity.md. Figures of the paper's generator come from running the
released code (2,000 paths for a path setting, 20,000 candidate grids and 2,000 analogies for a level).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.puzzles import settings
from docs.blocks import fill_block
from s2h.baselines.measuring import measure_baselines
from s2h.overlays import read_config
from s2h.puzzles import grid_navigation as grids
from s2h.puzzles.analogy_panels import PAIRS, Analogy, read
from s2h.puzzles.grid_navigation import Grid, GridNavigation
from s2h.puzzles.shards import PuzzleSet, draw_puzzle
from s2h.puzzles.table_readout import TableReadout
from s2h.puzzles.table_task import Table, turns
from s2h.puzzles.task import Task
from s2h.puzzles.task_registry import make_task
from s2h.puzzles.visual_analogy import VisualAnalogy
from s2h.seeding import BufferedRng, generator
from s2h.supervision.formats import TRANSCRIPTION_HEADER
from s2h.validation.grid_checker import fewest_moves, read_text

PAGE = Path(__file__).with_name("fidelity.md")
Rows = list[tuple[str, ...]]


def drawn(task: Task[Any], level: Any, number: int, split: Any = "train") -> list[Any]:
    """The first puzzles of a set."""
    return [draw_puzzle(task, PuzzleSet(0, level, split), index)[0] for index in range(number)]


def spread(values: Sequence[float]) -> str:
    """The 5th, 50th and 95th percentile."""
    return "/".join(str(round(value)) for value in np.percentile(values, [5, 50, 95]))


def percent(part: float, whole: float) -> str:
    """A share in per cent."""
    return f"{100 * part / whole:.0f} %"


def characters(task: Task[Any], puzzles: Sequence[Any]) -> tuple[float, float]:
    """Mean length of a response, and what a transcription of the image adds to it."""
    responses = [len(f"{task.chain_of_thought(puzzle)}\n\n{task.answer_block(puzzle)}") for puzzle in puzzles]
    transcriptions = [len(f"{TRANSCRIPTION_HEADER}\n\n{task.to_text(puzzle)}\n\n") for puzzle in puzzles]
    return float(np.mean(responses)), float(np.mean(transcriptions))


def consecutive_tables(number: int) -> Rows:
    """Lengths, directions and responses of Consecutive Table Readout."""
    task = make_task("consecutive_table_readout", settings("consecutive_table_readout"))
    rows, responses = [], []
    for level, declared in (("SIMPLE", "5-10"), ("MEDIUM", "15-20"), ("HARD", "25-30")):
        puzzles: list[Table] = drawn(task, level, number)
        lengths = Counter(len(puzzle.path) for puzzle in puzzles)
        shares = " ".join(f"{length}: {percent(lengths[length], number)}" for length in sorted(lengths))
        rows.append((f"{level}: cells ({declared} declared)", "1-5: 2 % each, 6-9: 17-19 % each, 10: 16 %", shares))
        responses.append(characters(task, puzzles))
        if level == "SIMPLE":
            backwards = sum(puzzle.path[0] > puzzle.path[-1] for puzzle in puzzles)
            rows.append(("paths that run backwards", "50 %", percent(backwards, number)))
    means = ", ".join(f"{response:.0f}" for response, _ in responses)
    rows.append(("characters of a response, SIMPLE, MEDIUM, HARD", "425 (all levels alike)", means))
    rows.append(("characters that a transcription adds", "720", f"{np.mean([added for _, added in responses]):.0f}"))
    return rows


_PATHS = {  # family, gap, pieces: turns and length as published
    ("random", None, 4): ("0-3", "5-23, median 10"),
    ("sinusoidal", 0, 3): ("2-3", "11/16/22"),
    ("sinusoidal", 0, 4): ("2-3", "12/17/24"),
    ("sinusoidal", 1, 3): ("2-3", "10/15/22"),
    ("sinusoidal", 1, 4): ("2-3", "11/16/22"),
    ("sinusoidal", 0, 8): ("6-7", "25/35/47"),
    ("sinusoidal", 0, 10): ("6-9", "26/39/55"),
    ("sinusoidal", 1, 8): ("4-7", "20/31/43"),
    ("sinusoidal", 1, 10): ("4-9", "20/34/49"),
    ("spiral", 0, 3): ("2-3", "18/24/30"),
    ("spiral", 0, 4): ("3-4", "23/30/37"),
    ("spiral", 1, 3): ("2-3", "12/18/24"),
    ("spiral", 1, 4): ("3-4", "15/22/29"),
    ("spiral", 0, 6): ("5-6", "30/40/50"),
    ("spiral", 0, 8): ("5-8", "31/45/60"),
    ("spiral", 1, 6): ("3-6", "17/27/38"),
    ("spiral", 1, 8): ("3-7", "16/27/42"),
    ("compositional", None, 8): ("4-14, median 8", "31/46/63"),
    ("compositional", None, 10): ("4-17, median 8", "30/46/64"),
}


def path_families(number: int) -> Rows:
    """Turns and lengths of every family of paths as it is drawn, before a level's ranges choose among them."""
    task = make_task("table_readout", settings("table_readout"))
    families = {}
    for level in task.settings.levels.values():
        for family in level.families:
            families.setdefault((family.family, max(family.pieces)), family)
    rows: Rows = []
    for (name, gap, pieces), (published_turns, published_length) in _PATHS.items():
        family = next(f for (kind, most), f in families.items() if kind == name and (most >= pieces))
        change: dict[str, Any] = {} if name == "random" else {"pieces": (pieces,)}
        if gap is not None:
            change["gaps"] = (gap,)
        one = family.model_copy(update=change)
        rng = generator(0, "fidelity", name, gap or 0, pieces)
        shapes = rng.integers([7, 7], [13, 11], size=(number, 2)).tolist()
        paths = [path for shape in shapes if (path := one.draw(rng, (shape[0], shape[1])))]
        found = [turns(path) for path in paths]
        ours = f"{np.percentile(found, 0.5):.0f}-{np.percentile(found, 99.5):.0f}"
        label = name + ("" if gap is None else f" g{gap}") + f" p{'1-4' if name == 'random' else pieces}"
        rows.append((label, published_turns, ours, published_length, spread([len(path) for path in paths])))
    return rows


def table_levels(number: int) -> Rows:
    """What the levels of Table Readout hold after choosing by turns and lengths."""
    task = make_task("table_readout", settings("table_readout"))
    assert isinstance(task, TableReadout)
    rows: Rows = []
    published = {
        "SIMPLE": "0-4 turns; 95th percentiles up to 37 cells",
        "HARD": "3-17 turns; 5th percentiles from 16 cells",
    }
    for level in ("SIMPLE", "HARD"):
        puzzles: list[Table] = drawn(task, level, number)
        lengths, bends = [len(p.path) for p in puzzles], [turns(p.path) for p in puzzles]
        ours = f"{min(bends)}-{max(bends)} turns; {min(lengths)}-{max(lengths)} cells, {spread(lengths)}"
        rows.append((f"{level}: turns and cells", published[level], ours))
        response, added = characters(task, puzzles)
        rows.append((f"{level}: characters of a response", "940 on average, up to 2,400", f"{response:.0f}"))
        rows.append((f"{level}: characters that a transcription adds", "940", f"{added:.0f}"))
        tries = Counter[str]()
        for index in range(number):
            rng = generator(1, "yield", level, index)
            family = task.level(level).family(rng.random(), "train")
            shape = (int(rng.integers(7, 13)), int(rng.integers(7, 11)))
            path = family.draw(rng, shape)
            spec = task.level(level)
            kept = path and spec.path_length[0] <= len(path) <= spec.path_length[1]
            tries[f"{family.family} {bool(kept and spec.turns[0] <= turns(path) <= spec.turns[1])}"] += 1
        names = [family.family for family in task.level(level).families]
        shares = ", ".join(
            f"{name} {percent(tries[f'{name} True'], tries[f'{name} True'] + tries[f'{name} False'])}" for name in names
        )
        rows.append((f"{level}: draws that keep the ranges", "all are kept", shares))
    return rows


def grid_levels(number: int) -> Rows:
    """Searches, answers and yields of Grid Navigation."""
    task = make_task("grid_navigation", settings("grid_navigation"))
    assert isinstance(task, GridNavigation)
    published = {
        "SIMPLE": ("16", "16", "21 %", "0.4", "82 %", "1.04", "72 %", "860", "40 % / 7 % / 23 % / 30 %"),
        "HARD": ("37", "32", "69 %", "3.0", "30 %", "1.18", "98 %", "2,170", "55 % / 14 % / 9 % / 22 %"),
    }
    rows: Rows = []
    for level in ("SIMPLE", "HARD"):
        puzzles: list[Grid] = drawn(task, level, number)
        measured = [task.difficulty(puzzle) for puzzle in puzzles]
        moves = [each["moves"] for each in measured]
        fewest = [fewest_moves(read_text(task.to_text(puzzle))) for puzzle in puzzles]
        ours = (
            f"{np.median([each['steps'] for each in measured]):.0f}",
            f"{np.median(moves):.0f}",
            percent(sum(each["retraces"] > 0 for each in measured), number),
            f"{np.mean([each['retraces'] for each in measured]):.1f}",
            percent(sum(a == b for a, b in zip(moves, fewest, strict=True)), number),
            f"{np.mean([a / b for a, b in zip(moves, fewest, strict=True)]):.2f}",
            percent(sum(_revisits(puzzle) for puzzle in puzzles), number),
            f"{characters(task, puzzles)[0]:,.0f}",
            candidates(task, level, number),
        )
        rows += [(f"{level}: {name}", *pair) for name, *pair in zip(_GRID_ROWS, published[level], ours, strict=True)]
    added = characters(task, puzzles)[1]
    rows.append(("characters that a transcription adds", "810", f"{added:.0f}"))
    return rows


_GRID_ROWS = (
    "median steps of the search",
    "median moves of the answer",
    "puzzles with a retrace",
    "retraces, on average",
    "answers as short as any order of objects allows",
    "moves over the fewest possible, on average",
    "answers that come to a cell twice",
    "characters of a response",
    "candidates unsolved / too short / too long / kept",
)


def _revisits(puzzle: Grid) -> bool:
    cells = [puzzle.tour()[0]]
    for move in grids.surviving_moves(grids.search(puzzle)):
        by = grids.MOVES[move]
        cells.append((cells[-1][0] + by[0], cells[-1][1] + by[1]))
    return len(set(cells)) < len(cells)


def candidates(task: GridNavigation, level: Any, number: int) -> str:
    """What becomes of random grids: shares that are unsolved, too short, too long, kept.

    Like the released figures: one candidate of every size and number of objects has the same weight.
    """
    spec, found = task.level(level), Counter[str]()
    sizes = itertools.product(range(8, 13), range(8, 13))
    for (shape, objects), index in itertools.product(
        itertools.product(sizes, range(spec.objects[0], spec.objects[1] + 1)), range(max(1, number // 25))
    ):
        rng = generator(2, "candidate", level, *shape, objects, index)
        kinds = int(rng.integers(spec.obstacle_kinds[0], spec.obstacle_kinds[1] + 1))
        trace = grids._search(task._candidate(rng, shape, objects, kinds), 10_000)
        steps = -1 if trace is None else len(trace)
        found[
            "unsolved"
            if steps < 0
            else "short"
            if steps < spec.steps[0]
            else "long"
            if steps > spec.steps[1]
            else "kept"
        ] += 1
    return " / ".join(percent(found[kind], found.total()) for kind in ("unsolved", "short", "long", "kept"))


def analogy_levels(number: int) -> Rows:
    """Combinations, draws and responses of Visual Analogy."""
    task = make_task("visual_analogy", settings("visual_analogy"))
    assert isinstance(task, VisualAnalogy)
    rows: Rows = []
    for level, combinations, chance in (("SIMPLE", 17, "0.54"), ("HARD", 8, "0.70")):
        puzzles: list[Analogy] = drawn(task, level, number)
        readings = [read(puzzle) for puzzle in puzzles]
        targets = Counter(reading.options[reading.answer - 1] for reading in readings)
        least, most = (percent(pick(targets.values()), number) for pick in (min, max))
        even = f"{combinations}, {100 / combinations:.1f} % each"
        rows.append((f"{level}: combinations of the query", even, f"{len(targets)}, {least} to {most}"))
        answers = Counter(reading.answer for reading in readings)
        rows.append(
            (
                f"{level}: options 1 to 4 as the answer",
                "25 % each",
                " ".join(percent(answers[i], number) for i in range(1, 5)),
            )
        )
        rows.append((f"{level}: draws that give four options", chance, f"{full_queries(task, level, number):.2f}"))
        if level == "HARD":
            mixed = sum(puzzle.examples[0][0].family != puzzle.examples[1][0].family for puzzle in puzzles)
            rows.append((f"{level}: one example with lines, one with shapes", "49 %", percent(mixed, number)))
    response, added = characters(task, puzzles)
    rows.append(("characters of a response", "2,100", f"{response:,.0f}"))
    rows.append(("characters that a transcription adds", "1,200", f"{added:,.0f}"))
    for name in task.alternative_chains:
        rows.append(
            (
                f"characters of the chain {name}",
                "-",
                f"{np.mean([len(task.alternatives(p)[name]) for p in puzzles]):,.0f}",
            )
        )
    rows.append(
        ("direction of position progressions: across, down, diagonal", "2 % 2 % 96 %", directions(task, number))
    )
    return rows


def full_queries(task: VisualAnalogy, level: Any, number: int) -> float:
    """The share of contexts for which four options are found."""
    draws, contexts = BufferedRng(generator(3, "queries", level)), 0
    original, targets = task._context, task.simple if level == "SIMPLE" else task.held_out

    def count(*arguments: Any) -> Any:
        nonlocal contexts
        contexts += 1
        return original(*arguments)

    task._context = count  # type: ignore[method-assign]
    try:
        for _ in range(number):
            task._query(draws, draws.choice(targets), task.simple if level == "SIMPLE" else PAIRS)
    finally:
        del task._context
    return number / contexts


def directions(task: VisualAnalogy, number: int) -> str:
    """How often positions move across, down and diagonally."""
    draws, found = BufferedRng(generator(4, "directions")), Counter[int]()
    for _ in range(number):
        row = task._example(draws, ("shape position", "Progression"))
        first, second = ({thing.cell for thing in panel.things} for panel in row[:2])
        moves = [any({_moved(cell, step) for cell in first} == second for step in steps) for steps in _DIRECTIONS]
        found[moves.index(True)] += 1
    return " ".join(percent(found[i], number) for i in range(3))


_DIRECTIONS = ([(0, 1), (0, 2)], [(1, 0), (2, 0)], [(1, 1), (1, 2), (2, 1), (2, 2)])


def _moved(cell: int, step: tuple[int, int]) -> int:
    return (cell // 3 + step[0]) % 3 * 3 + (cell % 3 + step[1]) % 3


def guess_rates(number: int) -> Rows:
    """How often blind baselines are right on our sets, with the default settings and with the paper's."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for config in (read_config(), read_config("paper")):
        for name, level in itertools.product(config.task_names(), ("SIMPLE", "HARD")):
            task = config.task_object(name)
            puzzles = drawn(task, level, number, "eval")
            for _, _, baseline, n, correct in measure_baselines(task, level, puzzles, 0, learned_from=number):
                found.setdefault((task.title, level, baseline), []).append(percent(correct, n))
    return [(f"{title}, {level}", baseline, *rates) for (title, level, baseline), rates in found.items()]


TABLES: dict[str, tuple[tuple[str, ...], Callable[[int], Rows]]] = {
    "Consecutive Table Readout": (("measure", "published", "ours"), consecutive_tables),
    "Table Readout: families of paths as they are drawn": (
        ("family, gap, pieces", "turns published", "ours", "cells published (5/50/95)", "ours"),
        path_families,
    ),
    "Table Readout: levels": (("measure", "published", "ours"), table_levels),
    "Grid Navigation": (("measure", "published", "ours"), grid_levels),
    "Visual Analogy": (("measure", "published", "ours"), analogy_levels),
    "Guess rates": (("evaluation set", "blind baseline", "default settings", "the paper's settings"), guess_rates),
}
"""Heads and rows of the tables by their titles."""
_PUZZLES = 2000  # of each kind that the page's tables are made of


def table(title: str, number: int) -> str:
    """A table in Markdown below its title, from ``number`` puzzles of each kind."""
    heads, rows = TABLES[title]
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join(['---'] * len(heads))} |"]
    lines += [f"| {' | '.join(row)} |" for row in rows(number)]
    return f"### {title}\n\n" + "\n".join(lines)


def main() -> None:
    """Write the tables into the page."""
    tables = "\n\n".join(table(title, _PUZZLES) for title in TABLES)
    PAGE.write_text(fill_block(PAGE.read_text(), "measured", tables))


if __name__ == "__main__":
    main()
