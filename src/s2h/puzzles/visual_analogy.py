"""Visual Analogy: find the relation that two examples share, and the option that completes the query by it."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from s2h.errors import DataError
from s2h.puzzles import analogy_panels as panels
from s2h.puzzles import analogy_texts as texts
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
    as_values,
    listed,
    read,
)
from s2h.puzzles.drawing import panel_images as drawing
from s2h.puzzles.task import Level, LevelSettings, Modality, Split, Task, TaskSettings, Verdict, final_answer
from s2h.seeding import BufferedRng

_MOST_SCENE_LINES = 5  # lines of a panel of a scene: six may hide a seventh in the compact style
OPTIONS = 4
_TRIES = 10_000  # contexts drawn for one row; the shipped settings need two or three on average
_PANEL_TRIES = 8  # third panels drawn for one context; each is free of accidental patterns about every second time
_MOST_JOINT = 3  # things of a panel of a balanced query, where its values leave it open
_MOST_LINES = 3  # lines of a panel whose target is their colour
_MOST_LINE_TYPES = 6  # lines of a panel whose target is their type
_ONE_EACH: tuple[Attribute, ...] = ("line type", "shape position")  # no two things of a panel share a value of these

Quadruple = tuple[Pair, Pair, Pair, Pair]
"""Combinations of the four options of a balanced query, in the order of ``RELATIONS``."""

Query = tuple[Context, tuple[Panel, Panel, Panel, Panel]]
"""The row without its last panel, and the options."""


def quadruples(pairs: Sequence[Pair]) -> tuple[tuple[Quadruple, ...], ...]:
    """All combinations that the options of one query can have: of one family, and of each relation one.

    A colour or a size cannot both progress and be combined by a set relation: the one takes a single value in each
    panel, the other two sets that differ and overlap.

    Args:
        pairs: the combinations of a level.

    Returns:
        The quadruples, those with the same Progression together.
    """
    found: dict[Pair, list[Quadruple]] = {}
    of_relation = [[pair for pair in pairs if pair[1] == relation] for relation in RELATIONS]
    for each in itertools.product(*of_relation):
        progressing = each[-1][0]
        shared = progressing in {attribute for attribute, _ in each[:-1]}
        one_family = len({panels.family_of(attribute) for attribute, _ in each}) == 1
        if one_family and not (shared and progressing.endswith(("colour", "size"))):
            conjunction, disjunction, difference, progression = each
            found.setdefault(progression, []).append((conjunction, disjunction, difference, progression))
    return tuple(tuple(group) for group in found.values())


class VisualAnalogySettings(TaskSettings):
    """Settings of Visual Analogy.

    Attributes:
        sizes: sizes of shapes, rising, in units of 1/160 of a panel's side (the paper: 20, 27, 34, 41).
        held_out: for each relation the two attributes on which only HARD puzzles use it (the paper: XOR on shape size
            and shape position, OR on shape type and shape position, AND on line colour and shape colour, Progression
            on shape type and line colour).
        distractors: ``balanced`` gives the four options four different relations, each with a combination of the
            puzzle's level, so that query and options do not tell the answer. ``paper`` draws the query for the right
            option and wrong ones of other relations, HARD ones among all combinations: they tell it often.
    """

    sizes: tuple[int, ...] = Field(description="sizes of shapes, rising, in units of 1/160 of a panel's side")
    held_out: dict[Relation, tuple[Attribute, Attribute]] = Field(
        description="for each relation the two attributes on which only HARD puzzles use it"
    )
    distractors: Literal["balanced", "paper"] = Field(
        description="balanced: query and options do not tell the answer; paper: as the paper draws them"
    )
    levels: dict[Literal["SIMPLE", "HARD"], LevelSettings]

    @field_validator("held_out")
    @classmethod
    def _in_order(cls, held_out: dict[Relation, Any]) -> dict[Relation, Any]:
        """One order however overlays name the relations."""
        return {relation: held_out[relation] for relation in RELATIONS if relation in held_out}

    @model_validator(mode="after")
    def _sizes_fit(self) -> VisualAnalogySettings:
        largest = panels.LARGEST
        most = len(texts.COMPACT_SIZES) if self.style == "compact" else largest
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

    @model_validator(mode="after")
    def _hard_options_found(self) -> VisualAnalogySettings:
        """SIMPLE puzzles always have four: of each relation at least two attributes of shapes are not held out."""
        pairs = [(attribute, relation) for relation, attributes in self.held_out.items() for attribute in attributes]
        if self.distractors == "balanced" and not quadruples(pairs):
            raise ValueError(
                f"held_out is {self.held_out}: this leaves HARD puzzles no four options of different relations. Hold "
                "out all four relations on attributes of lines, or all four on attributes of shapes (Progression of a "
                "colour or a size does not go with another relation on it); or set distractors to paper"
            )
        return self


class VisualAnalogy(Task[Analogy]):
    """An analogy between rows of panels, with four options for the panel that is missing."""

    name = "visual_analogy"
    title = "Visual Analogy"
    settings_type = VisualAnalogySettings
    puzzle_type = Analogy

    @property
    def min_size(self) -> tuple[int, int]:
        """The paper's page, or a square with four panels on each side."""
        return (drawing.COMPACT_PAGE if self.compact else drawing.PAPER_PAGE).size

    @cached_property
    def _page(self) -> drawing.Page:
        page = drawing.COMPACT_PAGE if self.compact else drawing.PAPER_PAGE
        return dataclasses.replace(page, size=self.image_size)

    @cached_property
    def held_out(self) -> tuple[Pair, ...]:
        """The combinations of HARD puzzles, in the order of ``PAIRS``."""
        return tuple(pair for pair in PAIRS if pair[0] in self.settings.held_out[pair[1]])

    @cached_property
    def simple(self) -> tuple[Pair, ...]:
        """The combinations of SIMPLE puzzles, in the order of ``PAIRS``."""
        return tuple(pair for pair in PAIRS if pair not in self.held_out)

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

    @cached_property
    def _quadruples(self) -> dict[Level, tuple[tuple[Quadruple, ...], ...]]:
        return {"SIMPLE": quadruples(self.simple), "HARD": quadruples(self.held_out)}

    def sample(self, rng: np.random.Generator, level: Level, split: Split) -> Analogy:
        """Draw a puzzle with balanced distractors, or with the paper's.

        Balanced: query and options first, then which of the options is right, then examples for it. So query and
        options are the same whichever is right: only the examples tell. The paper's: the query's combination, uniform
        in its level, then rows that follow it. Wrong options follow other relations; at SIMPLE only in combinations
        that are not held out.
        """
        self.level(level)
        draws = BufferedRng(rng)
        if self.settings.distractors == "balanced":
            query, pairs = self._balanced_query(draws, level)
            return Analogy(self._examples(draws, draws.choice(pairs), level), *query)
        target = draws.choice(self.simple if level == "SIMPLE" else self.held_out)
        examples = self._examples(draws, target, level)
        return Analogy(examples, *self._paper_query(draws, target, self.simple if level == "SIMPLE" else PAIRS))

    @property
    def paired(self) -> bool:
        """With balanced distractors each option may be right, so that every puzzle has a twin."""
        return bool(self.settings.distractors == "balanced")

    def twin(self, rng: np.random.Generator, puzzle: Analogy, level: Level) -> Analogy:
        """The same query and options with examples for one of the wrong options, which is thereby right."""
        reading, draws = read(puzzle), BufferedRng(rng)
        others = [pair for pair in reading.options if pair[1] != reading.relation]
        return dataclasses.replace(puzzle, examples=self._examples(draws, draws.choice(others), level))

    def _examples(self, draws: BufferedRng, target: Pair, level: Level) -> tuple[Row, Row]:
        """Two examples for the query's combination.

        SIMPLE: both follow it. HARD: they follow its relation on the two attributes that are held out for it, in random
        order.
        """
        attributes = [target[0]] * 2
        if level == "HARD":
            attributes = draws.sample(self.settings.held_out[target[1]])
        first, second = (self._example(draws, (attribute, target[1])) for attribute in attributes)
        return first, second

    def sample_scene(self, rng: np.random.Generator) -> Analogy:
        """A page of panels with any lines or any shapes each; no relation is intended, and no option is right."""
        draws = BufferedRng(rng)
        a, b, c, d, e, f, first, second, *options = (self._any_panel(draws) for _ in range(8 + OPTIONS))
        one, two, three, four = options
        return Analogy(((a, b, c), (d, e, f)), (first, second), (one, two, three, four))

    def _any_panel(self, draws: BufferedRng) -> Panel:
        if draws.randrange(2):
            types = draws.sample(panels.LINE_TYPES, draws.randint(1, _MOST_SCENE_LINES))
            types.sort(key=panels.LINE_TYPES.index)
            return Panel("lines", tuple(Thing(name, draws.choice(panels.LINE_COLOURS)) for name in types))
        cells = draws.sample(range(panels.LATTICE**2), draws.randint(1, panels.MOST_SHAPES))
        return Panel("shapes", tuple(self._any_shape(draws, cell) for cell in sorted(cells)))

    def _any_shape(self, draws: BufferedRng, cell: int) -> Thing:
        kind, colour = draws.choice(panels.SHAPE_TYPES), draws.choice(panels.SHAPE_COLOURS)
        return Thing(kind, colour, draws.choice(self.settings.sizes), cell)

    def _example(self, draws: BufferedRng, pair: Pair) -> Row:
        for _ in range(_TRIES):
            context = self._context(draws, pair)
            third = self._third(draws, context, pair)
            if third is not None:
                return (*context, third)
        raise DataError(_exhausted(f"examples of {pair}"))

    def _balanced_query(self, draws: BufferedRng, level: Level) -> tuple[Query, Quadruple]:
        """A query and its four combinations: each Progression as often, and each quadruple with the same one."""
        pairs = draws.choice(draws.choice(self._quadruples[level]))
        for _ in range(_TRIES):
            query = self._joint_query(draws, pairs)
            if query:
                return query, pairs
        raise DataError(_exhausted(f"queries with {pairs}"))

    def _joint_query(self, draws: BufferedRng, pairs: Quadruple) -> Query | None:
        """A context and an option for each combination, shuffled; None where what was drawn does not fit."""
        context = self._joint_context(draws, pairs)
        if context is None:
            return None
        options = []
        for pair in pairs:
            option = self._third(draws, context, pair)
            if option is None:
                return None
            options.append(option)
        return context, _shuffled(draws, options)

    def _paper_query(self, draws: BufferedRng, target: Pair, pairs: Sequence[Pair]) -> Query:
        """A context and four shuffled options: one for ``target``, the others for pairs of other relations.

        As every option completes the query to one combination only, exactly one follows the target's relation.
        """
        others = [pair for pair in pairs if pair[1] != target[1] and pair[0] in _siblings(target[0])]
        for _ in range(_TRIES):
            context = self._context(draws, target)
            options: list[Panel] = []
            for pair in (target, *draws.sample(others)):
                option = self._third(draws, context, pair)
                if option is not None:
                    options.append(option)
                if len(options) == OPTIONS or (option is None and pair == target):
                    break
            if len(options) == OPTIONS:
                return context, _shuffled(draws, options)
        raise DataError(_exhausted(f"queries of {target}"))

    def _context(self, draws: BufferedRng, pair: Pair) -> Context:
        """Two panels that a third can continue by ``pair``.

        For AND, OR and XOR shape panels hold two shapes, as in the paper.
        """
        attribute, relation = pair
        least, most = 1, _MOST_LINES if attribute == "line colour" else panels.MOST_SHAPES
        if relation != "Progression":
            values = self._overlapping(draws, attribute)
            least, most = (1, most) if attribute == "line colour" else (2, 2)
        else:
            values = self._progressing(draws, attribute)
            least = 2 if attribute == "line colour" else 1  # two lines more often share a type with the next panel
            most = 4 if attribute.endswith("type") else most
        first, second = (self._panel(draws, {attribute: wanted}, (least, most)) for wanted in values)
        return first, second

    def _joint_context(self, draws: BufferedRng, pairs: Quadruple) -> Context | None:
        """Two panels that a third can continue by each of four combinations; None where what was drawn does not fit."""
        *others, (progressing, _) = pairs
        values = {progressing: self._progressing(draws, progressing)}
        counts = self._counts(draws, progressing, values[progressing])
        for attribute, _ in others:
            if attribute not in values:
                values[attribute] = self._sharing(draws, attribute, counts)
        if not all(self._wanted(pair, *values[pair[0]]) for pair in pairs):
            return None
        first, second = (
            self._panel(draws, {attribute: each[i] for attribute, each in values.items()}, (count, count))
            for i, count in enumerate(counts)
        )
        return first, second

    def _third(self, draws: BufferedRng, context: Context, pair: Pair) -> Panel | None:
        """A panel that completes a context to ``pair`` and to nothing else; None when there is none or none was drawn.

        Differences from the paper: as many shapes as values are allowed too, and a panel that continues a progression
        of line colours may have as many lines as the others, so that counts tell nothing.
        """
        attribute = pair[0]
        family, (first, second) = context[0].family, (panel.all_values() for panel in context)
        at = ATTRIBUTES[family].index(attribute)
        wanted = self._wanted(pair, first[at], second[at])
        most = _MOST_LINES if attribute == "line colour" else panels.MOST_SHAPES
        for _ in range(_PANEL_TRIES if wanted else 0):
            panel = self._panel(draws, {attribute: draws.choice(wanted)}, (1, most))
            if panels.patterns_of(family, first, second, panel.all_values()) == (pair,):
                return panel
        return None

    def _wanted(self, pair: Pair, first: Values, second: Values) -> list[Values]:
        """The values with which a third panel, which has room for them, completes those of two panels to ``pair``."""
        attribute = pair[0]
        found = panels.completions(pair, first, second, as_values(attribute, self.domains[attribute]))
        return [values for values in found if values.bit_count() <= _room(attribute)]

    def _progressing(self, draws: BufferedRng, attribute: Attribute) -> tuple[Values, Values]:
        """Values of two panels that a third can continue to a progression."""
        if attribute.endswith("type"):
            return self._growing(draws, attribute)
        return self._moving(draws) if attribute == "shape position" else self._monotone(draws, attribute)

    def _counts(self, draws: BufferedRng, progressing: Attribute, values: tuple[Values, Values]) -> list[int]:
        """Numbers of things in two panels: equal, so that they do not progress, unless the values tell them."""
        if progressing == "shape quantity" or progressing in _ONE_EACH:
            return [_count(draws, {progressing: listed(progressing, each)}, (1, 1)) for each in values]
        least = max(2, *(each.bit_count() for each in values))
        return [draws.randint(least, max(least, _MOST_JOINT))] * 2

    def _sharing(self, draws: BufferedRng, attribute: Attribute, counts: Sequence[int]) -> tuple[Values, Values]:
        """Values that differ and overlap, for panels with so many things; the same value where each holds only one."""
        sizes = list(counts)
        if attribute not in _ONE_EACH:
            sizes = [min(count, 2) for count in counts]
            if sizes == [2, 2] and draws.randrange(2):
                sizes[draws.randrange(2)] = 1
        common = draws.randint(1, min(sizes) - (sizes[0] == sizes[1]))
        values = draws.sample(self.domains[attribute], sum(sizes) - common)
        return as_values(attribute, values[: sizes[0]]), as_values(attribute, values[sizes[0] - common :])

    def _overlapping(self, draws: BufferedRng, attribute: Attribute) -> tuple[Values, Values]:
        """A common value, one that only the first panel has, and one that the first panel may have or not."""
        domain = self.domains[attribute]
        lines = attribute.startswith("line")
        common, contrast, extra = draws.sample(domain, 3)
        rest = [value for value in domain if value != contrast and (attribute != "shape position" or value != common)]
        other = draws.choice(rest)
        first = [common, contrast, *([extra] if lines and draws.randrange(2) else [])]
        second = [common, *([other] if not lines or draws.randrange(2) else [])]
        return as_values(attribute, first), as_values(attribute, second)

    def _growing(self, draws: BufferedRng, attribute: Attribute) -> tuple[Values, Values]:
        """Types of the first panel, and the same with more, so that at least one is left to add."""
        names = draws.sample(self.domains[attribute])
        lines = attribute == "line type"
        first = draws.randint(1, 2 if lines else 3)
        second = first + 1 if lines else draws.randint(first + 1, len(names) - 1)
        return as_values(attribute, names[:first]), as_values(attribute, names[:second])

    def _monotone(self, draws: BufferedRng, attribute: Attribute) -> tuple[Values, Values]:
        """Single values of a rising or falling progression of which at least one step is left."""
        domain = self.domains[attribute]
        rising = sorted(draws.sample(range(len(domain)), 3))
        first, second, _ = rising if draws.randrange(2) else rising[::-1]
        return as_values(attribute, [domain[first]]), as_values(attribute, [domain[second]])

    def _moving(self, draws: BufferedRng) -> tuple[Values, Values]:
        """One to three cells and their shift; unlike in the paper all directions are equally frequent."""
        cells = draws.sample(range(panels.LATTICE**2), draws.randint(1, 3))
        step = draws.choice(draws.choice(panels.DIRECTIONS))
        moved = [panels.shifted(cell, step) for cell in cells]
        return as_values("shape position", cells), as_values("shape position", moved)

    def _panel(self, draws: BufferedRng, wanted: Mapping[Attribute, Values], span: tuple[int, int]) -> Panel:
        """A panel with exactly the ``wanted`` values of one attribute or more, and any of the others.

        Args:
            draws: the source of chance.
            wanted: the values of attributes of one family.
            span: range of the number of things, where the values leave it open.
        """
        values = {attribute: listed(attribute, each) for attribute, each in wanted.items()}
        siblings, count = _siblings(next(iter(wanted))), _count(draws, values, span)
        drawn = [
            _spread(draws, values[name], count) if name in values else self._any(draws, name, count)
            for name in siblings
            if name != "shape quantity"
        ]
        if siblings is ATTRIBUTES["lines"]:
            lines = [Thing(line_type, colour) for line_type, colour in zip(*drawn, strict=True)]
            return Panel("lines", tuple(sorted(lines, key=lambda line: panels.LINE_TYPES.index(line.type))))
        shapes = [Thing(*each) for each in zip(*drawn, strict=True)]
        return Panel("shapes", tuple(sorted(shapes, key=lambda shape: shape.cell)))

    def _any(self, draws: BufferedRng, attribute: Attribute, count: int) -> list[str | int]:
        """Values of an attribute that is not the target; as in the paper one value is left out for variety."""
        domain = self.domains[attribute]
        if attribute in _ONE_EACH:
            return draws.sample(domain, count)
        left_out = draws.randrange(len(domain))
        rest = domain[:left_out] + domain[left_out + 1 :]
        return [draws.choice(rest) for _ in range(count)]

    def answer(self, puzzle: Analogy) -> str:
        """The number of the option that follows the examples' relation."""
        return str(read(puzzle).answer)

    def answer_block(self, puzzle: Analogy) -> str:
        """The combination of each example and option, whether the option is consistent, and the answer."""
        return (texts.compact_answer_block if self.compact else texts.paper_answer_block)(puzzle)

    def to_text(self, puzzle: Analogy) -> str:
        """Each panel as its value sets, in a fixed order; they are not tied to single objects, as in the paper."""
        return texts.compact_text(puzzle, self.settings.sizes) if self.compact else texts.paper_text(puzzle)

    def question(self, puzzle: Analogy, modality: Modality) -> str:
        """The question; in the compact style the same few words for every puzzle."""
        return texts.COMPACT_QUESTION if self.compact else texts.paper_question(modality)

    def transcription_question(self) -> str:
        """The request to write the page down, panel by panel."""
        return texts.COMPACT_TRANSCRIPTION_QUESTION if self.compact else texts.paper_transcription_question()

    def chain_of_thought(self, puzzle: Analogy) -> str:
        """The chain of thought: values of the examples, their relation, and what each option makes of the query."""
        return texts.compact_chain(puzzle, self.settings.sizes) if self.compact else texts.paper_chain(puzzle)

    @property
    def alternative_chains(self) -> tuple[str, ...]:
        """The paper's three; the compact chain is already as short as the first, and lists nothing to reorder."""
        return () if self.compact else ("template", "order", "value")

    def alternatives(self, puzzle: Analogy) -> dict[str, str]:
        """The paper's other chains, by name."""
        return {} if self.compact else texts.paper_alternatives(puzzle)

    def render(self, puzzle: Analogy) -> bytes:
        """Examples, query and options, from top to bottom; options are numbered from left to right."""
        return drawing.draw_page(self._page, (*puzzle.examples[0], *puzzle.examples[1], *puzzle.query), puzzle.options)

    def judge(self, puzzle: Analogy, prediction: str) -> Verdict:
        """The option number alone decides, unlike in the paper, where the labels count as well."""
        answer = read_option(prediction)
        return Verdict(bool(answer), answer, answer == self.answer(puzzle))

    def vocabulary(self) -> frozenset[str]:
        """Every word of the compact style."""
        return texts.compact_words(self.settings.sizes)


def read_option(prediction: str) -> str:
    """The number of the option that a prediction answers with; empty where there is none."""
    match = re.fullmatch(r"(?:[Oo]ption )?\(?([1-4])\)?\.?", " ".join((final_answer(prediction) or "").split()))
    return match.group(1) if match else ""


def _siblings(attribute: Attribute) -> tuple[Attribute, ...]:
    return ATTRIBUTES[panels.family_of(attribute)]


def _room(attribute: Attribute) -> int:
    """The most values of an attribute that one panel shows."""
    return _MOST_LINE_TYPES if attribute == "line type" else panels.MOST_SHAPES


def _count(draws: BufferedRng, values: Mapping[Attribute, Sequence[str | int]], span: tuple[int, int]) -> int:
    """The number of things of a panel with these values: theirs, where they tell it, or one in ``span``."""
    if "shape quantity" in values:
        return int(values["shape quantity"][0])
    for attribute in _ONE_EACH:
        if attribute in values:
            return len(values[attribute])
    least = max(map(len, values.values()))
    return draws.randint(max(span[0], least), max(span[1], least))


def _shuffled(draws: BufferedRng, options: Sequence[Panel]) -> tuple[Panel, Panel, Panel, Panel]:
    """The four options in random order."""
    a, b, c, d = draws.sample(options)
    return a, b, c, d


def _spread(draws: BufferedRng, values: Sequence[str | int], count: int) -> list[str | int]:
    """``count`` of the values in random order, each of them at least once."""
    return draws.sample([*values, *(draws.choice(values) for _ in range(count - len(values)))])


def _exhausted(what: str) -> str:
    return (
        f"Visual Analogy: no {what} among {_TRIES} draws. Hold out other combinations in held_out, so that more wrong "
        "options are left, or give more sizes."
    )
