"""The figures by name. A new one is a module and one line here; ``reads`` names the tables that it is drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2h.analysis.published import PUBLISHED
from s2h.reading_registry import ReadingRegistry

if TYPE_CHECKING:
    from s2h.figures.kinds import FigureKind

FIGURES: ReadingRegistry[FigureKind] = ReadingRegistry("figure")
FIGURES.add("budgets", "s2h.figures.budgets:BUDGETS", reads=["accuracy", "baselines"], data=[PUBLISHED])
FIGURES.add("modalities", "s2h.figures.modalities:MODALITIES", reads=["accuracy", "baselines"])
FIGURES.add("learning", "s2h.figures.learning:LEARNING", reads=["learning"])
FIGURES.add("error_steps", "s2h.figures.error_steps:ERROR_STEPS", reads=["error_steps"])
FIGURES.add("difficulty", "s2h.figures.difficulty:DIFFICULTY", reads=["difficulty", "baselines"])
FIGURES.add("alignment", "s2h.figures.alignment:ALIGNMENT", reads=["alignment", "summary", "baselines"])
