"""The words of Visual Analogy: puzzles as text, questions, chains of thought and verdicts, in both styles.

A chain is a function of the puzzle, composed of steps that are functions of the puzzle too: another chain of thought is
another composition. Values are always shown sorted, so that a puzzle has one text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from s2h.puzzles.analogy_panels import ATTRIBUTES, RELATIONS, Analogy, Attribute, Panel
from s2h.puzzles.task import Modality

_PLURALS: dict[Attribute, str] = {
    "line type": "types",
    "line colour": "colours",
    "shape type": "types",
    "shape colour": "colours",
    "shape size": "sizes",
    "shape position": "positions",
}

_QUESTION = (
    "The first two rows are examples of three images each. The third row is the query: two images, and a third one is "
    "missing. Four options follow, numbered from 1 to 4{order}. {medium}"
    "An image holds either lines or shapes. In each example, one relation holds along one attribute of its three "
    "images, and both examples share this relation; the attributes may differ. Exactly one option completes the query "
    "so that the same relation holds along some attribute.\n"
    "Attributes: line type, line colour, shape type, shape colour, shape size, shape quantity, shape position.\n"
    "Relations: AND (the third image has the values that both others have), OR (the values that at least one of the "
    "others has), XOR (the values that exactly one of the others has), Progression (from image to image the values "
    "always increase or always decrease, by any amount; types are added; positions move by a constant step, from one "
    "edge round to the opposite one).\n"
    "Report for both examples 'Example i: (attribute, relation)' and for every option 'Option i: (attribute, "
    "relation), consistent' or 'not consistent'. Write your result on the last line as 'Answer: ' followed by the "
    "number of the option."
)
_IMAGE_NOTE = (
    "Colours are grey levels from 0 (black) to 255 (white), and positions are (row, column) from (0, 0) to (2, 2). "
)
_TEXT_NOTE = (
    "Of each image, the values that occur are listed: colours are grey levels from 0 (black) to 255 (white), and "
    "positions are (row, column) from (0, 0) to (2, 2). "
)


def _show(values: Sequence[Any] | frozenset[Any]) -> str:
    return ", ".join(str(value) for value in sorted(values))


def _braces(panel: Panel, attribute: Attribute) -> str:
    return f"{{{_show(panel.values(attribute))}}}"


def paper_question(modality: Modality) -> str:
    """What is asked, worded for a puzzle given as ``modality``."""
    if modality == "image":
        return _QUESTION.format(order=" from left to right", medium=_IMAGE_NOTE)
    return _QUESTION.format(order="", medium=_TEXT_NOTE)


def paper_text(puzzle: Analogy) -> str:
    """Sections for the examples, the query and the options; a line an image."""
    sections = [*puzzle.examples, puzzle.query, puzzle.options]
    heads = [("Example 1", "Image"), ("Example 2", "Image"), ("Query", "Image"), ("Options", "Option")]
    return "\n\n".join(
        "\n".join([head, *(f"{name} {index}: {_paper_panel(panel)}" for index, panel in enumerate(panels, 1))])
        for (head, name), panels in zip(heads, sections, strict=True)
    )


def _paper_panel(panel: Panel) -> str:
    """The value sets of all attributes; which object has which values is not told, and never matters."""
    parts = [f"{_PLURALS[a]}: {_show(panel.values(a))}" for a in ATTRIBUTES[panel.family] if a in _PLURALS]
    count = len(panel.things)
    head = "lines" if panel.family == "line" else f"{count} shape{'s' if count > 1 else ''}"
    return "; ".join([head, *parts])


def paper_verdicts(puzzle: Analogy) -> list[str]:
    """The label of each example and each option, a line each."""
    lines = [f"Example {i}: ({a}, {r})" for i, (a, r) in enumerate(puzzle.example_labels, 1)]
    for i, (attribute, relation) in enumerate(puzzle.option_labels, 1):
        verdict = "consistent" if relation == puzzle.relation else "not consistent"
        lines.append(f"Option {i}: ({attribute}, {relation}), {verdict}")
    return lines


def paper_chain(puzzle: Analogy) -> str:
    """Examples attribute by attribute, their common relation, the query, then every option."""
    first, second = puzzle.example_labels
    shared = (
        f"Example 1 follows ({first[0]}, {first[1]}) and Example 2 follows ({second[0]}, {second[1]}). "
        f"The relation that they share is {puzzle.relation}."
    )
    steps = [*_paper_examples(puzzle), shared, _paper_query(puzzle), _paper_options(puzzle)]
    return "\n\n".join([*steps, f"Only option {puzzle.solution} follows {puzzle.relation}."])


def _paper_examples(puzzle: Analogy) -> Iterator[str]:
    for index, (panels, label) in enumerate(zip(puzzle.examples, puzzle.example_labels, strict=True), 1):
        lines = [f"I compare the three images of Example {index}, one attribute at a time."]
        for attribute in ATTRIBUTES[panels[0].family]:
            finding = f"this is {label[1]}." if attribute == label[0] else "no pattern."
            lines.append(f"{attribute}: {', '.join(_braces(panel, attribute) for panel in panels)}; {finding}")
        yield "\n".join(lines)


def _paper_query(puzzle: Analogy) -> str:
    lines = ["The two images of the query have these values."]
    for attribute in ATTRIBUTES[puzzle.query[0].family]:
        lines.append(f"{attribute}: {', '.join(_braces(panel, attribute) for panel in puzzle.query)}")
    return "\n".join(lines)


def _paper_options(puzzle: Analogy) -> str:
    lines = ["I complete the query with each option."]
    for index, (option, label) in enumerate(zip(puzzle.options, puzzle.option_labels, strict=True), 1):
        attribute, relation = label
        match = "the relation" if relation == puzzle.relation else "not the relation"
        lines.append(
            f"Option {index}: {attribute} {_braces(option, attribute)} makes {relation}, {match} of the examples."
        )
    return "\n".join(lines)


_NAMES = (("a1", "a2", "a3"), ("b1", "b2", "b3"), ("c1", "c2"), ("o1", "o2", "o3", "o4"))
_ROWS = ("a", "b")
COMPACT_QUESTION = "which option"
_MARKS = (",", "none", "relation", "yes", "no", "Answer:", "1", "2", "3", "4")


def _word(attribute: Attribute) -> str:
    return attribute.replace(" ", "-")


def _value_word(attribute: Attribute, value: Any) -> str:
    """A value as one word that tells its attribute, so that a panel needs no headings; line and shape colours share
    theirs, as they do on the image."""
    if attribute == "shape position":
        return f"p{value[0]}{value[1]}"
    prefix = {"line colour": "g", "shape colour": "g", "shape size": "s", "shape quantity": "x"}.get(attribute, "")
    return f"{prefix}{value}"


def _value_words(panel: Panel, attribute: Attribute) -> str:
    return " ".join(_value_word(attribute, value) for value in sorted(panel.values(attribute)))


def compact_words(domains: Mapping[Attribute, Sequence[Any]]) -> frozenset[str]:
    """All words of compact texts, questions, chains and answers, given the values of each attribute."""
    values = (_value_word(attribute, value) for attribute, domain in domains.items() for value in domain)
    names = (name for row in _NAMES for name in row)
    return frozenset({*values, *names, *_ROWS, *map(_word, domains), *RELATIONS, *_MARKS, *COMPACT_QUESTION.split()})


def compact_text(puzzle: Analogy) -> str:
    """A line an image: its name and the values that occur in it."""
    rows = (*puzzle.examples, puzzle.query, puzzle.options)
    pairs = [pair for names, panels in zip(_NAMES, rows, strict=True) for pair in zip(names, panels, strict=True)]
    return "\n".join(
        " ".join([name, *(_value_words(panel, attribute) for attribute in ATTRIBUTES[panel.family])])
        for name, panel in pairs
    )


def compact_verdicts(puzzle: Analogy) -> list[str]:
    """The label of each example and each option, a line each."""
    lines = [f"{row} {_word(a)} {r}" for row, (a, r) in zip(_ROWS, puzzle.example_labels, strict=True)]
    for name, (attribute, relation) in zip(_NAMES[-1], puzzle.option_labels, strict=True):
        lines.append(f"{name} {_word(attribute)} {relation} {'yes' if relation == puzzle.relation else 'no'}")
    return lines


def compact_chain(puzzle: Analogy) -> str:
    """The paper's steps in few words: one line an attribute of an example, and one an option."""
    lines = []
    for row, panels, label in zip(_ROWS, puzzle.examples, puzzle.example_labels, strict=True):
        lines.append(row)
        for attribute in ATTRIBUTES[panels[0].family]:
            lines.append(f"{_sets(panels, attribute)} {label[1] if attribute == label[0] else 'none'}")
    lines.append(f"relation {puzzle.relation}")
    for name, option, (attribute, relation) in zip(_NAMES[-1], puzzle.options, puzzle.option_labels, strict=True):
        lines.append(f"{name} {_word(attribute)} {_sets((*puzzle.query, option), attribute)} {relation}")
    return "\n".join(lines)


def _sets(panels: Sequence[Panel], attribute: Attribute) -> str:
    return " , ".join(_value_words(panel, attribute) for panel in panels)
