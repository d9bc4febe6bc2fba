"""A phase of training: what it trains on and how. Recipes and base models are lists of phases."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, field_validator, model_validator

from s2h.puzzles.task import SCENES, TrainingLevel
from s2h.settings import Settings, named
from s2h.supervision.formats import FULL, Format

ModelPart = Literal["vision", "projector", "language"]
"""The parts of a model that a phase may freeze."""


def _fraction(value: Any) -> Any:
    """Accept 2, "1/6" and 1.5."""
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{value!r} is not a number or a fraction such as 1/6") from None


Ratio = Annotated[
    Fraction,
    BeforeValidator(_fraction, json_schema_input_type=int | float | str),
    PlainSerializer(str, return_type=str),
]
"""An exact positive number, written 2, 1.5 or "1/6"."""


class Part(Settings):
    """One kind of example in a phase.

    Attributes:
        level: level of the puzzles; SCENES only in phases that ``Phase.on_parts`` makes.
        format: supervision format.
        share: share of the phase's examples.
        chain: chain of thought in the responses: ``full``, ``none``, an alternative of the task by its name, or
            ``internalised``, of which less and less is kept over the phase.
        convert_tokens: in Image-via-Text, this many ``<Convert>`` tokens replace the transcription; 0 writes the
            transcription out.
        repeats: how often each example is written into one epoch.
    """

    level: TrainingLevel
    format: Format
    share: Ratio = Field(gt=0, le=1)
    chain: str = FULL
    convert_tokens: int = Field(0, ge=0)
    repeats: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _transcription_has_no_chain(self) -> Part:
        if self.format == "image_to_text" and self.chain != FULL:
            raise ValueError(f"image_to_text has no chain of thought, so leave chain away (found: {self.chain!r})")
        return self

    @model_validator(mode="after")
    def _only_a_transcription_is_replaced(self) -> Part:
        if self.convert_tokens and self.format != "image_via_text":
            raise ValueError(f"convert_tokens replace the conversion of image_via_text; {self.format} has none")
        return self


class Phase(Settings):
    """A stretch of training on its own examples; the first phase starts from a given model, later ones from the last.

    A phase of a recipe trains on puzzles (``parts``), one of a base model on the conversations of a corpus (``corpus``)
    or on scenes (``scenes``).

    Attributes:
        parts: kinds of examples made from puzzles; their shares add up to 1.
        corpus: name of the corpus.
        scenes: how many scenes of the task are written down as text: drawings in the style of its puzzles, without a
            question. Tasks that are trained together have equal shares.
        epochs: how often the phase's data are seen; an epoch of puzzles or scenes may be broken off (1.5).
        budget: examples of puzzles seen in this phase, as a multiple of the budget of the run.
        order: of examples of puzzles: ``shuffled`` is one random order an epoch; ``interleaved`` deals the parts out
            evenly, in proportion; ``sequential`` takes the parts one after the other (a curriculum).
        frozen: parts of the model that are not trained in this phase.
        optimizer: ``fresh``, or ``kept`` to continue with the moments of the phase before.
        training: settings of the model's training that are different in this phase, e.g. ``{learning_rate: 1.0e-3}``.
    """

    parts: tuple[Part, ...] = ()
    corpus: Annotated[str, named("corpus")] | None = None
    scenes: int | None = Field(None, ge=1)
    epochs: Ratio = Field(Fraction(1), gt=0)
    budget: Ratio = Field(Fraction(1), gt=0)
    order: Literal["shuffled", "interleaved", "sequential"] = "shuffled"
    frozen: tuple[ModelPart, ...] = ()
    optimizer: Literal["fresh", "kept"] = "fresh"
    training: dict[str, Any] = Field(default_factory=dict)

    @field_validator("training")
    @classmethod
    def _changes_settings_of_the_training(cls, changes: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """Leave the check to what the context has for it: these settings are none of the data's."""
        check = (info.context or {}).get("training changes", dict)
        checked: dict[str, Any] = check(changes)
        return checked

    @field_validator("frozen")
    @classmethod
    def _leaves_something_to_train(cls, frozen: tuple[ModelPart, ...]) -> tuple[ModelPart, ...]:
        if {*frozen} == {*get_args(ModelPart)}:
            raise ValueError("all parts of the model are frozen, so that nothing is trained: leave one of them out")
        return frozen

    @model_validator(mode="after")
    def _trains_on_one_kind_of_data(self) -> Phase:
        if sum(map(bool, (self.parts, self.corpus, self.scenes))) != 1:
            raise ValueError(
                "a phase trains either on puzzles, on a corpus or on scenes: give one of parts, corpus and scenes"
            )
        if self.parts:
            return self
        if self.budget != 1 or self.order != "shuffled":
            raise ValueError("budget and order have no effect in a phase without parts: omit them")
        if self.corpus and self.epochs.denominator != 1:
            raise ValueError(f"a corpus is seen a whole number of times (found: epochs {self.epochs})")
        return self

    @model_validator(mode="after")
    def _shares_are_whole(self) -> Phase:
        total = sum((part.share for part in self.parts), Fraction(0))
        if self.parts and total != 1:
            raise ValueError(f"the shares of a phase must add up to 1, but these add up to {total}")
        return self

    def on_parts(self) -> Phase:
        """A phase on scenes as one on parts, in a run with a budget of one example."""
        assert self.scenes is not None
        part = Part(level=SCENES, format="image_to_text", share=Fraction(1))
        return Phase(parts=(part,), epochs=self.epochs, budget=self.epochs * self.scenes)


def check_phases(phases: tuple[Phase, ...], *, of: Literal["recipe", "base model"]) -> None:
    """Check that phases that follow each other fit together.

    Args:
        phases: in order.
        of: what trains them.

    Raises:
        ValueError: a phase trains on what is meant for others, or the first one wants the optimizer of one before.
    """
    for number, phase in enumerate(phases, 1):
        if of == "recipe" and not phase.parts:
            raise ValueError(f"phase {number} needs parts: recipes train on puzzles")
        if of == "recipe" and any(part.level == SCENES for part in phase.parts):
            raise ValueError(
                f"phase {number} has a part on {SCENES}: recipes train on puzzles, and base models on scenes "
                "(phases: [{scenes: 20000}] of a model of kind pretrained)"
            )
        if of == "base model" and phase.parts:
            raise ValueError(f"phase {number} needs corpus or scenes: base models are pretrained on corpora and scenes")
    if phases and phases[0].optimizer == "kept":
        raise ValueError("optimizer: kept continues from the phase before, and the first phase has none")
