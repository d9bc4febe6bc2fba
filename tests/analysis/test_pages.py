from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexSpecialsNode, LatexWalker

from s2h.analysis.pages import Grid, Page, Section, duration, latex_text, render_latex, render_markdown, rounded

TITLES = {"table_readout": "Table Readout"}
GRID = Grid(("Recipe",), ("n", "right"), (("Mix+", "300", "17 [13, 21]"), ("[a_b] & c", "1", "-5")), caption="n: 5 %.")
PAGE = Page("Results", (Section("table_readout", "tiny", GRID), Section("both", "tiny", GRID)), ("A note → here.",))
special = st.text("abc &%$#_{}~\\→–±×…[]*-12", max_size=12)


def _environments(nodes: Any, name: str) -> Iterator[LatexEnvironmentNode]:
    for node in nodes or []:
        if isinstance(node, LatexEnvironmentNode) and node.environmentname == name:
            yield node
        yield from _environments(getattr(node, "nodelist", None), name)
        arguments = getattr(node, "nodeargd", None)
        yield from _environments(arguments.argnlist if arguments else None, name)


def tabulars(latex: str) -> list[LatexEnvironmentNode]:
    """The tabulars of a document; what cannot be parsed raises."""
    nodes, _, _ = LatexWalker(latex, tolerant_parsing=False).get_latex_nodes()
    return list(_environments(nodes, "tabular"))


def rows_of(tabular: LatexEnvironmentNode) -> list[int]:
    """How many cells each row has."""
    cells, rows = 1, []
    for node in tabular.nodelist:
        if isinstance(node, LatexSpecialsNode) and node.specials_chars == "&":
            cells += 1
        elif getattr(node, "macroname", None) == "\\":
            rows.append(cells)
            cells = 1
    return rows


def test_a_page_as_markdown():
    lines = (
        "| Recipe | n | right |\n| --- | --: | --: |\n| Mix+ | 300 | 17 [13, 21] |\n| [a_b] & c | 1 | -5 |\n\nn: 5 %.\n"
    )
    assert render_markdown(PAGE, TITLES) == (
        f"# Results\n\n## Table Readout\n\n### tiny\n\n{lines}\n## both\n\n### tiny\n\n{lines}\nA note → here.\n"
    )


def test_rows_that_begin_alike_say_it_once_and_stand_together():
    rows = (("a", "x", "1"), ("a", "y", "2"), ("b", "x", "3"))
    page = Page("Results", (Section("table_readout", "tiny", Grid(("A", "B"), ("n",), rows, grouped=1)),))
    assert "| a | x | 1 |\n|  | y | 2 |\n| b | x | 3 |\n" in render_markdown(page, TITLES)
    assert "a & x & 1 \\\\\n & y & 2 \\\\\n\\addlinespace\nb & x & 3 \\\\\n" in render_latex(page, TITLES, name="a")


def test_a_page_as_latex():
    latex = render_latex(PAGE, TITLES, name="results")
    assert latex.startswith("% Paste into a document with \\usepackage{booktabs}")
    assert latex.count("\\begin{table}") == 2
    assert (
        "\\caption{Table Readout, tiny. n: 5 \\%. A note $\\rightarrow$ here.}\n"
        "\\label{tab:results-1}\n"
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "Recipe & n & right \\\\\n"
        "\\midrule\n"
        "Mix+ & 300 & 17 [13, 21] \\\\\n"
        "{}[a\\_b] \\& c & 1 & $-$5 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\\end{table}\n"
    ) in latex
    assert "\\label{tab:results-2}" in latex


def test_a_wide_grid_is_made_to_fit():
    wide = Grid(("Recipe",), tuple(f"a long head {number}" for number in range(8)), ())
    latex = render_latex(Page("x", (Section("t", "h", wide),)), {}, name="x")
    assert "\\resizebox{\\linewidth}{!}{%\n\\begin{tabular}" in latex
    assert "\\end{tabular}}" in latex
    assert len(tabulars(latex)) == 1


def test_a_page_without_sections_says_why():
    page = Page.of("Learning", (), note="Loss: a mean.", empty="Nothing was trained.")
    assert render_markdown(page, {}) == "# Learning\n\nNothing was trained.\n\nLoss: a mean.\n"
    assert render_latex(page, {}, name="learning").endswith("Nothing was trained.\n\nLoss: a mean.\n")
    assert Page.of("Learning", PAGE.sections, note="a", empty="b").notes == ("a",)


def test_a_row_has_a_cell_for_each_column():
    with pytest.raises(ValueError, match="has 1 cells, but there are 2 columns"):
        Grid(("a",), ("b",), (("x",),))


@given(st.lists(st.tuples(special, special, special), max_size=4))
def test_whatever_the_cells_hold_latex_has_as_many(rows):
    grid = Grid(("a",), ("b",), tuple(rows), notes=("c",))
    [tabular] = tabulars(render_latex(Page("p", (Section("t", "h", grid),)), {}, name="p"))
    assert rows_of(tabular) == [3] * (len(rows) + 1)


@given(special)
def test_latex_shows_the_text(text):
    shown = LatexNodes2Text(keep_comments=True, strict_latex_spaces=True).latex_to_text(latex_text(text))
    assert "".join(shown.split()) == "".join(text.split())


@given(special)
def test_markdown_keeps_cells_apart(text):
    page = Page("p", (Section("t", "h", Grid(("a", "b"), (), ((f"{text}|", text),))),))
    line = render_markdown(page, {}).splitlines()[-1]
    assert line.count("|") - line.count(r"\|") == 3


@pytest.mark.parametrize(
    ("hours", "shown"),
    [(None, "–"), (0.0, "0"), (0.001, "3.6 s"), (0.05, "3 min"), (2.5, "2.5 h"), (1234.5, "1,234 h")],
)
def test_times_have_a_unit_that_reads_well(hours, shown):
    assert duration(hours) == shown


def test_numbers_have_three_digits():
    assert [rounded(number) for number in (None, 0.012345, 12.345, 1234.5)] == ["–", "0.0123", "12.3", "1,234"]
