"""The base of the two table tasks: a table of digits with a path of highlighted cells, whose values are to be added."""

from __future__ import annotations

import dataclasses
import re
from itertools import pairwise
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from s2h.puzzles.drawing import table_images as drawing
from s2h.puzzles.drawing.canvas import TILE
from s2h.puzzles.drawing.table_images import Cell
from s2h.puzzles.task import Modality, Span, Task, TaskSettings, Verdict, final_answer

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


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A table of digits and a path through it.

    Attributes:
        row_names: one name a row, all different.
        column_names: one name a column, all different.
        values: digits 0-9, one tuple a row.
        path: the highlighted cells from START to END, no cell twice; in a scene all of them in reading order.
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

    def word(self, cell: Cell) -> str:
        """The name of a cell in the compact style: the letters of its row and its column in one word."""
        return "".join(self.place(cell))


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
        for side, span, most in (
            ("rows", self.rows, len(COMPACT_ROWS) if compact else drawing.MOST_ROWS),
            ("columns", self.columns, len(COMPACT_COLUMNS if compact else MONTHS)),
        ):
            if not 1 <= span[0] <= span[1] <= most:
                raise ValueError(
                    f"{side} is {list(span)}, but the {self.style} style has room and names for at most {most} "
                    f"{side}: choose numbers from 1 to {most}"
                )
        return self


class TableTask(Task[Table]):
    """A task on tables; a subclass says how the path runs."""

    puzzle_type = Table
    path_note = ""
    """One sentence of the question on how the path runs; empty when it may run anywhere."""

    @property
    def min_size(self) -> tuple[int, int]:
        """The paper's page, or a square of 16-pixel tiles with room for the names."""
        if not self.compact:
            return drawing.PAGE
        side = TILE * (1 + max(int(self.settings.rows[1]), int(self.settings.columns[1])))
        return side, side

    def draw_shape(self, rng: np.random.Generator) -> tuple[int, int]:
        """Numbers of rows and of columns, uniform in the ranges of the settings."""
        rows, columns = (
            int(rng.integers(least, most + 1)) for least, most in (self.settings.rows, self.settings.columns)
        )
        return rows, columns

    def fill(self, rng: np.random.Generator, shape: tuple[int, int], path: tuple[Cell, ...]) -> Table:
        """Draw names and values for a table of ``shape`` (rows, columns) around a path."""
        if self.compact:  # names in order: the tiny model's short training goes into cells, paths and sums
            row_names, column_names = COMPACT_ROWS[: shape[0]], COMPACT_COLUMNS[: shape[1]]
        else:
            row_names = tuple(PRODUCTS[i] for i in rng.permutation(len(PRODUCTS))[: shape[0]].tolist())
            column_names = tuple(MONTHS[i] for i in rng.permutation(len(MONTHS))[: shape[1]].tolist())
        values = tuple(tuple(row) for row in rng.integers(0, 10, shape).tolist())
        return Table(row_names, column_names, values, path)

    def sample_scene(self, rng: np.random.Generator) -> Table:
        """Any table: each cell is highlighted with a probability that is drawn anew for each table.

        There may be no such cell.
        """
        rows, columns = self.draw_shape(rng)
        marked = np.flatnonzero(rng.random(rows * columns) < rng.random()).tolist()
        return self.fill(rng, (rows, columns), tuple(divmod(place, columns) for place in marked))

    def answer(self, puzzle: Table) -> str:
        """The sum of the values on the path."""
        return str(sum(puzzle.path_values()))

    def to_text(self, puzzle: Table) -> str:
        """A LaTeX table with a star after highlighted values; in the compact style a word a cell."""
        return _compact_text(puzzle) if self.compact else _latex(puzzle)

    def split_key(self, puzzle: Table) -> str:
        """The highlighted cells and their values, whichever way the path runs; nothing else matters to the sum."""
        return str(sorted(zip(puzzle.path, puzzle.path_values(), strict=True)))

    def question(self, puzzle: Table, modality: Modality) -> str:
        """The question, with START and END by their names."""
        if self.compact:
            return f"from {puzzle.word(puzzle.path[0])} to {puzzle.word(puzzle.path[-1])}"
        start, end = puzzle.place(puzzle.path[0]), puzzle.place(puzzle.path[-1])
        mark = "yellow" if modality == "image" else "marked with a star"
        spelled = "Each value is a digit, spelled as an English word. " if modality == "image" else ""
        return (
            f"The table shows the sales of products (rows) by month (columns). {spelled}"
            f"A path of cells is {mark}: it begins at the START cell ({start[0]}, {start[1]}) and finishes at the END "
            f"cell ({end[0]}, {end[1]}). {self.path_note}Add up all values on the path. "
            "Write your result on the last line as 'Answer: ' followed by the total."
        )

    def transcription_question(self) -> str:
        """The request to write the table down."""
        if self.compact:
            return "write the table"
        return (
            "The table shows the sales of products (rows) by month (columns). Each value is a digit, spelled as an "
            "English word. Some cells are yellow. Write the whole table as a LaTeX table: values as digits, and a star "
            "after the digit of every yellow cell."
        )

    def chain_of_thought(self, puzzle: Table) -> str:
        """Every cell of the path with its value, and the sum."""
        return _compact_chain(puzzle) if self.compact else _paper_chain(puzzle)

    def render(self, puzzle: Table) -> bytes:
        """The table with the path in yellow."""
        content = puzzle.row_names, puzzle.column_names, puzzle.values, frozenset(puzzle.path)
        if self.compact:
            return drawing.draw_compact(*content, side=self.image_size[0])
        return drawing.draw_page(*content)

    def difficulty(self, puzzle: Table) -> dict[str, int]:
        return {"path length": len(puzzle.path)}

    def judge(self, puzzle: Table, prediction: str) -> Verdict:
        """The verdict on a prediction: the sum alone decides."""
        match = re.fullmatch(r"([0-9]{1,6})\.?", final_answer(prediction) or "")
        answer = match.group(1) if match else ""
        return Verdict(bool(answer), answer, bool(answer) and int(answer) == sum(puzzle.path_values()))

    def vocabulary(self) -> frozenset[str]:
        """Every word of the compact style."""
        rows, columns = COMPACT_ROWS[: self.settings.rows[1]], COMPACT_COLUMNS[: self.settings.columns[1]]
        names = {f"{row}{column}" for row in rows for column in columns}
        cells = {f"{name}:{star}{digit}" for name in names for star in ("", "*") for digit in range(10)}
        numbers = {str(n) for n in range(9 * len(names) + 1)}
        return frozenset(
            {*names, *cells, *numbers, "from", "to", "=", "Answer:", *self.transcription_question().split()}
        )


def turns(path: tuple[Cell, ...]) -> int:
    """How often a path changes its direction; the leap from a row's end to the next row's start is a change too."""
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(path)]
    return sum(first != second for first, second in pairwise(steps))


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
    """Raster order, as the image shows it: one line per row, one word per cell with its name, starred if marked.

    Question and chain call a cell by the same name, so that reading its value is one look-up. With the row at the head
    of the line and the column in the word it took two: the tiny model then listed the right values of HARD text, and
    ascribed half of them to other cells.
    """
    path = set(puzzle.path)
    lines = []
    for row, values in enumerate(puzzle.values):
        cells = [((row, column), value) for column, value in enumerate(values)]
        lines.append(" ".join(f"{puzzle.word(cell)}:{'*' if cell in path else ''}{value}" for cell, value in cells))
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
    """One line a cell: its name, value = running total."""
    lines, total = [], 0
    for cell, value in zip(puzzle.path, puzzle.path_values(), strict=True):
        total += value
        lines.append(f"{puzzle.word(cell)} {value} = {total}")
    return "\n".join(lines)
