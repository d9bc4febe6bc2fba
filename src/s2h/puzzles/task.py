"""The interface of a task: pure functions from a random generator to a puzzle, and from a puzzle to all its views.

Answers, texts, images and verdicts are functions of the symbolic puzzle; nothing is ever read back from pixels.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar, get_args

import numpy as np
from pydantic import AfterValidator, Field, TypeAdapter, field_validator

from s2h.errors import ConfigError
from s2h.registry import unknown
from s2h.settings import Settings

Level = Literal["SIMPLE", "MEDIUM", "HARD"]
SCENES: Final = "SCENES"
TrainingLevel = Literal[Level, "SCENES"]
"""What a training set holds: puzzles of a level, or scenes, which are drawings without a question."""
Split = Literal["train", "eval"]
Modality = Literal["text", "image"]
Style = Literal["paper", "compact"]

P = TypeVar("P")


def _ordered(span: tuple[int, int]) -> tuple[int, int]:
    if span[0] > span[1]:
        raise ValueError(f"a range is [smallest, largest], but {list(span)} runs backwards")
    return span


Span = Annotated[tuple[int, int], AfterValidator(_ordered)]
"""An inclusive range of whole numbers, written ``[smallest, largest]``."""


class LevelSettings(Settings):
    """How many puzzles a level has. Tasks add what makes a puzzle of that level.

    Attributes:
        train: number of training puzzles; shards are made whole, so a few more may be made than are used.
        eval: number of evaluation puzzles; likewise.
    """

    train: int = Field(ge=0)
    eval: int = Field(ge=0)


class TaskSettings(Settings):
    """Base of every task's settings; a task adds ``levels`` and what all its puzzles share.

    Attributes:
        style: ``paper`` draws and words puzzles as the paper does; ``compact`` is the same task in small images (a
            multiple of 16 pixels) and single words, which the tiny model reads.
        image_side: side in pixels of compact images, a multiple of 16; by default the least that holds every puzzle.
            Tasks that one tiny model learns together need the same.
    """

    style: Style
    image_side: int | None = Field(None, ge=16, multiple_of=16)

    levels: dict[Any, Any]

    @field_validator("levels", check_fields=False)
    @classmethod
    def _from_simple_to_hard(cls, levels: dict[Any, Any]) -> dict[Any, Any]:
        """One order however the levels are laid over each other: settings are compared in their order."""
        return {level: levels[level] for level in get_args(Level) if level in levels}


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on the answer of a prediction; ``s2h.diagnosis`` judges the rest of the prediction.

    Attributes:
        parsed: an answer of the right form was found.
        answer: that answer, as it was read; empty when none was.
        correct: the answer solves the puzzle.
    """

    parsed: bool
    answer: str
    correct: bool


class Task(ABC, Generic[P]):
    """A family of puzzles with levels; all methods are pure functions of their arguments and the settings.

    Attributes:
        name: registered name.
        title: the paper's name of the task.
        settings_type: the config class of this task.
        puzzle_type: the frozen dataclass that holds a symbolic puzzle.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    settings_type: ClassVar[type[TaskSettings]]
    puzzle_type: ClassVar[type[Any]]

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @property
    def compact(self) -> bool:
        """Whether puzzles are small images and single words, as the tiny model reads them."""
        return bool(self.settings.style == "compact")

    def level(self, level: Level) -> Any:
        """The settings of a level; raises ConfigError where the task has no such level."""
        if level not in self.settings.levels:
            raise ConfigError(f"{self.title}: {unknown('level', level, self.settings.levels)}")
        return self.settings.levels[level]

    @property
    @abstractmethod
    def min_size(self) -> tuple[int, int]:
        """Width and height in pixels that hold every image; compact ones are squares, their side a multiple of 16."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height in pixels of every image."""
        side = self.settings.image_side
        if not self.compact or side is None:
            return self.min_size
        if side < self.min_size[0]:
            raise ConfigError(
                f"{self.title}: image_side is {side}, but its puzzles need {self.min_size[0]} pixels: raise it."
            )
        return side, side

    @abstractmethod
    def sample(self, rng: np.random.Generator, level: Level, split: Split) -> P:
        """Draw a solvable puzzle of ``level``; raises DataError when the settings allow none.

        Args:
            rng: the only source of chance.
            level: what the puzzle must be like.
            split: for tasks whose evaluation puzzles are drawn in other shares than those for training.
        """

    @property
    def paired(self) -> bool:
        """Whether evaluation puzzles come in pairs, the second one a ``twin`` of the first."""
        return False

    def twin(self, rng: np.random.Generator, puzzle: P, level: Level) -> P:
        """A puzzle that differs from another only in the part that tells the answer, and has another one.

        Args:
            rng: the only source of chance.
            puzzle: the other puzzle.
            level: its level.
        """
        raise NotImplementedError(f"{self.title}: its puzzles are not paired")

    @abstractmethod
    def answer(self, puzzle: P) -> str:
        """The answer alone, computed from the symbolic puzzle."""

    @abstractmethod
    def to_text(self, puzzle: P) -> str:
        """The puzzle as text: all that the image shows, and nothing that it does not."""

    def split_key(self, puzzle: P) -> str:
        """What the answer depends on: puzzles with the same key are all for training or all for evaluation.

        Here the text. A task whose text also holds what does not matter to the answer leaves that out.
        """
        return self.to_text(puzzle)

    @abstractmethod
    def question(self, puzzle: P, modality: Modality) -> str:
        """The question, worded for a puzzle given as ``modality``."""

    @abstractmethod
    def transcription_question(self) -> str:
        """The question that asks for a transcription of the image only."""

    @abstractmethod
    def chain_of_thought(self, puzzle: P) -> str:
        """The chain of thought that leads to the answer, without the answer block."""

    @property
    def alternative_chains(self) -> tuple[str, ...]:
        """Names of other ways to word the chain of thought."""
        return ()

    def alternatives(self, puzzle: P) -> dict[str, str]:
        """The chain of thought in each of those ways, by name."""
        return {}

    @abstractmethod
    def render(self, puzzle: P) -> bytes:
        """The puzzle as a PNG file."""

    @abstractmethod
    def judge(self, puzzle: P, prediction: str) -> Verdict:
        """Judge the answer in any text that a model may write; never raises, never evaluates it."""

    def difficulty(self, puzzle: P) -> dict[str, int]:
        """Measures of the puzzle's difficulty, by name, e.g. ``{"turns": 3}``."""
        return {}

    @abstractmethod
    def vocabulary(self) -> frozenset[str]:
        """Every whitespace-separated word that texts, questions, chains and answers hold in the compact style."""

    @property
    def has_scenes(self) -> bool:
        """Whether the task draws scenes, on which base models are pretrained."""
        return type(self).sample_scene is not Task.sample_scene

    def sample_scene(self, rng: np.random.Generator) -> P:
        """Draw a scene: anything that puzzles of all levels may show, without a question, an answer or a pattern.

        ``to_text``, ``render`` and ``transcription_question`` apply to it, nothing else does. A task may have none.

        Args:
            rng: the only source of chance.

        Raises:
            ConfigError: the task has no scenes.
        """
        raise ConfigError(f"{self.title} has no scenes: {type(self).__name__} does not define sample_scene.")

    def answer_block(self, puzzle: P) -> str:
        """How every response ends, with or without a chain of thought."""
        return f"Answer: {self.answer(puzzle)}"

    @cached_property
    def _codec(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.puzzle_type)

    def to_json(self, puzzle: P) -> str:
        """The symbolic puzzle as JSON."""
        return self._codec.dump_json(puzzle).decode()

    def from_json(self, text: str) -> P:
        """The symbolic puzzle that ``to_json`` wrote."""
        found: P = self._codec.validate_json(text)
        return found


def final_answer(prediction: str) -> str | None:
    """The text after the last ``Answer:`` of a prediction, up to the end of its line; None where there is none."""
    _, marker, rest = prediction.rpartition("Answer:")
    if not marker:
        return None
    return rest.strip().split("\n", 1)[0].strip()
