"""An independent check of the table tasks: path, answer and chain of thought recomputed from the text form alone.

Nothing here knows the symbolic puzzle or how it was drawn: the stars of the text are joined to a path by their places,
from the START and END that the question names.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

Cell = tuple[int, int]
"""(row, column), both from 0."""


@dataclasses.dataclass(frozen=True, slots=True)
class SeenTable:
    """What a reader sees of a table.

    Attributes:
        row_names: from top to bottom.
        column_names: from left to right.
        values: digits, one tuple a row.
        starred: the highlighted cells.
    """

    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]
    starred: frozenset[Cell]


def read_latex(text: str) -> SeenTable:
    """The table of the paper style; raises ValueError where it is none."""
    body = text[text.index("}\n", text.index("\\begin{tabular}")) + 2 : text.index("\\end{tabular}")]
    head, *rows = [line.removesuffix(" \\\\").split(" & ") for line in body.strip("\n").split("\n")]
    return _seen([row[0] for row in rows], [name for name in head if name.strip()], [row[1:] for row in rows])


def read_compact(text: str) -> SeenTable:
    """The table of the compact style, a word a cell; raises ValueError where it is none."""
    rows = [line.split() for line in text.split("\n")]
    columns = [word.split(":")[0] for word in rows[0][1:]]
    for row in rows:
        if [word.split(":")[0] for word in row[1:]] != columns:
            raise ValueError(f"row {row[0]} does not name the columns {columns}")
    cells = [[re.sub(r"^\*(\d)$", r"\1 *", word.split(":")[1]) for word in row[1:]] for row in rows]
    return _seen([row[0] for row in rows], columns, cells)


def _seen(row_names: Sequence[str], column_names: Sequence[str], cells: Sequence[Sequence[str]]) -> SeenTable:
    for name, row in zip(row_names, cells, strict=True):
        if len(row) != len(column_names) or not all(re.fullmatch(r"\d( \*)?", cell) for cell in row):
            raise ValueError(f"row {name} is not {len(column_names)} digits: {row}")
    starred = {(r, c) for r, row in enumerate(cells) for c, cell in enumerate(row) if cell.endswith("*")}
    values = tuple(tuple(int(cell[0]) for cell in row) for row in cells)
    return SeenTable(tuple(row_names), tuple(column_names), values, frozenset(starred))


def ends(table: SeenTable, question: str) -> tuple[Cell, Cell]:
    """START and END, the two places that the question names; raises ValueError where it names others."""
    found = re.findall(r"\(([^(),]+), ([^(),]+)\)", question) or re.findall(r"(?:from|to) (\S+) (\S+)", question)
    start, end = ((table.row_names.index(row), table.column_names.index(column)) for row, column in found)
    return start, end


def run_along_rows(table: SeenTable, start: Cell, end: Cell) -> list[Cell]:
    """The starred cells of Consecutive Table Readout in order; raises ValueError where they are no run."""
    run = sorted(table.starred)
    path = run if run[:1] == [start] else run[::-1]
    width = len(table.column_names)
    first, last = (row * width + column for row, column in (run[0], run[-1]))
    if (path[0], path[-1]) != (start, end) or last - first + 1 != len(run):
        raise ValueError(f"the stars {run} are no run along the rows from {start} to {end}")
    return path


def walk(table: SeenTable, start: Cell, end: Cell) -> list[Cell]:
    """The starred cells of Table Readout in order; raises ValueError where they leave a choice or a rest."""
    path = [start]
    while True:
        row, column = path[-1]
        around = {(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)}
        onward = sorted(around & table.starred - set(path))
        if len(onward) > 1:
            raise ValueError(f"after {path[-1]} the path may go on to each of {onward}")
        if not onward:
            break
        path += onward
    if path[-1] != end or set(path) != table.starred:
        raise ValueError(f"from {start} the stars lead to {path[-1]} over {len(path)} of {len(table.starred)} cells")
    return path


def check_response(table: SeenTable, path: Sequence[Cell], reasoning: str, answer: str) -> None:
    """Re-derive every step of a response; raises ValueError at the first that is wrong."""
    values = [table.values[row][column] for row, column in path]
    if answer != str(sum(values)):
        raise ValueError(f"the answer is {answer}, but the stars add up to {sum(values)}")
    steps = [line for line in reasoning.split("\n") if re.match(r"\d+\t|\S+ \S+ \d = \d+$", line)]
    if len(steps) != len(path):
        raise ValueError(f"the chain has {len(steps)} steps, the path {len(path)} cells")
    total = 0
    for step, (row, column), value in zip(steps, path, values, strict=True):
        total += value
        names = (table.row_names[row], table.column_names[column])
        paper = f"{row + 1}\t{column + 1}\t{names[0]}\t{names[1]}\t{value}"
        compact = f"{names[0]} {names[1]} {value} = {total}"
        if step not in (paper, compact):
            raise ValueError(f"the step {step!r} should be {paper!r} or {compact!r}")
    if "total is" in reasoning and not reasoning.endswith(f"The total is {' + '.join(map(str, values))} = {total}"):
        raise ValueError("the chain does not end with the sum of its values")
