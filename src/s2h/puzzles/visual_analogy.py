"""Visual Analogy: find the relation that two examples share, and the option that completes the query by it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from s2h.errors import ConfigError, DataError
from s2h.puzzles import analogy_panels as panels
from s2h.puzzles.analogy_panels import (
    ATTRIBUTES,
    PAIRS,
    RELATIONS,
    Analogy,
    Attribute,
    Context,
    Pair,
    Panel,
    Relation,
    Row,
    Thing,
    Values,
    read,
)
from s2h.puzzles.task import Level, LevelSettings, Modality, Task, TaskSettings, Verdict, final_answer

OPTIONS = 4
_TRIES = 10_000  # contexts drawn for one row; the shipped settings need two or three on average
_PANEL_TRIES = 8  # third panels drawn for one context; each is free of accidental patterns about every second time
_MOST_LINES = 3  # lines of a panel whose target is their colour
_MOST_LINE_TYPES = 6  # lines of a panel whose target is their type

_COMPACT_COLOURS = {0: "black", 90: "dark", 135: "grey", 189: "light", 255: "white"}
_COMPACT_SIZES = ("small", "medium", "large", "huge")
_COMPACT_CELLS = ("nw", "north", "ne", "west", "mid", "east", "sw", "south", "se")


class VisualAnalogySettings(TaskSettings):
    """Settings of Visual Analogy.

    Attributes:
        sizes: sizes of shapes, rising, in units of 1/160 of a panel's side (the paper: 20, 27, 34, 41).
        held_out: for each relation the two attributes on which only HARD puzzles use it (the paper: XOR on shape size
            and shape position, OR on shape type and shape position, AND on line colour and shape colour, Progression
            on shape type and line colour).
    """

    sizes: tuple[int, ...] = Field(description="sizes of shapes, rising, in units of 1/160 of a panel's side")
    held_out: dict[Relation, tuple[Attribute, Attribute]] = Field(
        description="for each relation the two attributes on which only HARD puzzles use it"
    )
    levels: dict[Literal["SIMPLE", "HARD"], LevelSettings]

    @model_validator(mode="after")
    def _sizes_fit(self) -> VisualAnalogySettings:
        largest = 47  # shapes stand 48 units apart
        most = len(_COMPACT_SIZES) if self.style == "compact" else largest
        rising = list(self.sizes) == sorted(set(self.sizes))
        if not (rising and 3 <= len(self.sizes) <= most and self.sizes[0] >= 10 and self.sizes[-1] <= largest):
            raise ValueError(
                f"sizes is {list(self.sizes)}: give 3 to {most} rising sizes from 10 to {largest}; a progression "
                "takes three"
            )
        return self

    @model_validator(mode="after")
    def _relations_held_out(self) -> VisualAnalogySettings:
        for relation in RELATIONS:
            attributes = self.held_out.get(relation, ())
            if len(set(attributes)) != 2 or any((attribute, relation) not in PAIRS for attribute in attributes):
                raise ValueError(
                    f"held_out.{relation} is {list(attributes)}: give two different attributes on which {relation} is "
                    f"defined, of {', '.join(attribute for attribute, other in PAIRS if other == relation)}"
                )
        return self


class VisualAnalogy(Task[Analogy]):
    """An analogy between rows of panels, with four options for the panel that is missing."""

    name = "visual_analogy"
    title = "Visual Analogy"
    settings_type = VisualAnalogySettings
    puzzle_type = Analogy

    @property
    def compact(self) -> bool:
        """Whether panels are small images and single words."""
        return bool(self.settings.style == "compact")

    @cached_property
    def held_out(self) -> tuple[Pair, ...]:
        """The combinations of HARD puzzles, in the order of ``PAIRS``."""
        return tuple(pair for pair in PAIRS if pair[0] in self.settings.held_out[pair[1]])

    @cached_property
    def domains(self) -> dict[Attribute, tuple[str | int, ...]]:
        """The values of each attribute, in the order in which texts name them."""
        return {
            "line type": panels.LINE_TYPES,
            "line colour": panels.LINE_COLOURS,
            "shape type": panels.SHAPE_TYPES,
            "shape colour": panels.SHAPE_COLOURS,
            "shape size": self.settings.sizes,
            "shape quantity": tuple(range(1, panels.MOST_SHAPES + 1)),
            "shape position": tuple(range(panels.LATTICE**2)),
        }

    def sample(self, rng: np.random.Generator, level: Level) -> Analogy:
        """Draw the query's combination, uniform in its level, then rows that follow it.

        SIMPLE: both examples follow the query's combination. HARD: the examples follow its relation on the two
        attributes that are held out for it, in random order. Wrong options follow other relations; at SIMPLE only in
        combinations that are not held out.
        """
        if level not in self.settings.levels:
            raise ConfigError(f"{self.title} has no level {level}: its levels are {', '.join(self.settings.levels)}.")
        simple = tuple(pair for pair in PAIRS if pair not in self.held_out)
        targets = simple if level == "SIMPLE" else self.held_out
        target = targets[rng.integers(len(targets))]
        attributes = (target[0],) * 2
        if level == "HARD":
            both = self.settings.held_out[target[1]]
            attributes = both if rng.integers(2) else (both[1], both[0])
        first, second = (self._example(rng, (attribute, target[1])) for attribute in attributes)
        query, options = self._query(rng, target, simple if level == "SIMPLE" else PAIRS)
        return Analogy((first, second), query, options)

    def _example(self, rng: np.random.Generator, pair: Pair) -> Row:
        for _ in range(_TRIES):
            context = self._context(rng, pair)
            third = self._third(rng, context, pair)
            if third is not None:
                return (*context, third)
        raise DataError(_exhausted(f"examples of {pair}"))

    def _query(
        self, rng: np.random.Generator, target: Pair, pairs: Sequence[Pair]
    ) -> tuple[Context, tuple[Panel, Panel, Panel, Panel]]:
        """A context and four shuffled options: one for ``target``, the others for pairs of other relations.

        As every option completes the query to one combination only, exactly one follows the target's relation.
        """
        others = [pair for pair in pairs if pair[1] != target[1] and pair[0] in _siblings(target[0])]
        for _ in range(_TRIES):
            context = self._context(rng, target)
            options: list[Panel] = []
            for pair in (target, *(others[i] for i in rng.permutation(len(others)))):
                option = self._third(rng, context, pair)
                if option is not None:
                    options.append(option)
                if len(options) == OPTIONS or (option is None and pair == target):
                    break
            if len(options) == OPTIONS:
                a, b, c, d = (options[i] for i in rng.permutation(OPTIONS))
                return context, (a, b, c, d)
        raise DataError(_exhausted(f"queries of {target}"))

    def _context(self, rng: np.random.Generator, pair: Pair) -> Context:
        """Two panels that a third can continue by ``pair``.

        For AND, OR and XOR shape panels hold two shapes, as in the paper.
        """
        attribute, relation = pair
        least, most = 1, _MOST_LINES if attribute == "line colour" else panels.MOST_SHAPES
        if relation != "Progression":
            values = self._overlapping(rng, attribute)
            least, most = (1, most) if attribute == "line colour" else (2, 2)
        elif attribute.endswith("type"):
            values = self._growing(rng, attribute)
            most = 4
        elif attribute == "shape position":
            values = self._moving(rng)
        else:
            values = self._monotone(rng, attribute)
            least = 2 if attribute == "line colour" else 1  # two lines more often share a type with the next panel
        first, second = (self._panel(rng, attribute, wanted, (least, most)) for wanted in values)
        return first, second

    def _third(self, rng: np.random.Generator, context: Context, pair: Pair) -> Panel | None:
        """A panel that completes a context to ``pair`` and to nothing else; None when there is none or none was drawn.

        Differences from the paper: as many shapes as values are allowed too, and a panel that continues a progression
        of line colours may have as many lines as the others, so that counts tell nothing.
        """
        first, second = (panel.values(pair[0]) for panel in context)
        wanted = panels.completions(pair, first, second, self.domains[pair[0]])
        wanted = [values for values in wanted if len(values) <= _room(pair[0])]
        most = _MOST_LINES if pair[0] == "line colour" else panels.MOST_SHAPES
        for _ in range(_PANEL_TRIES if wanted else 0):
            panel = self._panel(rng, pair[0], wanted[rng.integers(len(wanted))], (1, most))
            if panels.patterns((*context, panel)) == (pair,):
                return panel
        return None

    def _overlapping(self, rng: np.random.Generator, attribute: Attribute) -> tuple[Values, Values]:
        """A common value, one that only the first panel has, and one that the first panel may have or not."""
        domain = self.domains[attribute]
        lines = attribute.startswith("line")
        common, contrast, extra, *_ = (domain[i] for i in rng.permutation(len(domain)))
        rest = [value for value in domain if value != contrast and (attribute != "shape position" or value != common)]
        other = rest[rng.integers(len(rest))]
        first = [common, contrast, *([extra] if lines and rng.integers(2) else [])]
        second = [common, *([other] if not lines or rng.integers(2) else [])]
        return frozenset(first), frozenset(second)

    def _growing(self, rng: np.random.Generator, attribute: Attribute) -> tuple[Values, Values]:
        """Types of the first panel, and the same with more, so that at least one is left to add."""
        names = [self.domains[attribute][i] for i in rng.permutation(len(self.domains[attribute]))]
        lines = attribute == "line type"
        first = int(rng.integers(1, 3 if lines else 4))
        second = first + 1 if lines else int(rng.integers(first + 1, len(names)))
        return frozenset(names[:first]), frozenset(names[:second])

    def _monotone(self, rng: np.random.Generator, attribute: Attribute) -> tuple[Values, Values]:
        """Single values of a rising or falling progression of which at least one step is left."""
        domain = self.domains[attribute]
        rising = sorted(int(i) for i in rng.permutation(len(domain))[:3])
        first, second, _ = rising if rng.integers(2) else rising[::-1]
        return frozenset([domain[first]]), frozenset([domain[second]])

    def _moving(self, rng: np.random.Generator) -> tuple[Values, Values]:
        """One to three cells and their shift; unlike in the paper all directions are equally frequent."""
        cells = [int(cell) for cell in rng.permutation(panels.LATTICE**2)[: rng.integers(1, 4)]]
        steps = panels.DIRECTIONS[rng.integers(len(panels.DIRECTIONS))]
        step = steps[rng.integers(len(steps))]
        return frozenset(cells), frozenset(panels.shifted(cell, step) for cell in cells)

    def _panel(self, rng: np.random.Generator, attribute: Attribute, wanted: Values, span: tuple[int, int]) -> Panel:
        """A panel with exactly the ``wanted`` values of one attribute, and any of the others.

        Args:
            rng: the source of chance.
            attribute: the target.
            wanted: its values.
            span: range of the number of things, where the values leave it open.
        """
        values = [value for value in self.domains[attribute] if value in wanted]
        count = int(rng.integers(max(span[0], len(values)), max(span[1], len(values)) + 1))
        if attribute in ("line type", "shape position"):
            count = len(values)
        elif attribute == "shape quantity":
            count = int(values[0])
        drawn = {
            name: _spread(rng, values, count) if name == attribute else self._any(rng, name, count)
            for name in _siblings(attribute)
            if name != "shape quantity"
        }
        if attribute in ATTRIBUTES["lines"]:
            lines = [Thing(str(t), int(c)) for t, c in zip(drawn["line type"], drawn["line colour"], strict=True)]
            return Panel("lines", tuple(sorted(lines, key=lambda line: panels.LINE_TYPES.index(line.type))))
        columns = (drawn[name] for name in ("shape type", "shape colour", "shape size", "shape position"))
        shapes = [Thing(str(t), int(c), int(s), int(p)) for t, c, s, p in zip(*columns, strict=True)]
        return Panel("shapes", tuple(sorted(shapes, key=lambda shape: shape.cell)))

    def _any(self, rng: np.random.Generator, attribute: Attribute, count: int) -> list[str | int]:
        """Values of an attribute that is not the target; as in the paper one value is left out for variety."""
        domain = self.domains[attribute]
        order = [domain[i] for i in rng.permutation(len(domain))[1:]]
        if attribute in ("line type", "shape position"):
            return order[:count]
        return [order[i] for i in rng.integers(len(order), size=count)]

    def answer(self, puzzle: Analogy) -> str:
        """The number of the option that follows the examples' relation."""
        return str(read(puzzle).answer)

    def answer_block(self, puzzle: Analogy) -> str:
        """The combination of each example and option, whether the option is consistent, and the answer."""
        found = read(puzzle)
        lines = [f"Example {i}{self._pair(pair)}" for i, pair in enumerate(found.examples, 1)]
        for i, pair in enumerate(found.options, 1):
            verdict = (
                "consistent" if pair[1] == found.relation else "inconsistent" if self.compact else "not consistent"
            )
            lines.append(f"Option {i}{self._pair(pair)}{'' if self.compact else ','} {verdict}")
        return "\n".join([*lines, "", f"Answer: {found.answer}"])

    def describe(self, puzzle: Analogy) -> str:
        """Each panel as its value sets, in a fixed order; they are not tied to single objects, as in the paper."""
        panel = self._compact_panel if self.compact else self._paper_panel
        lines = []
        for title, row in (
            ("Example 1", puzzle.examples[0]),
            ("Example 2", puzzle.examples[1]),
            ("Query", puzzle.query),
        ):
            lines.append(title)
            lines += [panel("panel" if self.compact else f"Panel {i}:", shown) for i, shown in enumerate(row, 1)]
        lines += [] if self.compact else ["Options"]
        lines += [panel(f"Option {i}{'' if self.compact else ':'}", shown) for i, shown in enumerate(puzzle.options, 1)]
        return "\n".join(lines)

    def question(self, puzzle: Analogy, modality: Modality) -> str:
        """What is asked; in the compact style the same few words for every puzzle."""
        return "which Option completes Query" if self.compact else _paper_question(modality)

    def reason(self, puzzle: Analogy) -> str:
        """The chain of thought: values of the examples, their relation, and what each option makes of the query."""
        return (self._compact_chain if self.compact else self._paper_chain)(puzzle)

    def render(self, puzzle: Analogy) -> bytes:
        """Examples, query and options, from top to bottom; options are numbered from left to right."""
        page = panels.COMPACT_PAGE if self.compact else panels.PAPER_PAGE
        return panels.draw_page(page, (*puzzle.examples[0], *puzzle.examples[1], *puzzle.query), puzzle.options)

    def judge(self, puzzle: Analogy, reply: str) -> Verdict:
        """The option number alone decides; unlike in the paper the labels count for the chain only."""
        found = re.fullmatch(r"(?:[Oo]ption )?\(?([1-4])\)?\.?", " ".join((final_answer(reply) or "").split()))
        answer = found.group(1) if found else ""
        correct = answer == self.answer(puzzle)
        gold = f"{self.reason(puzzle)} {self.answer_block(puzzle)}".split()
        return Verdict(bool(answer), answer, correct, correct and reply.split()[-len(gold) :] == gold)

    def words(self) -> frozenset[str]:
        """Every word of the compact style."""
        values = {
            word for attribute in self.domains for word in self._names(attribute, frozenset(self.domains[attribute]))
        }
        labels = {attribute.replace(" ", "-") for attribute in self.domains} | {*RELATIONS}
        text = {"Example", "Query", "Option", "panel", "lines", "shapes", "which", "completes"}
        return frozenset({*values, *labels, *text, "relation", "consistent", "inconsistent", "Answer:"})

    def _names(self, attribute: Attribute, values: Values) -> list[str]:
        """The values as words, in the order of their domain."""
        domain = self.domains[attribute]
        places = [i for i, value in enumerate(domain) if value in values]
        if self.compact:
            if attribute.endswith("colour"):
                return [_COMPACT_COLOURS[int(domain[i])] for i in places]
            words = {"shape size": _COMPACT_SIZES, "shape position": _COMPACT_CELLS}.get(attribute)
            return [words[i] if words else str(domain[i]) for i in places]
        if attribute == "shape position":
            return [f"({i // panels.LATTICE}, {i % panels.LATTICE})" for i in places]
        return [str(domain[i]) for i in places]

    def _pair(self, pair: Pair) -> str:
        return f" {pair[0].replace(' ', '-')} {pair[1]}" if self.compact else f": ({pair[0]}, {pair[1]})"

    def _compact_panel(self, head: str, panel: Panel) -> str:
        """The family, then the values; no word means two attributes, so that none needs its name."""
        order = sorted(ATTRIBUTES[panel.family], key=lambda attribute: attribute != "shape quantity")
        words = [word for attribute in order for word in self._names(attribute, panel.values(attribute))]
        return " ".join([head, panel.family, *words])

    def _paper_panel(self, head: str, panel: Panel) -> str:
        parts = [
            f"{attribute.split()[1]}s {', '.join(self._names(attribute, panel.values(attribute)))}"
            for attribute in ATTRIBUTES[panel.family]
            if attribute != "shape quantity"
        ]
        count = len(panel.things)
        what = "lines" if panel.family == "lines" else f"{count} shape{'s' if count > 1 else ''}"
        return f"{head} {what}; {'; '.join(parts)}"

    def _compact_chain(self, puzzle: Analogy) -> str:
        """A line a row: where its pattern lies, the values there, panel by panel, and the relation between them."""
        found = read(puzzle)
        rows: list[tuple[str, Pair, Sequence[Panel]]] = []
        for i, (pair, example) in enumerate(zip(found.examples, puzzle.examples, strict=True), 1):
            rows.append((f"Example {i}", pair, example))
        for i, (pair, option) in enumerate(zip(found.options, puzzle.options, strict=True), 1):
            rows.append((f"Option {i}", pair, (*puzzle.query, option)))
        lines = []
        for head, (attribute, relation), row in rows:
            values = [word for panel in row for word in ("panel", *self._names(attribute, panel.values(attribute)))]
            lines.append(" ".join([head, attribute.replace(" ", "-"), *values, relation]))
        lines.insert(len(puzzle.examples), f"relation {found.relation}")
        return "\n".join(lines)

    def _paper_chain(self, puzzle: Analogy) -> str:
        found = read(puzzle)
        lines = ["I compare the panels of each example, attribute by attribute."]
        for i, (pair, row) in enumerate(zip(found.examples, puzzle.examples, strict=True), 1):
            lines.append(f"Example {i} shows {row[0].family}.")
            for attribute in ATTRIBUTES[row[0].family]:
                verdict = f"this fits {pair[1]}" if attribute == pair[0] else "no pattern"
                lines.append(f"- {self._value_sets(attribute, row)}: {verdict}.")
        (one, _), (two, _) = found.examples
        lines.append(f"The pattern is in the {one} in example 1 and in the {two} in example 2.")
        lines.append(f"The relation that they share is {found.relation}.")
        lines.append(f"The query shows {puzzle.query[0].family}.")
        lines += [f"- {self._value_sets(name, puzzle.query)}." for name in ATTRIBUTES[puzzle.query[0].family]]
        for i, ((attribute, relation), option) in enumerate(zip(found.options, puzzle.options, strict=True), 1):
            verdict = "the relation sought" if relation == found.relation else f"not {found.relation}"
            lines.append(f"With option {i} ({self._value_sets(attribute, [option])}) it fits {relation}, {verdict}.")
        lines.append(f"Only option {found.answer} is consistent with {found.relation}.")
        return "\n".join(lines)

    def _value_sets(self, attribute: Attribute, row: Iterable[Panel]) -> str:
        sets = (", ".join(self._names(attribute, panel.values(attribute))) for panel in row)
        return f"{attribute} {', '.join(f'{{{values}}}' for values in sets)}"


def _siblings(attribute: Attribute) -> tuple[Attribute, ...]:
    return ATTRIBUTES[panels.family_of(attribute)]


def _room(attribute: Attribute) -> int:
    """The most values of an attribute that one panel shows."""
    return _MOST_LINE_TYPES if attribute == "line type" else panels.MOST_SHAPES


def _spread(rng: np.random.Generator, values: Sequence[str | int], count: int) -> list[str | int]:
    """``count`` of the values in random order, each of them at least once."""
    more = [values[i] for i in rng.integers(len(values), size=max(0, count - len(values)))]
    drawn = [*values, *more]
    return [drawn[i] for i in rng.permutation(count)]


def _exhausted(what: str) -> str:
    return (
        f"Visual Analogy: no {what} among {_TRIES} draws. Hold out other combinations in held_out, so that more wrong "
        "options are left, or give more sizes."
    )


def _paper_question(modality: Modality) -> str:
    where = "The text describes three rows of panels, and four options. "
    if modality == "image":
        where = (
            "The image shows three rows of three panels and, below them, four options, numbered 1 to 4 from left to "
            "right. "
        )
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
