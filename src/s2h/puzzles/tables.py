"""What the two table tasks share: a table of digits with a path of highlighted cells, whose values are to be added."""

from __future__ import annotations

import dataclasses
import re
from functools import lru_cache
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from s2h.puzzles import drawing
from s2h.puzzles.drawing import BLACK, RGB, WHITE, Indexes
from s2h.puzzles.task import Modality, Span, Task, TaskSettings, Verdict, final_answer

Cell = tuple[int, int]
"""(row, column), both from 0."""

DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_NOUNS = (
    "Widget", "Gadget", "Device", "Tool", "Instrument",
    "Apparatus", "Machine", "Contraption", "Engine", "Mechanism",
)  # fmt: skip
_PREFIXES = ("Nova", "Flux", "Terra", "Echo", "Zephyr", "Quartz", "Ember", "Lumen", "Orbit", "Cobalt")
PRODUCTS = tuple(f"{prefix} {noun}" for prefix in _PREFIXES for noun in _NOUNS)
COMPACT_ROWS = tuple("nopqrstuvwxyz")
COMPACT_COLUMNS = tuple("abcdefghijklm")

NAVY: RGB = (0x40, 0x46, 0x6E)
GREY: RGB = (0xF5, 0xF5, 0xF5)
YELLOW: RGB = (255, 255, 0)

_PALETTE = drawing.Palette((WHITE, BLACK), (GREY, BLACK), (YELLOW, BLACK), (NAVY, WHITE), (NAVY, BLACK))
_PAGE = (1500, 800)  # pixels; 15 x 8 inches at 100 dpi in the paper
_POINT = 100 / 72  # pixels in a point at 100 dpi
_RIGHT = 1420  # right edge of the table, between the paper's 1400 and 1430 pixels
_TILE = 16  # pixels in a compact cell: one patch of the tiny model's vision tower


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A table of digits and a path through it.

    Attributes:
        row_names: one name a row, all different.
        column_names: one name a column, all different.
        values: digits 0-9, one tuple a row.
        path: the highlighted cells from START to END, no cell twice.
    """

    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]
    path: tuple[Cell, ...]

    def path_values(self) -> list[int]:
        """The values along the path, in order."""
        return [self.values[row][column] for row, column in self.path]

    def place(self, cell: Cell) -> tuple[str, str]:
        """The row and column names of a cell."""
        return self.row_names[cell[0]], self.column_names[cell[1]]


class TableSettings(TaskSettings):
    """What all tables of a task share.

    Attributes:
        rows: range of the number of rows (the paper: 5 for Consecutive Table Readout, 7-12 for Table Readout).
        columns: range of the number of columns (the paper: 10, and 7-10).
    """

    rows: Span = Field(description="range of the number of rows")
    columns: Span = Field(description="range of the number of columns")

    @model_validator(mode="after")
    def _names_suffice(self) -> Self:
        compact = self.style == "compact"
        for side, span, names in (
            ("rows", self.rows, COMPACT_ROWS if compact else PRODUCTS),
            ("columns", self.columns, COMPACT_COLUMNS if compact else MONTHS),
        ):
            if not 1 <= span[0] <= span[1] <= len(names):
                raise ValueError(
                    f"{side} is {list(span)}, but the {self.style} style names at most {len(names)} {side}: "
                    f"choose numbers from 1 to {len(names)}"
                )
        return self


class TableTask(Task[Table]):
    """A task on tables; a subclass says how the path runs."""

    puzzle_type = Table
    path_note = ""
    """One sentence of the question on how the path runs; empty when it may run anywhere."""

    @property
    def compact(self) -> bool:
        """Whether tables are small images and single words."""
        return bool(self.settings.style == "compact")

    @property
    def compact_side(self) -> int:
        rows, columns = self.settings.rows[1], self.settings.columns[1]
        return _TILE * (1 + max(int(rows), int(columns)))

    def fill(self, rng: np.random.Generator, shape: tuple[int, int], path: tuple[Cell, ...]) -> Table:
        """Draw names and values for a table of ``shape`` (rows, columns) around a path."""
        if self.compact:  # names in order: the tiny model's short training goes into cells, paths and sums
            row_names, column_names = COMPACT_ROWS[: shape[0]], COMPACT_COLUMNS[: shape[1]]
        else:
            row_names = tuple(PRODUCTS[i] for i in rng.permutation(len(PRODUCTS))[: shape[0]])
            column_names = tuple(MONTHS[i] for i in rng.permutation(len(MONTHS))[: shape[1]])
        values = tuple(tuple(int(v) for v in row) for row in rng.integers(0, 10, shape))
        return Table(row_names, column_names, values, path)

    def answer(self, puzzle: Table) -> str:
        return str(sum(puzzle.path_values()))

    def describe(self, puzzle: Table) -> str:
        return _compact_text(puzzle) if self.compact else _latex(puzzle)

    def question(self, puzzle: Table, modality: Modality) -> str:
        start, end = puzzle.place(puzzle.path[0]), puzzle.place(puzzle.path[-1])
        if self.compact:
            return f"from {' '.join(start)} to {' '.join(end)}"
        mark = "yellow" if modality == "image" else "marked with a star"
        spelled = "Each value is a digit, spelled as an English word. " if modality == "image" else ""
        return (
            f"The table shows the sales of products (rows) by month (columns). {spelled}"
            f"A path of cells is {mark}: it begins at the START cell ({start[0]}, {start[1]}) and finishes at the END "
            f"cell ({end[0]}, {end[1]}). {self.path_note}Add up all values on the path. "
            "Write your result on the last line as 'Answer: ' followed by the total."
        )

    def reason(self, puzzle: Table) -> str:
        return _compact_chain(puzzle) if self.compact else _paper_chain(puzzle)

    def render(self, puzzle: Table) -> bytes:
        return _PALETTE.png(_draw_compact(puzzle, self.compact_side) if self.compact else _draw_page(puzzle))

    def judge(self, puzzle: Table, reply: str) -> Verdict:
        found = re.fullmatch(r"(\d{1,6})\.?", final_answer(reply) or "")
        answer = found.group(1) if found else ""
        correct = bool(answer) and int(answer) == sum(puzzle.path_values())
        gold = (self.reason(puzzle) + " " + self.answer_block(puzzle)).split()
        chain = correct and reply.split()[-len(gold) :] == gold
        return Verdict(bool(answer), answer, correct, chain)

    def words(self) -> frozenset[str]:
        rows, columns = COMPACT_ROWS[: self.settings.rows[1]], COMPACT_COLUMNS[: self.settings.columns[1]]
        cells = {f"{column}:{star}{digit}" for column in columns for star in ("", "*") for digit in range(10)}
        numbers = {str(n) for n in range(9 * len(rows) * len(columns) + 1)}
        return frozenset({*rows, *columns, *cells, *numbers, "from", "to", "=", "Answer:"})


def _latex(puzzle: Table) -> str:
    """The table as a LaTeX float; the column specification is constant, so that it tells nothing of the path."""
    path = set(puzzle.path)
    lines = [
        "\\begin{table}",
        "\\centering",
        f"\\begin{{tabular}}{{l{'r' * len(puzzle.column_names)}}}",
        " & " + " & ".join(puzzle.column_names) + " \\\\",
    ]
    for row, name in enumerate(puzzle.row_names):
        cells = [f"{v} *" if (row, column) in path else str(v) for column, v in enumerate(puzzle.values[row])]
        lines.append(" & ".join([name, *cells]) + " \\\\")
    lines += ["\\end{tabular}", "\\caption{Sales of each product by month.}", "\\label{tab:sales}", "\\end{table}"]
    return "\n".join(lines)


def _compact_text(puzzle: Table) -> str:
    """Raster order, as the image shows it: a line a row, a word a cell with its column, a star before the digit.

    With the column in a header alone, the tiny model added up the right values in the wrong places even on SIMPLE
    text; with a word that says its column SIMPLE chains come out right (chain_accuracy in results/tables/summary.csv).
    """
    path = set(puzzle.path)
    lines = []
    for row, name in enumerate(puzzle.row_names):
        stars = ["*" if (row, column) in path else "" for column in range(len(puzzle.column_names))]
        cells = zip(puzzle.column_names, stars, puzzle.values[row], strict=True)
        lines.append(" ".join([name, *(f"{column}:{star}{value}" for column, star, value in cells)]))
    return "\n".join(lines)


def _paper_chain(puzzle: Table) -> str:
    lines = [
        "I go along the path and read one highlighted cell at a time.",
        "row index\tcolumn index\trow name\tcolumn name\tvalue",
    ]
    for (row, column), value in zip(puzzle.path, puzzle.path_values(), strict=True):
        names = puzzle.place((row, column))
        lines.append(f"{row + 1}\t{column + 1}\t{names[0]}\t{names[1]}\t{value}")
    values = puzzle.path_values()
    return "\n".join(lines) + f"\n\n\nThe total is {' + '.join(map(str, values))} = {sum(values)}"


def _compact_chain(puzzle: Table) -> str:
    """One line a cell: row, column, value = running total."""
    lines, total = [], 0
    for cell, value in zip(puzzle.path, puzzle.path_values(), strict=True):
        total += value
        lines.append(f"{' '.join(puzzle.place(cell))} {value} = {total}")
    return "\n".join(lines)


@lru_cache(maxsize=8192)
def _sprite(text: str, size: tuple[int, int], kind: str, pixels: float, left: int | None) -> Indexes:
    fill, ink = {"body": (GREY, BLACK), "path": (YELLOW, BLACK), "head": (NAVY, WHITE)}[kind]
    box = drawing.draw_label(size, text, pixels=pixels, fill=fill, ink=ink, bold=kind == "head", left=left)
    return _PALETTE.quantise(drawing.frame(box, BLACK))


def _draw_page(puzzle: Table) -> Indexes:
    """The paper's page: left-anchored table, centred from top to bottom, words for digits, no cell above the names."""
    rows, columns = len(puzzle.row_names), len(puzzle.column_names)
    height = min(77, int((_PAGE[1] - 105) / rows))  # 77 px up to nine rows, 69 at ten, as in the paper
    label_width = _label_width(puzzle.row_names)
    width = (_RIGHT - label_width) // columns
    top = (_PAGE[1] - height * (rows + 1)) // 2
    canvas = _PALETTE.canvas(*_PAGE)
    path = set(puzzle.path)
    for column, name in enumerate(puzzle.column_names):
        pixels = (14 if len(name) > 6 else 16) * _POINT
        head = _sprite(name, (width + 1, height + 1), "head", pixels, None)
        drawing.paste(canvas, head, label_width + column * width, top)
    for row, name in enumerate(puzzle.row_names):
        y = top + (row + 1) * height
        drawing.paste(canvas, _sprite(name, (label_width + 1, height + 1), "head", 16 * _POINT, 32), 0, y)
        for column, value in enumerate(puzzle.values[row]):
            kind = "path" if (row, column) in path else "body"
            cell = _sprite(DIGITS[value], (width + 1, height + 1), kind, 16 * _POINT, None)
            drawing.paste(canvas, cell, label_width + column * width, y)
    return canvas


@lru_cache(maxsize=4096)
def _label_width(names: tuple[str, ...]) -> int:
    return round(max(drawing.font(16 * _POINT, bold=True).getlength(name) for name in names)) + 48


def _draw_compact(puzzle: Table, side: int) -> Indexes:
    """A square of 16-pixel tiles, the table at its top left: one patch of the vision tower is one cell."""
    canvas = _PALETTE.canvas(side, side)
    path = set(puzzle.path)
    for column, name in enumerate(puzzle.column_names):
        drawing.paste(canvas, _tile(name, "head"), (column + 1) * _TILE, 0)
    for row, name in enumerate(puzzle.row_names):
        drawing.paste(canvas, _tile(name, "head"), 0, (row + 1) * _TILE)
        for column, value in enumerate(puzzle.values[row]):
            tile = _tile(str(value), "path" if (row, column) in path else "body")
            drawing.paste(canvas, tile, (column + 1) * _TILE, (row + 1) * _TILE)
    return canvas


@lru_cache(maxsize=256)
def _tile(text: str, kind: str) -> Indexes:
    fill, ink = {"body": (GREY, BLACK), "path": (YELLOW, BLACK), "head": (NAVY, WHITE)}[kind]
    box = drawing.draw_label((_TILE, _TILE), text, pixels=12, fill=fill, ink=ink, margin=0)
    return _PALETTE.quantise(drawing.frame(box, BLACK, sides="lt"))
