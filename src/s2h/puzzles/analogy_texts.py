"""The words of Visual Analogy: puzzles as text, questions, chains of thought and answers, in both styles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from s2h.puzzles.analogy_panels import (
    ATTRIBUTES,
    DOMAINS,
    LATTICE,
    RELATIONS,
    Analogy,
    Attribute,
    Family,
    Pair,
    Panel,
    Reading,
    Values,
    listed,
    read,
)
from s2h.puzzles.task import Modality

COMPACT_SIZES = ("small", "medium", "large", "huge")
_COMPACT_COLOURS = {0: "black", 90: "dark", 135: "grey", 189: "light", 255: "white"}
_COMPACT_CELLS = ("nw", "north", "ne", "west", "mid", "east", "sw", "south", "se")

_OTHER_ORDER: dict[Family, tuple[Attribute, ...]] = {
    "lines": ("line colour", "line type"),
    "shapes": ("shape colour", "shape position", "shape size", "shape type", "shape quantity"),
}
"""The attributes as the paper's alternative chain ``order`` lists them."""


def heads(text: str = "") -> list[str]:
    """Names of the rows of a reading: two examples, then the query completed by each option."""
    return [f"Example 1{text}", f"Example 2{text}", *(f"Option {i}{text}" for i in range(1, 5))]


# The paper's style.


def paper_text(puzzle: Analogy) -> str:
    """Each panel as its value sets, in a fixed order; they are not tied to single objects, as in the paper."""
    lines = []
    for title, row in zip(("Example 1", "Example 2", "Query"), (*puzzle.examples, puzzle.query), strict=True):
        lines.append(title)
        lines += [_paper_panel(f"Panel {i}:", panel) for i, panel in enumerate(row, 1)]
    options = [_paper_panel(f"Option {i}:", panel) for i, panel in enumerate(puzzle.options, 1)]
    return "\n".join([*lines, "Options", *options])


def _paper_panel(head: str, panel: Panel) -> str:
    parts = [
        f"{attribute.split()[1]}s {_listing(attribute, values)}"
        for attribute, values in zip(ATTRIBUTES[panel.family], panel.all_values(), strict=True)
        if attribute != "shape quantity"
    ]
    count = len(panel.things)
    what = "lines" if panel.family == "lines" else f"{count} shape{'s' if count > 1 else ''}"
    return f"{head} {what}; {'; '.join(parts)}"


@lru_cache(maxsize=32768)
def _listing(attribute: Attribute, values: Values, backwards: bool = False) -> str:
    """The values in the order of their domain, or against it."""
    names = [str(value) for value in listed(attribute, values)]
    if attribute == "shape position":
        names = [f"({cell // LATTICE}, {cell % LATTICE})" for cell in map(int, names)]
    return ", ".join(names[::-1] if backwards else names)


def paper_chain(
    puzzle: Analogy, *, order: dict[Family, tuple[Attribute, ...]] = ATTRIBUTES, backwards: bool = False
) -> str:
    """Every attribute of both examples, the pattern and relation found, the query, and what each option makes of it.

    Args:
        puzzle: what is solved.
        order: in which order the attributes of the examples are listed.
        backwards: list values against the order of their domain.
    """
    found = read(puzzle)
    family = puzzle.query[0].family
    lines = ["I compare the panels of each example, attribute by attribute."]
    for i, (pair, example, row) in enumerate(zip(found.examples, puzzle.examples, found.rows, strict=False), 1):
        lines.append(f"Example {i} shows {example[0].family}.")
        sets = _by_attribute(example[0].family, row)
        for attribute in order[example[0].family]:
            verdict = f"this fits {pair[1]}" if attribute == pair[0] else "no pattern"
            lines.append(f"- {_sets(attribute, sets[attribute], backwards)}: {verdict}.")
    (one, _), (two, _) = found.examples
    lines.append(f"The pattern is in the {one} in example 1 and in the {two} in example 2.")
    lines.append(f"The relation that they share is {found.relation}.")
    lines.append(f"The query shows {family}.")
    query = _by_attribute(family, found.rows[2][:2])
    lines += [f"- {_sets(name, query[name], backwards)}." for name in ATTRIBUTES[family]]
    for i, ((attribute, relation), row) in enumerate(zip(found.options, found.rows[2:], strict=True), 1):
        verdict = "the relation sought" if relation == found.relation else f"not {found.relation}"
        option = _sets(attribute, _by_attribute(family, row[2:])[attribute], backwards)
        lines.append(f"With option {i} ({option}) it fits {relation}, {verdict}.")
    lines.append(f"Only option {found.answer} is consistent with {found.relation}.")
    return "\n".join(lines)


def paper_template_chain(puzzle: Analogy) -> str:
    """A shorter chain: of every row only the attribute in which the pattern lies."""
    found = read(puzzle)
    lines = [_template_line(head, *each) for head, each in zip(heads(), _rows(puzzle, found), strict=True)]
    lines.insert(2, f"So we look for {found.relation}.")
    return "\n".join([*lines, f"That is option {found.answer}."])


def _template_line(head: str, pair: Pair, values: Sequence[Values]) -> str:
    steps = " then ".join(f"{{{_listing(pair[0], each)}}}" for each in values)
    return f"{head}: by {pair[0]} we see {steps}, which is {pair[1]}."


def paper_alternatives(puzzle: Analogy) -> dict[str, str]:
    """The paper's other chains: ``template`` is shorter, ``order`` and ``value`` list in another order."""
    return {
        "template": paper_template_chain(puzzle),
        "order": paper_chain(puzzle, order=_OTHER_ORDER),
        "value": paper_chain(puzzle, backwards=True),
    }


def paper_answer_block(puzzle: Analogy) -> str:
    """The combination of each example and option, whether the option is consistent, and the answer."""
    found = read(puzzle)
    labels = [f"{head}: ({pair[0]}, {pair[1]})" for head, (pair, _) in zip(heads(), _rows(puzzle, found), strict=True)]
    verdicts = ["consistent" if pair[1] == found.relation else "not consistent" for pair in found.options]
    options = [f"{label}, {verdict}" for label, verdict in zip(labels[2:], verdicts, strict=True)]
    return "\n".join([*labels[:2], *options, "", f"Answer: {found.answer}"])


def _by_attribute(family: Family, row: Sequence[Sequence[Values]]) -> dict[Attribute, tuple[Values, ...]]:
    """The values of some panels, attribute by attribute."""
    return dict(zip(ATTRIBUTES[family], zip(*row, strict=True), strict=True))


def _sets(attribute: Attribute, values: Iterable[Values], backwards: bool = False) -> str:
    return f"{attribute} {', '.join([f'{{{_listing(attribute, each, backwards)}}}' for each in values])}"


def _rows(puzzle: Analogy, found: Reading) -> list[tuple[Pair, tuple[Values, ...]]]:
    """The pair of each row of a reading, and the three panels' values of its attribute."""
    families = [example[0].family for example in puzzle.examples] + [puzzle.query[0].family] * len(found.options)
    pairs = (*found.examples, *found.options)
    return [
        (pair, tuple(panel[ATTRIBUTES[family].index(pair[0])] for panel in row))
        for pair, family, row in zip(pairs, families, found.rows, strict=True)
    ]


def paper_question(modality: Modality) -> str:
    """The paper's question, worded for a puzzle given as text or as an image."""
    where = "The text describes three rows of panels, and four options. "
    if modality == "image":
        where = _LAYOUT
    attributes = ", ".join(attribute for family in ATTRIBUTES.values() for attribute in family)
    return (
        f"{where}The first two rows are complete examples. The third row is the query: its last panel is missing. In "
        "every row the values of one attribute follow a relation from panel to panel. The relation is the same in all "
        f"rows, the attribute need not be. Attributes: {attributes}. Relations: {', '.join(RELATIONS)}. AND, OR, XOR "
        "make the third panel's set of values from the sets of the first two. In a Progression values strictly "
        "increase or strictly decrease, by any amounts; types are added; positions keep moving by the same step and "
        "re-enter on the opposite side. Choose the option that completes the query by the relation of the examples. "
        "For each example write what you found as 'Example i: (attribute, relation)'. For each option write what it "
        "makes of the query as 'Option i: (attribute, relation), consistent' or 'Option i: (attribute, relation), not "
        "consistent'. Write the last line as 'Answer: ' followed by the number of the option."
    )


_LAYOUT = (
    "The image shows three rows of three panels and, below them, four options, numbered 1 to 4 from left to right. "
)


def paper_transcription_question() -> str:
    """The request to write the page down, panel by panel."""
    return (
        f"{_LAYOUT}The first two rows are examples, the third is a query whose last panel is missing. Write down what "
        "each panel shows, under the headings Example 1, Example 2, Query and Options, a line for each panel. Of lines "
        f"give the types ({', '.join(map(str, DOMAINS['line type']))}) and colours (grey levels); of shapes their "
        f"number, the types ({', '.join(map(str, DOMAINS['shape type']))}), colours (grey levels), sizes (in 160ths of "
        "the panel's side) and positions (row, column), counted from 0. Write every value once."
    )


# The compact style: a word for each value, which names its panel.

COMPACT_QUESTION = "which Option completes qa qb"
COMPACT_TRANSCRIPTION_QUESTION = "write panels"
NO_PATTERN = "none"
_EXAMPLES = (("e1a", "e1b", "e1c"), ("e2a", "e2b", "e2c"))
_QUERY = ("qa", "qb")
_OPTIONS = ("o1", "o2", "o3", "o4")
_PANELS = (*_EXAMPLES[0], *_EXAMPLES[1], *_QUERY, *_OPTIONS)


def compact_names(attribute: Attribute, values: Values, sizes: Sequence[int]) -> list[str]:
    """The values as words, in the order of their domain; ``sizes`` are those that the task knows."""
    found = listed(attribute, values)
    if attribute.endswith("colour"):
        return [_COMPACT_COLOURS[int(value)] for value in found]
    if attribute == "shape size":
        return [COMPACT_SIZES[sizes.index(int(value))] for value in found]
    if attribute == "shape position":
        return [_COMPACT_CELLS[int(value)] for value in found]
    if attribute == "line type":  # "circle" is a type of shapes
        return ["ring" if value == "circle" else str(value) for value in found]
    return [str(value) for value in found]


def compact_words(sizes: Sequence[int]) -> frozenset[str]:
    """Every word that the compact style uses."""
    attributes = [attribute for family in ATTRIBUTES.values() for attribute in family]
    values = [word for attribute in attributes for word in compact_names(attribute, _domain(attribute, sizes), sizes)]
    labels = {*map(_label, attributes), *RELATIONS, NO_PATTERN, "relation"}
    prompts = {*COMPACT_QUESTION.split(), *COMPACT_TRANSCRIPTION_QUESTION.split()}
    block = {"Example", "Option", *"1234", "consistent", "inconsistent", "Answer:"}
    return frozenset({f"{panel}:{value}" for panel in _PANELS for value in values} | labels | prompts | block)


def _label(attribute: Attribute) -> str:
    return attribute.replace(" ", "-")


def _domain(attribute: Attribute, sizes: Sequence[int]) -> Values:
    if attribute == "shape size":
        return sum(1 << size for size in sizes)
    least = 1 if attribute == "shape quantity" else 0
    return sum(1 << i for i in range(least, len(DOMAINS[attribute])))


def compact_text(puzzle: Analogy, sizes: Sequence[int]) -> str:
    """One line per panel, one word per value, as in "e1a:circle": no value of a panel belongs to two attributes.

    The chain repeats these very words, so that each of them is one look-up. Plain values behind a head for each panel
    would take two, as many panels show the same value; heads for each attribute of each panel, as in
    "e1a-type circle square", would make text and chain longer.
    """
    panels = (*puzzle.examples[0], *puzzle.examples[1], *puzzle.query, *puzzle.options)
    return "\n".join(_compact_panel(*each, sizes) for each in zip(_PANELS, panels, strict=True))


def _compact_panel(name: str, panel: Panel, sizes: Sequence[int]) -> str:
    sets = zip(ATTRIBUTES[panel.family], panel.all_values(), strict=True)
    return " ".join(_quoted(name, *each, sizes) for each in sets)


def _quoted(name: str, attribute: Attribute, values: Values, sizes: Sequence[int]) -> str:
    """A panel's values of an attribute, as in "e1a:circle e1a:hexagon"."""
    return " ".join(f"{name}:{value}" for value in compact_names(attribute, values, sizes))


def compact_chain(puzzle: Analogy, sizes: Sequence[int]) -> str:
    """Attribute by attribute the values of a row's panels and the relation that they follow, until there is one.

    So each step repeats words of the text, or judges the few just before it. To name a pattern's attribute at once
    would be to try them all in one step, which the tiny model learns last. All options are compared with the query
    together, which is read once; an option whose pattern is found is left out of the lines that follow.
    """
    found = read(puzzle)
    lines = []
    for names, example, row, pair in zip(_EXAMPLES, puzzle.examples, found.rows, found.examples, strict=False):
        for attribute, values in _scanned(example[0].family, row, [pair]):
            quoted = [_quoted(name, attribute, each, sizes) for name, each in zip(names, values, strict=True)]
            lines.append(" ".join([_label(attribute), *quoted, _judged(pair, attribute)]))
    return "\n".join([*lines, f"relation {found.relation}", *_compact_options(puzzle, found, sizes)])


def _compact_options(puzzle: Analogy, found: Reading, sizes: Sequence[int]) -> Iterator[str]:
    """A line per attribute: the values of the query, then those of each option, with what they follow together."""
    left = dict(zip(_OPTIONS, found.options, strict=True))
    panels = [*found.rows[2][:2], *(row[2] for row in found.rows[2:])]
    for attribute, values in _scanned(puzzle.query[0].family, panels, found.options):
        quoted = {
            name: _quoted(name, attribute, each, sizes) for name, each in zip((*_QUERY, *_OPTIONS), values, strict=True)
        }
        judged = [f"{quoted[name]} {_judged(pair, attribute)}" for name, pair in left.items()]
        yield " ".join([_label(attribute), *(quoted[name] for name in _QUERY), *judged])
        left = {name: pair for name, pair in left.items() if pair[0] != attribute}


def _scanned(
    family: Family, panels: Sequence[Sequence[Values]], pairs: Sequence[Pair]
) -> Iterator[tuple[Attribute, tuple[Values, ...]]]:
    """The attributes up to the last that one of the pairs is about, each with the values of all panels."""
    last = max(ATTRIBUTES[family].index(attribute) for attribute, _ in pairs)
    return zip(ATTRIBUTES[family][: last + 1], zip(*panels, strict=True), strict=False)


def _judged(pair: Pair, attribute: Attribute) -> str:
    return pair[1] if pair[0] == attribute else NO_PATTERN


def compact_answer_block(puzzle: Analogy) -> str:
    """The answer block in the compact style: one word per attribute."""
    found = read(puzzle)
    lines = [
        f"{head} {_label(pair[0])} {pair[1]}" for head, (pair, _) in zip(heads(), _rows(puzzle, found), strict=True)
    ]
    verdicts = ["consistent" if pair[1] == found.relation else "inconsistent" for pair in found.options]
    options = [f"{line} {verdict}" for line, verdict in zip(lines[2:], verdicts, strict=True)]
    return "\n".join([*lines[:2], *options, "", f"Answer: {found.answer}"])
