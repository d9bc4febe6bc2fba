"""The figures by name. A new one is a module and one line here."""

from s2h.figures.kinds import FigureKind
from s2h.registry import Registry

FIGURES: Registry[FigureKind] = Registry("figure")
FIGURES.add("budgets", "s2h.figures.budgets:BUDGETS")
FIGURES.add("modalities", "s2h.figures.modalities:MODALITIES")
FIGURES.add("learning", "s2h.figures.learning:LEARNING")
FIGURES.add("error_steps", "s2h.figures.error_steps:ERROR_STEPS")
FIGURES.add("difficulty", "s2h.figures.difficulty:DIFFICULTY")
FIGURES.add("alignment", "s2h.figures.alignment:ALIGNMENT")
