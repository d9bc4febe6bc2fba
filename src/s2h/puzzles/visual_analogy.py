"""Visual Analogy: find the relation that two examples share, and the option that continues the query by it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from pydantic import Field, model_validator

from s2h.errors import ConfigError, DataError
from s2h.puzzles import analogy_texts as texts
from s2h.puzzles.analogy_panels import (
    COMBINATIONS,
    COMPACT,
    FAMILY,
    FIELD,
    HELD_OUT,
    LATTICE,
    PAPER,
    SEEN,
    SET_RELATIONS,
    STEPS,
    Analogy,
    Attribute,
    Family,
    Label,
    LineKind,
    Panel,
    ShapeKind,
    Thing,
    Triple,
    Values,
    draw_page,
    labels,
    shift,
    steps_between,
)
from s2h.puzzles.task import Level, LevelSettings, Modality, Task, TaskSettings, Verdict, final_answer

T = TypeVar("T")

_OPTIONS = 4
_TRIES = 10_000  # draws of an example or a query; about two suffice on average
_PANEL_TRIES = 10  # draws of one third panel, as in the paper
_LARGEST = {"paper": 41, "compact": 7}  # the largest size at which shapes of neighbouring cells do not touch


class AnalogyLevel(LevelSettings):
    """A level of Visual Analogy.

    Attributes:
        held_out: False (the paper's SIMPLE): both examples show the query's own (attribute, relation), one of the 17
            seen combinations. True (the paper's HARD): the query's combination is one of the 8 held-out ones, and the
            examples show its relation on the relation's two held-out attributes.
    """

    held_out: bool = Field(description="whether examples and query use the 8 held-out combinations (the paper's HARD)")


class VisualAnalogySettings(TaskSettings):
    """Settings of Visual Analogy.

    Attributes:
        line_types: names of the lines (the paper: all 10).
        line_colours: grey levels of lines, 0 black to 255 white (the paper: 0, 90, 135, 189).
        shape_types: names of the shapes (the paper: all 5).
        shape_colours: grey levels of shapes (the paper: 0, 90, 135, 189, 255).
        shape_sizes: diameters in units of the panel, which has 160 in the paper's style and 24, its pixels, in the
            compact one (the paper: 20, 27, 34, 41).
        most_shapes: largest number of shapes in a panel (the paper: 5).
    """

    levels: dict[Level, AnalogyLevel]
    line_types: tuple[LineKind, ...] = Field(description="names of the lines")
    line_colours: tuple[int, ...] = Field(description="grey levels of lines, 0 to 255")
    shape_types: tuple[ShapeKind, ...] = Field(description="names of the shapes")
    shape_colours: tuple[int, ...] = Field(description="grey levels of shapes, 0 to 255")
    shape_sizes: tuple[int, ...] = Field(description="diameters in units of the panel (paper: 160, compact: 24)")
    most_shapes: int = Field(ge=4, le=8, description="largest number of shapes in a panel")

    @model_validator(mode="after")
    def _values_suffice(self) -> VisualAnalogySettings:
        least = {"line_types": 6, "line_colours": 4, "shape_types": 3, "shape_colours": 3, "shape_sizes": 3}
        for name, count in least.items():
            found = getattr(self, name)
            if len(set(found)) != len(found) or len(found) < count:
                raise ValueError(
                    f"{name} is {list(found)}, but the relations need at least {count} values, all different: "
                    "add values or take the repeated ones out"
                )
        return self

    @model_validator(mode="after")
    def _values_show(self) -> VisualAnalogySettings:
        # A line has no outline, and neither has a compact shape: white ones would be invisible.
        palest = 255 if self.style == "paper" else 215
        for name, low, high in (
            ("line_colours", 0, 215),
            ("shape_colours", 0, palest),
            ("shape_sizes", 1, _LARGEST[self.style]),
        ):
            wrong = [value for value in getattr(self, name) if not low <= value <= high]
            if wrong:
                raise ValueError(
                    f"{name} holds {wrong}, but in the {self.style} style only {low} to {high} can be told apart from "
                    "the page and from neighbouring cells: choose values in that range"
                )
        return self

    def domains(self, family: Family) -> dict[str, tuple[Any, ...]]:
        """All values of each field of a Thing, for lines or for shapes."""
        if family == "line":
            return {"kind": self.line_types, "colour": tuple(sorted(self.line_colours))}
        cells = tuple((row, column) for row in range(LATTICE) for column in range(LATTICE))
        return {
            "kind": self.shape_types,
            "colour": tuple(sorted(self.shape_colours)),
            "size": tuple(sorted(self.shape_sizes)),
            "cell": cells,
        }

    def domain(self, attribute: Attribute) -> tuple[Any, ...]:
        """All values of an attribute; numbers in rising order."""
        if attribute == "shape quantity":
            return tuple(range(1, self.most_shapes + 1))
        return self.domains(FAMILY[attribute])[FIELD[attribute]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Sampler:
    """Draws panels; one panel is always a list of values of the attribute that matters, a value an object."""

    rng: np.random.Generator
    settings: VisualAnalogySettings

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def one(self, values: Sequence[T]) -> T:
        return values[int(self.rng.integers(len(values)))]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        return [values[i] for i in self.rng.permutation(len(values))]

    def panel(self, attribute: Attribute, values: Sequence[Any]) -> Panel:
        """Objects with these values of ``attribute``; each other field goes without one value of its domain, drawn
        anew for every panel, so that panels differ."""
        family = FAMILY[attribute]
        unique = "kind" if family == "line" else "cell"
        columns: dict[str, Sequence[Any]] = {}
        for field, domain in self.settings.domains(family).items():
            if field == FIELD[attribute]:
                columns[field] = values
                continue
            kept = self.shuffled(domain)[1:]
            columns[field] = kept[: len(values)] if field == unique else [self.one(kept) for _ in values]
        rows = zip(*columns.values(), strict=True)
        return Panel(tuple(sorted(Thing(**dict(zip(columns, row, strict=True))) for row in rows)))

    def context(self, label: Label) -> tuple[Panel, Panel] | None:
        """The first two panels of a row that can show ``label``."""
        attribute, relation = label
        draw = {"kind": self._growing, "cell": self._moving}.get(FIELD[attribute], self._ordered)
        first, second = (draw if relation == "Progression" else self._overlapping)(attribute)
        panels = self.panel(attribute, first), self.panel(attribute, second)
        if label == ("line colour", "Progression"):
            shared = panels[0].values("line type") & panels[1].values("line type")
            return panels if shared else None
        return panels

    def _overlapping(self, attribute: Attribute) -> tuple[list[Any], list[Any]]:
        """A common value, a contrasting one in the first panel, and in the second perhaps another."""
        domain = self.settings.domain(attribute)
        common, contrast, *rest = self.shuffled(domain)
        distinct = attribute in ("line type", "shape position")
        first, second = [common, contrast], [common]
        if FAMILY[attribute] == "shape" or self.between(0, 1):
            second.append(self.one(rest if distinct else [common, *rest]))
        if FAMILY[attribute] == "line" and self.between(0, 1):
            first.append(self.one(rest if distinct else domain))
        return first, second

    def _growing(self, attribute: Attribute) -> tuple[list[Any], list[Any]]:
        """Types of which the second panel has all of the first, and more, but not all that exist."""
        kinds = self.shuffled(self.settings.domain(attribute))
        if FAMILY[attribute] == "line":
            count = self.between(1, 2)
            return kinds[:count], kinds[: count + 1]
        few = self.between(1, min(3, len(kinds) - 2))
        many = self.between(few + 1, min(4, len(kinds) - 1))
        first, second = kinds[:few], kinds[:many]
        return self._filled(first, self.between(few, 3)), self._filled(second, self.between(many, 4))

    def _moving(self, _: Attribute) -> tuple[list[Any], list[Any]]:
        """One to three cells and the same cells one step on; each direction equally likely.

        The paper's generator makes diagonal steps in 96 % of cases, by accident.
        """
        step = self.one(STEPS[self.one(tuple(STEPS))])
        count = self.between(1, 3)
        while True:  # at most 3 of the 84 triples of cells stay in place under a step
            cells = self.shuffled(self.settings.domain("shape position"))[:count]
            if shift(cells, step) != frozenset(cells):
                return cells, sorted(shift(cells, step))

    def _ordered(self, attribute: Attribute) -> tuple[list[Any], list[Any]]:
        """One value a panel, rising or falling, with room for a third."""
        scale = self.settings.domain(attribute)[:: self.one((1, -1))]
        start = self.between(0, len(scale) - 3)
        first, second = scale[start], scale[self.between(start + 1, len(scale) - 2)]
        if attribute == "shape quantity":
            return [first] * first, [second] * second
        low, high = (2, 3) if FAMILY[attribute] == "line" else (1, self.settings.most_shapes)
        return [first] * self.between(low, high), [second] * self.between(low, high)

    def _filled(self, values: Sequence[T], count: int) -> list[T]:
        return [*values, *(self.one(values) for _ in range(count - len(values)))]

    def complete(self, label: Label, first: Panel, second: Panel) -> Panel | None:
        """A third panel with which the row shows ``label`` and nothing else; None where that seems impossible."""
        attribute, _ = label
        needed = self._needed(label, first.values(attribute), second.values(attribute))
        if not needed or (FAMILY[attribute] == "shape" and len(needed) > self.settings.most_shapes):
            return None
        for _ in range(_PANEL_TRIES):
            # Drawing again until one label is left replaces the paper's ban of single values, which let 1.5 % slip.
            panel = self.panel(attribute, self._spread(label, needed))
            if labels((first, second, panel)) == [label]:
                return panel
        return None

    def _needed(self, label: Label, first: Values, second: Values) -> list[Any]:
        """The values that the third panel must have, all of them; empty where the label cannot be shown."""
        attribute, relation = label
        if relation != "Progression":
            values = {name: combine(first, second) for name, combine in SET_RELATIONS.items()}
            ambiguous = list(values.values()).count(values[relation]) > 1
            return [] if ambiguous else sorted(values[relation])
        if FIELD[attribute] == "kind":
            fresh = sorted(set(self.settings.domain(attribute)) - second)
            return [*sorted(second), self.one(fresh)] if first < second and fresh else []
        if FIELD[attribute] == "cell":
            steps = steps_between(first, second)
            return sorted(shift(second, steps[0])) if steps else []
        return self._beyond(attribute, first, second)

    def _beyond(self, attribute: Attribute, first: Values, second: Values) -> list[Any]:
        if len(first) != 1 or len(second) != 1 or first == second:
            return []
        (a,), (b,) = first, second
        further = [value for value in self.settings.domain(attribute) if (value - b) * (b - a) > 0]
        return [self.one(further)] if further else []

    def _spread(self, label: Label, needed: list[Any]) -> list[Any]:
        """The needed values, one an object, and fillers that repeat them."""
        attribute, _ = label
        if attribute == "shape quantity":
            return needed * int(needed[0])
        if attribute in ("line type", "shape position") or label == ("line colour", "Progression"):
            return needed
        # As many shapes as needed values are allowed, which the paper's generator never makes.
        most = len(needed) + 1 if attribute == "line colour" else self.settings.most_shapes
        return self._filled(needed, self.between(len(needed), most))

    def example(self, label: Label) -> Triple | None:
        """A complete row that shows ``label``."""
        context = self.context(label)
        third = context and self.complete(label, *context)
        return (*context, third) if context and third else None

    def query(self, label: Label, pool: Sequence[Label]) -> tuple[tuple[Panel, Panel], list[Panel]] | None:
        """Two panels and four options in random order, of which one shows the label's relation.

        Args:
            label: what the right option shows.
            pool: what wrong options may show; those with the label's relation are left out.
        """
        example = self.example(label)
        if example is None:
            return None
        first, second, right = example
        options = [right]
        for other in self.shuffled([o for o in pool if FAMILY[o[0]] == FAMILY[label[0]] and o[1] != label[1]]):
            wrong = self.complete(other, first, second)
            options += [wrong] if wrong else []
            if len(options) == _OPTIONS:
                return (first, second), self.shuffled(options)
        return None


def _until(draw: Callable[[], T | None], what: str) -> T:
    for _ in range(_TRIES):
        found = draw()
        if found is not None:
            return found
    raise DataError(
        f"No {what} was found in {_TRIES} draws: the settings of Visual Analogy leave too few values; "
        "give its lines and shapes more types, colours or sizes."
    )


class VisualAnalogy(Task[Analogy]):
    """Three rows of three panels, the last one missing, and four options."""

    name = "visual_analogy"
    title = "Visual Analogy"
    settings_type = VisualAnalogySettings
    puzzle_type = Analogy

    @property
    def compact(self) -> bool:
        """Whether puzzles are small images and single words."""
        return bool(self.settings.style == "compact")

    def sample(self, rng: np.random.Generator, level: Level) -> Analogy:
        """A puzzle whose query combination is uniform among those of the level."""
        if level not in self.settings.levels:
            raise ConfigError(f"{self.title} has no level {level}: its levels are {', '.join(self.settings.levels)}.")
        sampler = _Sampler(rng, self.settings)
        held_out = self.settings.levels[level].held_out
        target = sampler.one([label for label in COMBINATIONS if (label not in SEEN) == held_out])
        relation = target[1]
        shown = [(a, relation) for a in sampler.shuffled(HELD_OUT[relation])] if held_out else [target, target]
        pool = COMBINATIONS if held_out else SEEN
        first, second = (_until(partial(sampler.example, label), f"example of {label}") for label in shown)
        query, options = _until(partial(sampler.query, target, pool), f"query for {target}")
        return Analogy((first, second), query, (options[0], options[1], options[2], options[3]))

    def answer(self, puzzle: Analogy) -> str:
        return str(puzzle.solution)

    def answer_block(self, puzzle: Analogy) -> str:
        """The label of each example and option, and whether the option is consistent; then the answer."""
        lines = texts.compact_verdicts(puzzle) if self.compact else [*texts.paper_verdicts(puzzle), ""]
        return "\n".join([*lines, f"Answer: {self.answer(puzzle)}"])

    def describe(self, puzzle: Analogy) -> str:
        return texts.compact_text(puzzle) if self.compact else texts.paper_text(puzzle)

    def question(self, puzzle: Analogy, modality: Modality) -> str:
        return texts.COMPACT_QUESTION if self.compact else texts.paper_question(modality)

    def reason(self, puzzle: Analogy) -> str:
        return texts.compact_chain(puzzle) if self.compact else texts.paper_chain(puzzle)

    def render(self, puzzle: Analogy) -> bytes:
        return draw_page(COMPACT if self.compact else PAPER, (*puzzle.examples, (*puzzle.query, None), puzzle.options))

    def judge(self, puzzle: Analogy, reply: str) -> Verdict:
        """The paper scores the whole block alone; here the option is scored separately from the chain."""
        found = re.fullmatch(r"([1-4])\s?\.?", final_answer(reply) or "")
        answer = found.group(1) if found else ""
        correct = answer == self.answer(puzzle)
        gold = (self.reason(puzzle) + " " + self.answer_block(puzzle)).split()
        chain = correct and reply.split()[-len(gold) :] == gold
        return Verdict(bool(answer), answer, correct, chain)

    def words(self) -> frozenset[str]:
        return texts.compact_words({attribute: self.settings.domain(attribute) for attribute in FAMILY})
