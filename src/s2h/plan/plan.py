"""The plan: every stage of the workflow, from one config."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from s2h.analysis.table_registry import TABLES
from s2h.config import Config, config_warnings, load_config
from s2h.errors import S2HError
from s2h.figures.figure_registry import FIGURES
from s2h.overlays import read_overlays
from s2h.paths import ANY_TASK, Paths
from s2h.plan.alignment_stage import AlignmentStage
from s2h.plan.corpus_stage import CorpusStage
from s2h.plan.mixture_stage import MixtureStage
from s2h.plan.puzzle_stage import PuzzleStage
from s2h.plan.report_stage import ReportStage
from s2h.plan.scoring_stage import ScoringStage
from s2h.plan.stage import one_of
from s2h.plan.training_stage import TrainingStage
from s2h.plan.weights_stage import WeightsStage
from s2h.puzzles.record import LEVELS, MODALITIES, SPLITS
from s2h.puzzles.task import SCENES
from s2h.puzzles.task_registry import TASKS


class Plan:
    """All stages of the workflow.

    Args:
        config: the checked config.
        scripts: folder of the rules' scripts.
    """

    def __init__(self, config: Config, scripts: Path) -> None:
        self.config, self.scripts = config, scripts
        self.paths = Paths(config.results)

    @classmethod
    def open(
        cls, values: Mapping[str, Any], root: Path, *, files: Sequence[str | Path] = (), is_main: bool = False
    ) -> Plan:
        """The plan of the values of the config files; a mistake in them ends the program with what to change.

        Args:
            values: as Snakemake has read them.
            root: folder of the Snakefile.
            files: of ``--configfile``, which are read once more for the places of mistakes.
            is_main: whether this is no process of a job; it says what is odd.
        """
        try:
            overlays = read_overlays(*files, root=root) if is_main else None
            config = load_config(values, overlays)
        except S2HError as error:
            sys.exit(str(error))
        for line in config_warnings(config, overlays) if overlays else ():
            print(f"s2h: warning: {line}", file=sys.stderr)
        return cls(config, root / "workflow" / "scripts")

    @cached_property
    def puzzles(self) -> PuzzleStage:
        return PuzzleStage(self.config, self.scripts)

    @cached_property
    def mixtures(self) -> MixtureStage:
        return MixtureStage(self.config, self.scripts, self.puzzles)

    @cached_property
    def corpora(self) -> CorpusStage:
        return CorpusStage(self.config, self.scripts)

    @cached_property
    def training(self) -> TrainingStage:
        return TrainingStage(self.config, self.scripts, self.mixtures, self.corpora)

    @cached_property
    def scoring(self) -> ScoringStage:
        return ScoringStage(self.config, self.scripts, self.puzzles, self.training)

    @cached_property
    def alignment(self) -> AlignmentStage:
        return AlignmentStage(self.config, self.scripts, self.puzzles, self.training)

    @cached_property
    def report(self) -> ReportStage:
        return ReportStage(self.config, self.scripts, self.puzzles, self.training, self.alignment)

    @cached_property
    def weights(self) -> WeightsStage:
        return WeightsStage(self.config, self.scripts, self.training)

    def wildcard_constraints(self) -> dict[str, str]:
        """The values that each wildcard of the rules may have, as regular expressions."""
        config, tasks = self.config, [*TASKS, *self.config.task_mixtures]
        return {
            "task": one_of(tasks),
            "level": one_of([*LEVELS, SCENES]),
            "split": one_of(SPLITS),
            "shard": r"\d{5}",
            "recipe": one_of(config.recipes),
            "budget": r"\d+",
            "model": one_of(config.catalog.sources),
            "corpus": one_of(config.corpora),
            "origin": one_of([*tasks, ANY_TASK]),
            "seed": r"\d+",
            "phase": r"\d+",
            "modality": one_of(MODALITIES),
            "table": one_of(TABLES),
            "figure": one_of(FIGURES),
            "external_eval": one_of(name for name, found in config.external_evals.items() if found.url),
        }
