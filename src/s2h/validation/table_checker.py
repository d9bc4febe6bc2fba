"""The checkers of the table tasks: stars are joined to a path by their places, from START and END of the question."""

from __future__ import annotations

import dataclasses
import itertools
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from s2h.puzzles.drawing.canvas import BLACK, NAVY, POINT, WHITE, font
from s2h.puzzles.drawing.table_images import DIGITS, GREY, PAGE, YELLOW
from s2h.puzzles.table_task import COMPACT_COLUMNS, COMPACT_ROWS, MONTHS, PRODUCTS
from s2h.validation.checker import Checker, Mismatch, require
from s2h.validation.image_reader import Picture, Reader, runs, tiles

Cell = tuple[int, int]
"""(row, column), both from 0."""


@dataclasses.dataclass(frozen=True, slots=True)
class SeenTable:
    """A table as a reader sees it, as text or as a picture.

    Attributes:
        row_names: from top to bottom.
        column_names: from left to right.
        values: digits, one tuple a row.
        marked: the highlighted cells.
    """

    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]
    marked: frozenset[Cell]


class TableChecker(Checker):
    """The checker of both table tasks; a subclass finds the path."""

    def check_scene(self, record: Mapping[str, Any]) -> None:
        self._table(record)

    def check(self, record: Mapping[str, Any]) -> None:
        table = self._table(record)
        start, end = ends(table, record["text_question"])
        require(ends(table, record["image_question"]) == (start, end), "text", "the questions name different ends")
        path = self.path(table, start, end)
        self.check_level(path, record["level"])
        check_response(table, path, record["reasoning"], record["answer_block"], record["answer"])

    def _table(self, record: Mapping[str, Any]) -> SeenTable:
        """The table of the text, which the image shows too."""
        table = (read_compact if self.compact else read_latex)(record["text"])
        seen = self._read_compact_image if self.compact else self._read_page
        compare(table, seen(Picture(record["image"]["bytes"])))
        return table

    @abstractmethod
    def path(self, table: SeenTable, start: Cell, end: Cell) -> list[Cell]:
        """The highlighted cells in order; raises Mismatch where they leave a choice or a rest."""

    def check_level(self, path: Sequence[Cell], level: str) -> None:
        """Whether the path keeps the promises of its level."""
        least, most = self.settings.levels[level].path_length
        require(least <= len(path) <= most, "level", f"the path has {len(path)} cells, {level} has {least} to {most}")

    def _read_page(self, picture: Picture) -> SeenTable:
        """The paper's page: lines first, then the word in every cell."""
        require(picture.size == PAGE, "image", f"the image has {picture.size} pixels, not {PAGE}")
        black = picture.is_colour(BLACK)
        ys = [start for start, _ in runs(black[:, PAGE[0] // 2 : PAGE[0] * 9 // 10 : 5].all(axis=1))]
        require(len(ys) > 2, "image", "the table has no lines")
        xs = [start for start, _ in runs(black[ys[1] : ys[-1] : 3].all(axis=0))]
        boxes = [
            [picture.part(left + 1, top + 1, right, bottom) for left, right in itertools.pairwise(xs)]
            for top, bottom in itertools.pairwise(ys)
        ]
        (_, *heads), *body = boxes
        require(all(box.fill == NAVY for box in (*heads, *(row[0] for row in body))), "image", "a name is not navy")
        cells = [[(self._digits.read(box), box.fill) for box in row[1:]] for row in body]
        names = [self._products.read(row[0]) for row in body]
        return _seen_cells(names, [self._months.read(box) for box in heads], cells)

    def _read_compact_image(self, picture: Picture) -> SeenTable:
        columns, rows = tiles(picture)
        cells = [[(self._compact_digits.read(box), box.fill) for box in row[1:]] for row in rows]
        names = [self._compact_names.read(row[0]) for row in rows]
        return _seen_cells(names, [self._compact_names.read(box) for box in columns], cells)

    @cached_property
    def _digits(self) -> Reader:
        return Reader({str(digit): word for digit, word in enumerate(DIGITS)}, font(16 * POINT), BLACK)

    @cached_property
    def _months(self) -> Reader:
        return Reader({name: name for name in MONTHS}, font(16 * POINT, bold=True), WHITE)

    @cached_property
    def _products(self) -> Reader:
        return Reader({name: name for name in PRODUCTS}, font(16 * POINT, bold=True), WHITE)

    @cached_property
    def _compact_digits(self) -> Reader:
        return Reader({str(digit): str(digit) for digit in range(10)}, font(12), BLACK)

    @cached_property
    def _compact_names(self) -> Reader:
        return Reader({name: name for name in (*COMPACT_ROWS, *COMPACT_COLUMNS)}, font(12), WHITE)


class RunChecker(TableChecker):
    """Consecutive Table Readout: the marked cells are a run along the rows."""

    def path(self, table: SeenTable, start: Cell, end: Cell) -> list[Cell]:
        run = sorted(table.marked)
        path = run if run[:1] == [start] else run[::-1]
        width = len(table.column_names)
        first, last = (row * width + column for row, column in (run[0], run[-1]))
        fits = (path[0], path[-1]) == (start, end) and last - first + 1 == len(run)
        require(fits, "text", f"the marked cells {run} are no run along the rows from {start} to {end}")
        return path


class WalkChecker(TableChecker):
    """Table Readout: the marked cells are a walk that never touches itself."""

    def path(self, table: SeenTable, start: Cell, end: Cell) -> list[Cell]:
        path = [start]
        while True:
            row, column = path[-1]
            around = {(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)}
            onward = sorted(around & table.marked - set(path))
            require(len(onward) < 2, "text", f"after {path[-1]} the path may go on to each of {onward}")
            if not onward:
                break
            path += onward
        whole = path[-1] == end and set(path) == table.marked
        reach = f"{path[-1]} over {len(path)} of {len(table.marked)} cells"
        require(whole, "text", f"from {start} the marked cells lead to {reach}")
        return path

    def check_level(self, path: Sequence[Cell], level: str) -> None:
        super().check_level(path, level)
        least, most = self.settings.levels[level].turns
        steps = np.diff(np.array(path), axis=0)
        turns = int((np.diff(steps, axis=0) != 0).any(axis=1).sum())
        require(least <= turns <= most, "level", f"the path has {turns} turns, {level} has {least} to {most}")


def read_latex(text: str) -> SeenTable:
    """The table of the paper style; raises Mismatch where it is none."""
    found = re.search(r"\\begin\{tabular\}\{l(r+)\}\n(.*)\n\\end\{tabular\}", text, re.DOTALL)
    if not found:
        raise Mismatch("text", "the text holds no table, or one whose columns are not specified alike")
    head, *rows = [line.removesuffix(" \\\\").split(" & ") for line in found[2].split("\n")]
    require(len(head) == len(found[1]) + 1, "text", f"{len(head) - 1} columns for {len(found[1])} specifications")
    return _seen_texts([row[0] for row in rows], head[1:], [row[1:] for row in rows])


def read_compact(text: str) -> SeenTable:
    """The table of the compact style, a word a cell; raises Mismatch where it is none."""
    rows = [[_compact_cell(word) for word in line.split(" ")] for line in text.split("\n")]
    names, columns = [row[0][0] for row in rows], [column for _, column, _ in rows[0]]
    named = [[name for *name, _ in row] for row in rows]
    grid = [[[row, column] for column in columns] for row in names]
    require(named == grid, "text", f"the cells are called {named}, not {grid}")
    return _seen_texts(names, columns, [[content for *_, content in row] for row in rows])


def _compact_cell(word: str) -> tuple[str, str, str]:
    """Row, column and content of a cell's word, the content as in the paper style: "7 *" where it is marked."""
    found = re.fullmatch(r"([n-z])([a-m]):(\*?)([0-9])", word)
    if not found:
        raise Mismatch("text", f"{word!r} is no cell of a table")
    return found[1], found[2], f"{found[4]} *" if found[3] else found[4]


def _seen_texts(row_names: Sequence[str], column_names: Sequence[str], cells: Sequence[Sequence[str]]) -> SeenTable:
    for name, row in zip(row_names, cells, strict=True):
        whole = len(row) == len(column_names) and all(re.fullmatch(r"[0-9]( \*)?", cell) for cell in row)
        require(whole, "text", f"row {name} is not {len(column_names)} digits: {row}")
    marked = {(r, c) for r, row in enumerate(cells) for c, cell in enumerate(row) if cell.endswith("*")}
    values = tuple(tuple(int(cell[0]) for cell in row) for row in cells)
    return SeenTable(tuple(row_names), tuple(column_names), values, frozenset(marked))


def _seen_cells(
    row_names: Sequence[str], column_names: Sequence[str], cells: Sequence[Sequence[tuple[str, tuple[int, int, int]]]]
) -> SeenTable:
    """The table of a picture; a cell is the digit that was read and the colour of its background."""
    for row in cells:
        for digit, fill in row:
            require(digit and fill in (GREY, YELLOW), "image", f"a cell with {digit!r} on {fill} is none of a table")
    marked = {(r, c) for r, row in enumerate(cells) for c, (_, fill) in enumerate(row) if fill == YELLOW}
    values = tuple(tuple(int(digit) for digit, _ in row) for row in cells)
    return SeenTable(tuple(row_names), tuple(column_names), values, frozenset(marked))


def compare(text: SeenTable, image: SeenTable) -> None:
    """Raise Mismatch where the image shows another table than the text."""
    for field in dataclasses.fields(SeenTable):
        written, drawn = getattr(text, field.name), getattr(image, field.name)
        if written != drawn:
            raise Mismatch("image", f"{field.name}: the text has {written}, the image {drawn}")


def ends(table: SeenTable, question: str) -> tuple[Cell, Cell]:
    """START and END, the two places that the question names; raises Mismatch where it names others."""
    found = re.findall(r"\(([^(),]+), ([^(),]+)\)", question) or re.findall(r"(?:from|to) (\w)(\w)\b", question)
    try:
        start, end = ((table.row_names.index(row), table.column_names.index(column)) for row, column in found)
    except ValueError:
        raise Mismatch("text", f"the question does not name two cells of the table: {found}") from None
    return start, end


def check_response(table: SeenTable, path: Sequence[Cell], reasoning: str, answer_block: str, answer: str) -> None:
    """Re-derive every step of a response; raises Mismatch at the first that is wrong."""
    values = [table.values[row][column] for row, column in path]
    total = sum(values)
    require(answer == str(total), "answer", f"the answer is {answer}, but the marked cells add up to {total}")
    require(answer_block == f"Answer: {total}", "answer", f"the answer block is {answer_block!r}")
    lines = reasoning.split("\n")
    if "\t" in reasoning:
        _, fields, *lines, blank, empty, last = lines
        sum_line = f"The total is {' + '.join(map(str, values))} = {total}"
        layout = len(fields.split("\t")) == 5 and (blank, empty, last) == ("", "", sum_line)
        require(layout, "reasoning", f"the chain does not end with {sum_line!r} after two blank lines")
    require(len(lines) == len(path), "reasoning", f"the chain has {len(lines)} steps, the path {len(path)} cells")
    sums = itertools.accumulate(values)
    for line, (row, column), value, running in zip(lines, path, values, sums, strict=True):
        names = (table.row_names[row], table.column_names[column])
        paper = f"{row + 1}\t{column + 1}\t{names[0]}\t{names[1]}\t{value}"
        compact = f"{names[0]}{names[1]} {value} = {running}"
        require(line in (paper, compact), "reasoning", f"the step {line!r} should be {paper!r} or {compact!r}")
