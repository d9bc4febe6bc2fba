"""A phase of training: what it trains on and how. Recipes and base models are lists of phases."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from s2h.puzzles.task import Level
from s2h.settings import Settings
from s2h.supervision.formats import FULL, Format

ModelPart = Literal["vision", "projector", "language"]
"""The parts of a model that a phase may freeze."""


def _fraction(value: Any) -> Any:
    """Accept 2, "1/6" and 1.5; anything else is left to pydantic, which refuses it."""
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return Fraction(value)
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"{value!r} is not a number or a fraction such as 1/6") from None
    return Fraction(str(value)) if isinstance(value, float) else value


Ratio = Annotated[
    Fraction,
    BeforeValidator(_fraction, json_schema_input_type=int | float | str),
    PlainSerializer(str, return_type=str),
]
"""An exact positive number, written 2, 1.5 or "1/6"."""


class Part(Settings):
    """One kind of example in a phase.

    Attributes:
        level: level of the puzzles.
        format: supervision format.
        share: share of the phase's examples.
        chain: chain of thought in the responses: ``full``, ``none``, an alternative of the task by its name, or
            ``internalised``, of which less and less is kept over the phase.
        convert_tokens: in Image-via-Text, this many ``<Convert>`` tokens replace the transcription; 0 writes the
            transcription out.
        repeats: how often each example is written into one epoch.
    """

    level: Level
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

    A phase trains on puzzles (``parts``, in recipes) or on the conversations of a corpus (``corpus``, in base models).

    Attributes:
        parts: kinds of examples made from puzzles; their shares add up to 1.
        corpus: name of the corpus.
        epochs: how often the phase's data are seen; an epoch of puzzles may be broken off (1.5).
        budget: examples of puzzles seen in this phase, as a multiple of the budget of the run.
        order: of examples of puzzles: ``shuffled`` is one random order an epoch; ``interleaved`` deals the parts out
            evenly, in proportion; ``sequential`` takes the parts one after the other (a curriculum).
        frozen: parts of the model that are not trained in this phase.
        optimizer: ``fresh``, or ``kept`` to continue with the moments of the phase before.
        training: settings of the model's training that are different in this phase, e.g. ``{learning_rate: 1.0e-3}``.
    """

    parts: tuple[Part, ...] = ()
    corpus: str | None = None
    epochs: Ratio = Field(Fraction(1), gt=0)
    budget: Ratio = Field(Fraction(1), gt=0)
    order: Literal["shuffled", "interleaved", "sequential"] = "shuffled"
    frozen: tuple[ModelPart, ...] = ()
    optimizer: Literal["fresh", "kept"] = "fresh"
    training: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _trains_on_one_kind_of_data(self) -> Phase:
        if bool(self.parts) == bool(self.corpus):
            raise ValueError("a phase trains either on puzzles or on a corpus: give parts or corpus")
        if not self.corpus:
            return self
        if self.budget != 1 or self.order != "shuffled":
            raise ValueError("budget and order of a phase on a corpus have no effect: omit them")
        if self.epochs.denominator != 1:
            raise ValueError(f"a corpus is seen a whole number of times (found: epochs {self.epochs})")
        return self

    @model_validator(mode="after")
    def _shares_are_whole(self) -> Phase:
        total = sum((part.share for part in self.parts), Fraction(0))
        if self.parts and total != 1:
            raise ValueError(f"the shares of a phase must add up to 1, but these add up to {total}")
        return self


def check_phases(phases: tuple[Phase, ...], *, on: Literal["parts", "corpus"]) -> None:
    """Check that phases that follow each other fit together.

    Args:
        phases: of a recipe or a base model, in order.
        on: what they may train on.

    Raises:
        ValueError: a phase trains on something else, or the first one wants the optimizer of one before.
    """
    for number, phase in enumerate(phases, 1):
        if not getattr(phase, on):
            why = {"parts": "recipes train on puzzles", "corpus": "base models are pretrained on corpora"}
            raise ValueError(f"phase {number} needs {on}: {why[on]}")
    if phases and phases[0].optimizer == "kept":
        raise ValueError("optimizer: kept continues from the phase before, and the first phase has none")
