"""The checker of Visual Analogy: every row is tried against every attribute and relation, value by value."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from s2h.validation.analogy_reader import Layout, ShapeReader, StrokeReader
from s2h.validation.checker import Checker, Mismatch, require
from s2h.validation.image_reader import Picture

ATTRIBUTES = {
    "lines": ("line type", "line colour"),
    "shapes": ("shape type", "shape colour", "shape size", "shape quantity", "shape position"),
}
_OTHER_ORDER = {
    "lines": ("line colour", "line type"),
    "shapes": ("shape colour", "shape position", "shape size", "shape type", "shape quantity"),
}
"""How the chain ``order`` lists the attributes of examples."""
RELATIONS = ("AND", "OR", "XOR", "Progression")
_COLOURS = {"black": 0, "dark": 90, "grey": 135, "light": 189, "white": 255}
_SIZES = ("small", "medium", "large", "huge")
_CELLS = ("nw", "north", "ne", "west", "mid", "east", "sw", "south", "se")
_TITLES = ["Example 1", "Example 2", *(f"Option {i}" for i in range(1, 5))]
_EXAMPLES = (("e1a", "e1b", "e1c"), ("e2a", "e2b", "e2c"))
_QUERY = ("qa", "qb")
_OPTIONS = ("o1", "o2", "o3", "o4")
_PANELS = (*_EXAMPLES[0], *_EXAMPLES[1], *_QUERY, *_OPTIONS)
"""Names of the compact style."""

Values = frozenset[str]
Pair = tuple[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class SeenPanel:
    """A panel as a reader sees it.

    Attributes:
        family: lines or shapes.
        sets: the values of each attribute, as the paper's style writes them.
    """

    family: str
    sets: dict[str, Values]


Row = tuple[SeenPanel, SeenPanel, SeenPanel]


class AnalogyChecker(Checker):
    """Reads panels from text and image, labels rows by trying everything, and follows every chain."""

    def check_scene(self, record: Mapping[str, Any]) -> None:
        self._panels(record)

    def check(self, record: Mapping[str, Any]) -> None:
        rows = _rows(self._panels(record))
        found = [patterns(row) for row in rows]
        for title, pairs in zip(_TITLES, found, strict=True):
            require(len(pairs) == 1, "answer", f"{title} follows {pairs}, not one pattern")
        labels = [pairs[0] for pairs in found]
        relation = labels[0][1]
        fitting = [i for i, pair in enumerate(labels[2:], 1) if pair[1] == relation]
        one = labels[1][1] == relation and len(fitting) == 1
        require(one, "answer", f"the examples follow {labels[:2]}, options {fitting} fit")
        require(record["answer"] == str(fitting[0]), "answer", f"{record['answer']}, but option {fitting[0]} fits")
        self._check_level(labels, labels[1 + fitting[0]], record["level"])
        self._check_words(record, rows, labels, fitting[0])

    def _panels(self, record: Mapping[str, Any]) -> list[SeenPanel]:
        """The panels of the text, which the image shows too."""
        panels = (self._read_compact_text if self.compact else read_text)(record["text"])
        self._check_image(panels, record)
        return panels

    def _check_level(self, labels: Sequence[Pair], target: Pair, level: str) -> None:
        """SIMPLE: one pair for examples and query, none held out. HARD: both held-out attributes as examples.

        Balanced distractors: the options have four relations, and HARD ones are all held out.
        """
        held_out = {(attribute, relation) for relation, both in self.settings.held_out.items() for attribute in both}
        if level == "SIMPLE":
            require(labels[0] == labels[1] == target, "level", f"the rows follow {labels[:2]} and {target}")
            require(not held_out & set(labels), "level", f"{held_out & set(labels)} are held out")
        else:
            pair = {(attribute, target[1]) for attribute in self.settings.held_out[target[1]]}
            require(set(labels[:2]) == pair, "level", f"the examples follow {labels[:2]}, not {pair}")
            require(target in pair, "level", f"the query follows {target}, which is not held out")
        if self.settings.distractors == "balanced":
            options = labels[2:]
            require(len({relation for _, relation in options}) == 4, "level", f"the options follow {options}")
            require(level == "SIMPLE" or held_out >= set(options), "level", f"of {options} some are not held out")

    def _check_image(self, panels: Sequence[SeenPanel], record: Mapping[str, Any]) -> None:
        """The objects in the image are those of the symbolic puzzle, and show the values of the text."""
        picture = Picture(record["image"]["bytes"])
        boxes = self._layout.panels(picture)
        puzzle = json.loads(record["puzzle"])
        stored = [*itertools.chain(*puzzle["examples"]), *puzzle["query"], *puzzle["options"]]
        for i, (box, panel, written) in enumerate(zip(boxes, panels, stored, strict=True), 1):
            reader = self._strokes if panel.family == "lines" else self._shapes
            things = reader.read(box)
            known = [(t["type"], t["colour"], t["size"], t["cell"]) for t in written["things"]]
            require(sorted(things) == sorted(known), "image", f"panel {i}: drawn {things}, but stored {known}")
            require(_panel(things) == panel, "image", f"panel {i}: drawn {things}, but written {panel}")

    def _check_words(self, record: Mapping[str, Any], rows: Sequence[Row], labels: Sequence[Pair], answer: int) -> None:
        verdicts = ["not consistent" if i != answer else "consistent" for i in range(1, 5)]
        if self.compact:
            block = [f"{t} {a.replace(' ', '-')} {r}" for t, (a, r) in zip(_TITLES, labels, strict=True)]
            ends = [f" {verdict.replace('not ', 'in')}" for verdict in verdicts]
        else:
            block = [f"{title}: ({a}, {r})" for title, (a, r) in zip(_TITLES, labels, strict=True)]
            ends = [f", {verdict}" for verdict in verdicts]
        block[2:] = [line + end for line, end in zip(block[2:], ends, strict=True)]
        expected = "\n".join([*block, "", f"Answer: {answer}"])
        require(record["answer_block"] == expected, "answer", f"the block is {record['answer_block']!r}")
        if self.compact:
            self._follow_compact(record["reasoning"], rows, labels)
            return
        chains = {each["name"]: each["reasoning"] for each in record["alternatives"]}
        require(set(chains) == {"template", "order", "value"}, "reasoning", f"the chains are {sorted(chains)}")
        follow(record["reasoning"], rows, labels, answer, order=ATTRIBUTES)
        follow(chains["value"], rows, labels, answer, order=ATTRIBUTES)
        follow(chains["order"], rows, labels, answer, order=_OTHER_ORDER)
        follow_template(chains["template"], rows, labels, answer)

    def _read_compact_text(self, text: str) -> list[SeenPanel]:
        """Twelve panels: of two examples, the query and the options."""
        lines = text.split("\n")
        require(len(lines) == len(_PANELS), "text", f"{len(lines)} panels, not {len(_PANELS)}")
        return [self._compact_panel(name, line.split(" ")) for name, line in zip(_PANELS, lines, strict=True)]

    def _compact_panel(self, name: str, words: Sequence[str]) -> SeenPanel:
        """The panel of that name; each word tells one value, as in "e1a:circle", and only shapes have a size."""
        found = [word.partition(":")[::2] for word in words]
        require({owner for owner, _ in found} == {name}, "text", f"{words} tells not only of panel {name}")
        family = "shapes" if any(value in _SIZES for _, value in found) else "lines"
        sets: dict[str, set[str]] = {attribute: set() for attribute in ATTRIBUTES[family]}
        for _, word in found:
            attribute, value = self._meaning(family, word)
            sets[attribute].add(value)
        return SeenPanel(family, {attribute: frozenset(values) for attribute, values in sets.items()})

    def _meaning(self, family: str, word: str) -> tuple[str, str]:
        """The attribute and the value, in the paper's words, for which a word of the compact style stands."""
        kind = family.removesuffix("s")
        if word in _COLOURS:
            return f"{kind} colour", str(_COLOURS[word])
        if word in _SIZES:
            return "shape size", str(self.settings.sizes[_SIZES.index(word)])
        if word in _CELLS:
            row, column = divmod(_CELLS.index(word), 3)
            return "shape position", f"({row}, {column})"
        require(word != {"line": "circle", "shape": "ring"}[kind], "text", f"{word!r} is no type of {family}")
        return ("shape quantity" if word.isdigit() else f"{kind} type"), word.replace("ring", "circle")

    def _follow_compact(self, chain: str, rows: Sequence[Row], labels: Sequence[Pair]) -> None:
        """Attributes in their order up to that of the pattern: of each example, then of the query with each option."""
        lines = [line.split(" ") for line in chain.split("\n")]
        for names, row, pair in zip(_EXAMPLES, rows, labels, strict=False):
            attributes = ATTRIBUTES[row[0].family]
            for attribute in attributes[: attributes.index(pair[0]) + 1]:
                self._follow_line(_next(lines), attribute, dict(zip(names, row, strict=True)), {names[2]: pair})
        shared = _next(lines)
        require(shared == ["relation", labels[0][1]], "reasoning", f"{shared} is not the shared relation")
        left = dict(zip(_OPTIONS, labels[2:], strict=True))
        panels = dict(zip((*_QUERY, *_OPTIONS), (*rows[2][:2], *(row[2] for row in rows[2:])), strict=True))
        for attribute in ATTRIBUTES[rows[2][0].family]:
            if left:
                shown = {name: panel for name, panel in panels.items() if name in (*_QUERY, *left)}
                self._follow_line(_next(lines), attribute, shown, left)
            left = {name: pair for name, pair in left.items() if pair[0] != attribute}
        require(not lines, "reasoning", f"after the last verdict there is {lines}")

    def _follow_line(
        self, words: Sequence[str], attribute: str, panels: Mapping[str, SeenPanel], pairs: Mapping[str, Pair]
    ) -> None:
        """Check a line on one attribute: each panel's values, and behind the panels in ``pairs`` what they follow."""
        require(words[0] == attribute.replace(" ", "-"), "reasoning", f"{words} should be about {attribute}")
        rest = list(words[1:])
        for name, panel in panels.items():
            quoted = [rest.pop(0) for _ in rest[: len(panel.sets[attribute])]]
            meant = [self._meaning(panel.family, word.removeprefix(f"{name}:")) for word in quoted]
            wanted = {(attribute, value) for value in panel.sets[attribute]}
            require(set(meant) == wanted, "reasoning", f"{quoted} should tell {sorted(wanted)} of {name}")
            if name in pairs:
                verdict = pairs[name][1] if attribute == pairs[name][0] else "none"
                require(rest[:1] == [verdict], "reasoning", f"behind {quoted} there is {rest[:1]}, not {verdict}")
                rest = rest[1:]
        require(not rest, "reasoning", f"at the end of a line there is {rest}")

    @cached_property
    def _layout(self) -> Layout:
        return Layout.compact() if self.compact else Layout.paper()

    @cached_property
    def _strokes(self) -> StrokeReader:
        return StrokeReader(self._layout)

    @cached_property
    def _shapes(self) -> ShapeReader:
        return ShapeReader(self._layout, self.settings.sizes)


def _next(lines: list[list[str]]) -> list[str]:
    require(lines, "reasoning", "the chain ends too early")
    return lines.pop(0)


def _panel(things: Sequence[tuple[str, int, int, int]]) -> SeenPanel:
    """The panel as its objects show it: a line has the cell -1."""
    types = frozenset(kind for kind, _, _, _ in things)
    colours = frozenset(str(colour) for _, colour, _, _ in things)
    if all(cell < 0 for _, _, _, cell in things):
        return SeenPanel("lines", {"line type": types, "line colour": colours})
    sets = {
        "shape type": types,
        "shape colour": colours,
        "shape size": frozenset(str(size) for _, _, size, _ in things),
        "shape quantity": frozenset([str(len(things))]),
        "shape position": frozenset(f"({cell // 3}, {cell % 3})" for _, _, _, cell in things),
    }
    return SeenPanel("shapes", sets)


def _rows(panels: Sequence[SeenPanel]) -> list[Row]:
    """Both examples, and the query completed by each option."""
    a, b, c, d, e, f, first, second, *options = panels
    return [(a, b, c), (d, e, f), *((first, second, option) for option in options)]


def read_text(text: str) -> list[SeenPanel]:
    """The twelve panels of the paper's style; raises Mismatch where they are none."""
    panels, lines = [], text.split("\n")
    for title, heads in (
        ("Example 1", ["Panel 1: ", "Panel 2: ", "Panel 3: "]),
        ("Example 2", ["Panel 1: ", "Panel 2: ", "Panel 3: "]),
        ("Query", ["Panel 1: ", "Panel 2: "]),
        ("Options", [f"Option {i}: " for i in range(1, 5)]),
    ):
        require(lines and lines.pop(0) == title, "text", f"the part {title} is missing")
        for head in heads:
            line = lines.pop(0) if lines else ""
            require(line.startswith(head), "text", f"{line!r} does not begin with {head!r}")
            panels.append(_written_panel(line.removeprefix(head)))
    require(not lines, "text", f"after the options there is {lines}")
    return panels


def _written_panel(line: str) -> SeenPanel:
    what, *parts = line.split("; ")
    count = re.fullmatch(r"lines|([1-9]) shapes?", what)
    if not count:
        raise Mismatch("text", f"{line!r} is no panel")
    family = "shapes" if count[1] else "lines"
    sets: dict[str, Values] = {"shape quantity": frozenset([count[1]])} if count[1] else {}
    for part in parts:
        name, _, values = part.partition("s ")
        sets[f"{family[:-1]} {name}"] = frozenset(re.findall(r"\([0-9], [0-9]\)|[\w-]+", values))
    require(set(sets) == set(ATTRIBUTES[family]), "text", f"{line!r} tells {sorted(sets)}")
    return SeenPanel(family, sets)


def patterns(row: Row) -> list[Pair]:
    """Every (attribute, relation) that three panels follow."""
    return [
        (attribute, relation)
        for attribute in ATTRIBUTES[row[0].family]
        for relation in RELATIONS
        if _follows(attribute, relation, [panel.sets[attribute] for panel in row])
    ]


def _follows(attribute: str, relation: str, sets: Sequence[Values]) -> bool:
    """One value at a time: is it in the first, the second, the third panel?"""
    first, second, third = sets
    if relation == "Progression":
        return _progresses(attribute, sets)
    if attribute == "shape quantity" or not third:
        return False
    asked = {"AND": 2, "OR": 1, "XOR": 1}[relation]
    most = 1 if relation == "XOR" else 2
    return all((asked <= (v in first) + (v in second) <= most) == (v in third) for v in first | second | third)


def _progresses(attribute: str, sets: Sequence[Values]) -> bool:
    if attribute.endswith("type"):
        grown = [len(b - a) > 0 and not a - b for a, b in itertools.pairwise(sets)]
        return all(grown)
    if attribute == "shape position":
        cells = [{(int(value[1]), int(value[4])) for value in values} for values in sets]
        steps = [step for step in itertools.product(range(3), repeat=2) if any(step)]
        return any(
            all({((r + s) % 3, (c + t) % 3) for r, c in a} == b for a, b in itertools.pairwise(cells)) for s, t in steps
        )
    if any(len(values) != 1 for values in sets):
        return False
    a, b, c = (int(value) for values in sets for value in values)
    return (b - a) * (c - b) > 0


def follow(
    chain: str, rows: Sequence[Row], labels: Sequence[Pair], answer: int, *, order: Mapping[str, Sequence[str]]
) -> None:
    """Check every line of a chain of the paper's style; ``order`` is that of the examples' attributes."""
    lines = chain.split("\n")[1:]
    for i in (0, 1):
        expect(lines, f"Example {i + 1} shows {rows[i][0].family}.")
        for attribute in order[rows[i][0].family]:
            verdict = f"this fits {labels[i][1]}" if attribute == labels[i][0] else "no pattern"
            _claim(lines, "- ", attribute, rows[i], f": {verdict}.")
    expect(lines, f"The pattern is in the {labels[0][0]} in example 1 and in the {labels[1][0]} in example 2.")
    expect(lines, f"The relation that they share is {labels[0][1]}.")
    query = rows[2][:2]
    expect(lines, f"The query shows {query[0].family}.")
    for attribute in ATTRIBUTES[query[0].family]:
        _claim(lines, "- ", attribute, query, ".")
    for i, (row, (attribute, relation)) in enumerate(zip(rows[2:], labels[2:], strict=True), 1):
        verdict = "the relation sought" if i == answer else f"not {labels[0][1]}"
        _claim(lines, f"With option {i} (", attribute, row[2:], f") it fits {relation}, {verdict}.")
    expect(lines, f"Only option {answer} is consistent with {labels[0][1]}.")
    require(not lines, "reasoning", f"after the conclusion there is {lines}")


def follow_template(chain: str, rows: Sequence[Row], labels: Sequence[Pair], answer: int) -> None:
    """Check every line of the chain ``template``."""
    lines = chain.split("\n")
    for title, row, (attribute, relation) in zip(_TITLES, rows, labels, strict=True):
        if title == "Option 1":
            expect(lines, f"So we look for {labels[0][1]}.")
        line = lines.pop(0)
        found = re.fullmatch(rf"{title}: by {attribute} we see (.*), which is {relation}\.", line)
        if not found:
            raise Mismatch("reasoning", f"{line!r} does not tell {attribute} and {relation} of {title}")
        _same_sets(found[1], " then ", attribute, row)
    expect(lines, f"That is option {answer}.")
    require(not lines, "reasoning", f"after the conclusion there is {lines}")


def expect(lines: list[str], expected: str) -> None:
    """Take the next line, which must be the expected one."""
    line = lines.pop(0) if lines else ""
    require(line == expected, "reasoning", f"{line!r} should be {expected!r}")


def _claim(lines: list[str], start: str, attribute: str, row: Sequence[SeenPanel], end: str) -> None:
    """Take the next line, which must tell the values of an attribute in the panels of a row."""
    line = lines.pop(0) if lines else ""
    start = f"{start}{attribute} "
    framed = line.startswith(start) and line.endswith(end)
    require(framed, "reasoning", f"{line!r} does not tell {attribute!r} and end in {end!r}")
    _same_sets(line.removeprefix(start).removesuffix(end), ", ", attribute, row)


def _same_sets(text: str, between: str, attribute: str, row: Sequence[SeenPanel]) -> None:
    """Raise Mismatch unless ``text`` lists the values of each panel of a row, in braces, every value once."""
    lists = [part.split(", ") for part in text.removeprefix("{").removesuffix("}").split(f"}}{between}{{")]
    if attribute == "shape position":  # its values hold commas
        lists = [[f"{row}, {column}" for row, column in zip(part[::2], part[1::2], strict=True)] for part in lists]
    expected = [panel.sets[attribute] for panel in row]
    once = sum(map(len, lists)) == sum(map(len, expected)) and text[:1] + text[-1:] == "{}"
    whole = once and [frozenset(values) for values in lists] == expected
    require(whole, "reasoning", f"{text!r} should tell {[sorted(values) for values in expected]}")
