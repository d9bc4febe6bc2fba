"""Pages of tables: what stands on one, what they share, and how one is written as Markdown and as LaTeX."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from s2h.puzzles.record import LEVELS, MODALITIES

PAGE = ("task", "model", "budget", "seed")
"""The columns whose values the runs of one table share."""

ABSENT = "–"
"""The cell of a missing number."""

Cell = tuple[str, str]
"""(level, modality)."""

Columns = tuple[str, str, str]
"""The columns of a share and of the ends of its interval."""

ANSWER: Columns = ("accuracy", "ci_low", "ci_high")
"""Of right answers."""

EXACT: Columns = ("exact_match", "exact_ci_low", "exact_ci_high")
"""Of exact matches."""

EXACT_NOTE = (
    "Answer: the final answer is right, such as a sum. Exact match, the paper's own metric: the values along the path "
    "in their order (tables), a valid walk (grids), the whole answer block (analogies)."
)
"""What the two are, for the notes of tables."""


@dataclasses.dataclass(frozen=True, slots=True)
class Grid:
    """Rows of cells under the heads of their columns.

    Attributes:
        words: heads of the first columns, which hold words.
        numbers: heads of the columns that follow, which hold numbers.
        rows: the cells of each row, one for each head.
        notes: heads of the last columns, which hold words again.
        caption: what is said below the rows.
        grouped: rows that have the same words in so many of the first columns stand together, and say them once.
    """

    words: tuple[str, ...]
    numbers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    caption: str = ""
    grouped: int = 0

    def __post_init__(self) -> None:
        wrong = [row for row in self.rows if len(row) != len(self.headers)]
        if wrong:
            raise ValueError(f"the row {wrong[0]} has {len(wrong[0])} cells, but there are {len(self.headers)} columns")

    @property
    def headers(self) -> tuple[str, ...]:
        """The heads of all columns."""
        return (*self.words, *self.numbers, *self.notes)

    def shown(self) -> Iterator[tuple[bool, tuple[str, ...]]]:
        """Each row as shown, and whether a new group begins with it."""
        above: tuple[str, ...] = ()
        for row in self.rows:
            group = row[: self.grouped]
            same = bool(above) and group == above
            yield bool(above) and not same, (*("" if same else word for word in group), *row[self.grouped :])
            above = group


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """One grid of a page.

    Attributes:
        task: name of the task, or of several that were trained together.
        heading: what tells it from the other sections of the task.
        grid: what it shows.
    """

    task: str
    heading: str
    grid: Grid


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """A table for readers.

    Attributes:
        title: of the page.
        sections: in order; those of a task stand together.
        notes: what is said of all sections, or in their place where there are none.
    """

    title: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, title: str, sections: Iterable[Section], *, note: str, empty: str = "") -> Page:
        """A page with a note; where there are no sections, it says ``empty`` before."""
        found = tuple(sections)
        return cls(title, found, (note,) if found or not empty else (empty, note))


def render_markdown(page: Page, task_titles: Mapping[str, str]) -> str:
    """The page as Markdown; a task's title stands above its first section."""
    lines = [f"# {page.title}", ""]
    current = None
    for section in page.sections:
        if section.task != current:
            current = section.task
            lines += [f"## {task_titles.get(section.task, section.task)}", ""]
        lines += [f"### {section.heading}", "", *_markdown_lines(section.grid), ""]
    return "\n".join(lines) + "".join(f"\n{note}\n" for note in page.notes)


def _markdown_lines(grid: Grid) -> Iterator[str]:
    marks = ["---"] * len(grid.words) + ["--:"] * len(grid.numbers) + ["---"] * len(grid.notes)
    yield _markdown_line(grid.headers)
    yield _markdown_line(marks)
    yield from (_markdown_line(row) for _, row in grid.shown())
    if grid.caption:
        yield ""
        yield grid.caption


def _markdown_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


_PREAMBLE = r"% Paste into a document with \usepackage{booktabs} and \usepackage{graphicx}, encoded as UTF-8."
_CHARACTERS = {
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "→": r"$\rightarrow$", "–": "{--}", "−": "$-$", "±": r"$\pm$", "×": r"$\times$",
    "…": r"\ldots{}", "-": "-{}",
}  # fmt: skip
_SPECIAL = re.compile("|".join("-(?=-)" if character == "-" else re.escape(character) for character in _CHARACTERS))
_MINUS = re.compile(r"(?<![\w-])-(?=\d)")
_LINE = 80  # characters that a line of text holds; wider grids are made to fit


def render_latex(page: Page, task_titles: Mapping[str, str], *, name: str) -> str:
    """The page as LaTeX: a table environment with a caption for each section, and the notes in every caption.

    Args:
        page: what is written.
        task_titles: the paper's names.
        name: of the table; the label of its first section is ``tab:name-1``.
    """
    blocks = [_PREAMBLE]
    for number, section in enumerate(page.sections, 1):
        title = f"{task_titles.get(section.task, section.task)}, {section.heading}."
        caption = " ".join(filter(None, (title, section.grid.caption, *page.notes)))
        blocks.append(_latex_table(section.grid, caption, f"tab:{name}-{number}"))
    if not page.sections:
        blocks += [latex_text(note) for note in page.notes]
    return "\n\n".join(blocks) + "\n"


def _latex_table(grid: Grid, caption: str, label: str) -> str:
    columns = "l" * len(grid.words) + "r" * len(grid.numbers) + "l" * len(grid.notes)
    body = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _latex_line(grid.headers),
        r"\midrule",
        *(r"\addlinespace" * begins + "\n" * begins + _latex_line(row) for begins, row in grid.shown()),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if _width(grid) > _LINE:
        body = [r"\resizebox{\linewidth}{!}{%", *body[:-1], body[-1] + "}"]
    head = [r"\begin{table}", r"\centering", rf"\caption{{{latex_text(caption)}}}", rf"\label{{{label}}}"]
    return "\n".join([*head, *body, r"\end{table}"])


def _width(grid: Grid) -> int:
    """How many characters wide a grid is, with two between its columns."""
    columns = zip(grid.headers, *grid.rows, strict=True)
    return sum(max(map(len, column)) + 2 for column in columns)


def _latex_line(cells: Iterable[str]) -> str:
    line = " & ".join(map(latex_text, cells))
    guard = "{}" if line.startswith(("[", "*")) else ""  # else the line before would take it for an option
    return rf"{guard}{line} \\"


def latex_text(text: str) -> str:
    """Text as LaTeX shows it."""
    return _SPECIAL.sub(lambda found: _CHARACTERS[found[0]], _MINUS.sub("−", text))


def run_sections(frame: pl.DataFrame, grid: Callable[[pl.DataFrame], Grid]) -> Iterator[Section]:
    """A section for each task, model, budget and seed of a table."""
    for key, part in parts(frame, PAGE):
        task, model, budget, seed = key
        yield Section(str(task), f"{model}, budget {budget:,}, seed {seed}", grid(part))


def budget_sections(frame: pl.DataFrame, grid: Callable[[pl.DataFrame], Grid]) -> Iterator[Section]:
    """A section for each task, model and budget of a table."""
    for (task, model, budget), part in parts(frame, ("task", "model", "budget")):
        yield Section(str(task), f"{model}, budget {budget:,}", grid(part))


def model_sections(frame: pl.DataFrame, grid: Callable[[pl.DataFrame], Grid]) -> Iterator[Section]:
    """A section for each task and model of a table."""
    for key, part in parts(frame, ("task", "model")):
        task, model = key
        yield Section(str(task), str(model), grid(part))


def parts(frame: pl.DataFrame, keys: Iterable[str]) -> Iterator[tuple[tuple[object, ...], pl.DataFrame]]:
    """The rows that have the same values of some columns, in the order of these; else in their own order."""
    names = list(keys)
    yield from frame.sort(names, maintain_order=True).partition_by(names, as_dict=True, maintain_order=True).items()


def sets_of(part: pl.DataFrame) -> list[Cell]:
    """The levels and modalities that a table has rows of, in order."""
    present = set(part.select("level", "modality").iter_rows())
    return [(level, modality) for level in LEVELS for modality in MODALITIES if (level, modality) in present]


def by_recipe(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each recipe under its title, in the order of the titles, then of the names.

    Where several tasks were trained together, their name stands behind the recipe.
    """
    runs = part.partition_by("recipe", "trained_on", "task", as_dict=True, maintain_order=True)
    order = order_of(recipe_titles)
    for key in sorted(runs, key=lambda key: (order(str(key[0])), key)):
        recipe, trained_on, task = map(str, key)
        yield recipe_titles.get(recipe, recipe) + ("" if trained_on == task else f" ({trained_on})"), runs[key]


def order_of(names: Iterable[str]) -> Callable[[str], tuple[int, str]]:
    """A sorting key: the given names in their order, then others by name."""
    places = {name: place for place, name in enumerate(names)}
    return lambda name: (places.get(name, len(places)), name)


def percent(share: float | None) -> str:
    """A share or a difference of shares in %, without decimals."""
    return ABSENT if share is None else str(round(100 * share))


def percent_interval(share: float, low: float, high: float) -> str:
    """A share or a difference of shares with its interval, in %, without decimals."""
    return f"{percent(share)} [{percent(low)}, {percent(high)}]"


def share_cell(row: Mapping[str, Any] | None, columns: Columns = ANSWER) -> str:
    """A share of a row with its interval; None is a set that was not scored."""
    if row is None or row[columns[0]] is None:
        return ABSENT
    share, low, high = (row[column] for column in columns)
    return percent_interval(share, low, high)


def count(number: int | None) -> str:
    """A number with thousands separators."""
    return ABSENT if number is None else f"{number:,}"


def rounded(number: float | None) -> str:
    """A number with three significant digits."""
    if number is None:
        return ABSENT
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def duration(hours: float | None) -> str:
    """A time in the unit in which it reads well."""
    if not hours:
        return ABSENT if hours is None else "0"
    for unit, size in (("h", 1), ("min", 60)):
        if hours * size >= 1:
            return f"{rounded(hours * size)} {unit}"
    return f"{rounded(hours * 3600)} s"
