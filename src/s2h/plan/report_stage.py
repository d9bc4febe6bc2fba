"""Tables, figures and pages of what was found."""

from __future__ import annotations

import dataclasses
from importlib.resources import files
from typing import Any, ClassVar

from s2h.analysis.table_registry import TABLES
from s2h.config import Run
from s2h.figures.figure_registry import FIGURES
from s2h.models.sources import EndpointSource
from s2h.plan.alignment_stage import AlignmentStage
from s2h.plan.puzzle_stage import PuzzleStage
from s2h.plan.stage import Shards, Stage, Wildcards, filled, listed
from s2h.plan.training_stage import TrainingStage
from s2h.provenance.fingerprints import contents_digest, take_fingerprint
from s2h.puzzles.task_registry import TASKS

_NOT_SHOWN = {"recipes", "replace", "cache", "keep_weights", "trackers"}


@dataclasses.dataclass(frozen=True)
class ReportStage(Stage):
    """Inputs, params and resources of the rules of tables, figures and pages.

    Attributes:
        puzzles: the stage that makes the evaluation sets.
        training: the stage that makes the models.
        alignment: the stage that measures gradient alignment.
        overview_tables: tables that the first page of the report reads.
        overview_figures: figures that it shows, with their titles.
    """

    puzzles: PuzzleStage
    training: TrainingStage
    alignment: AlignmentStage

    overview_tables: ClassVar = ("accuracy", "failures", "costs")
    overview_figures: ClassVar = {
        "budgets": "HARD against the training budget",
        "modalities": "Text against image",
        "difficulty": "Where it breaks down",
        "alignment": "Does training point towards HARD images?",
    }

    @property
    def runs(self) -> list[Run]:
        """All runs of the study."""
        return self.config.all_runs()

    def run_names(self) -> list[str]:
        """The names of all runs."""
        return [run.name for run in self.runs]

    def of_runs(self, pattern: str) -> list[str]:
        """A file of each run, from one of the patterns of ``Paths``."""
        return [filled(pattern, run) for run in self.runs]

    def tasks(self) -> list[str]:
        """The tasks that the study trains or scores."""
        return sorted({task for run in self.runs for task in self.config.members(run.task)})

    def shards(self) -> Shards:
        """The evaluation shards of these tasks."""
        return self.puzzles.eval_shards(self.tasks())

    def shard_files(self) -> list[str]:
        """The files of ``shards`` as one list."""
        return listed(self.shards())

    def validations(self) -> list[str]:
        """The validation reports of these tasks."""
        return [self.paths.validation.format(task=task) for task in self.tasks()]

    def recipe_titles(self) -> dict[str, str]:
        """The paper's names of the recipes."""
        return {name: recipe.title for name, recipe in self.config.recipes.items()}

    def recipe_title(self, wildcards: Wildcards) -> str:
        """The paper's name of a job's recipe."""
        return self.config.recipes[wildcards.recipe].title

    def task_titles(self) -> dict[str, str]:
        """The paper's names of the tasks."""
        return {name: TASKS[name].title for name in TASKS}

    def template(self, name: str) -> str:
        """The file from which a page is filled; it is an input, so that a change draws the page again."""
        return str(files("s2h.publishing") / name)

    # tables

    def table_names(self) -> list[str]:
        """All tables of the study."""
        return [*TABLES, "recipes"] if self.training.trained_runs() else list(TABLES)

    def tables(self, ending: str) -> list[str]:
        """The files of all tables with one ending."""
        return [self.paths.table(ending).format(table=name) for name in self.table_names()]

    def _reads(self, wildcards: Wildcards, what: str) -> bool:
        """Whether a table reads something beside the scores."""
        return what in TABLES.reads(wildcards.table)

    def table_models(self, wildcards: Wildcards) -> dict[str, list[str]]:
        """For a table that reads them, the models that the phases of each run leave."""
        return {run.name: self.training.models_of(run) for run in self.runs if self._reads(wildcards, "models")}

    def table_model_files(self, wildcards: Wildcards) -> list[str]:
        """The folders of ``table_models`` as one list."""
        return [folder for folders in self.table_models(wildcards).values() for folder in folders]

    def table_shards(self, wildcards: Wildcards) -> Shards:
        """For a table that reads puzzles, the evaluation shards of the study."""
        return self.shards() if self._reads(wildcards, "shards") else {}

    def table_shard_files(self, wildcards: Wildcards) -> list[str]:
        """The files of ``table_shards`` as one list."""
        return listed(self.table_shards(wildcards))

    def table_settings(self, wildcards: Wildcards) -> dict[str, dict[str, Any]]:
        """For a table that reads puzzles, the settings of their tasks."""
        return {task: self.task_settings(task) for task in self.table_shards(wildcards)}

    def baselines(self) -> dict[str, str]:
        """The file of each task's blind baselines."""
        return {task: self.paths.baselines.format(task=task) for task in self.tasks()}

    def table_baselines(self, wildcards: Wildcards) -> list[str]:
        """For a table that reads them, the blind baselines of the study's tasks."""
        return list(self.baselines().values()) if self._reads(wildcards, "baselines") else []

    def table_alignments(self, wildcards: Wildcards) -> list[str]:
        """For a table that reads it, the gradient alignment that is measured."""
        return self.alignment.files() if self._reads(wildcards, "alignments") else []

    def prices(self) -> dict[str, dict[str, float]]:
        """The prices of the models' tokens, of those that have any."""
        sources = [(name, model.source) for name, model in self.config.models.items()]
        priced = [(name, source.price) for name, source in sources if isinstance(source, EndpointSource)]
        return {name: price.model_dump() for name, price in priced if price}

    def table_prices(self, wildcards: Wildcards) -> dict[str, dict[str, float]]:
        """For a table that reads them, the prices of the models' tokens."""
        return self.prices() if self._reads(wildcards, "prices") else {}

    def table_published(self, wildcards: Wildcards) -> list[str]:
        """For a table that reads them, the paper's figures."""
        return [*map(str, TABLES.data(wildcards.table))]

    def table_code(self, wildcards: Wildcards) -> str:
        """Digest of the code that makes a table, and of the tasks whose puzzles it reads."""
        tasks = [TASKS.module(task) for task in self.table_shards(wildcards)]
        return self.code("make_table", "s2h.analysis.writing", TABLES.module(wildcards.table), *tasks)

    # the table of recipes

    def recipe_studies(self) -> list[dict[str, Any]]:
        """For each trained task and model: a train shard of every level, the processor, the recipes that fit."""
        pairs = sorted({(run.task, run.model) for run in self.training.trained_runs()})
        return [self._recipe_study(task, model) for task, model in pairs]

    def _recipe_study(self, task: str, model: str) -> dict[str, Any]:
        seed = min(run.seed for run in self.training.trained_runs())
        catalog, fitting = self.config.catalog, self.config.fitting_recipes(task)
        return {
            "name": task,
            "model": model,
            "processor": self.training.processor_folder(task, model, seed),
            "processor_options": catalog[model].root(catalog).processor_options,
            "shards": {
                member: {
                    level: self.puzzles.shards(member, level, "train", 1) for level in self.config.task(member).levels
                }
                for member in self.config.members(task)
            },
            "recipes": {name: recipe.model_dump(mode="json") for name, recipe in fitting.items()},
        }

    def recipe_files(self) -> list[str]:
        """The files from which the table of recipes is made."""
        studies = self.recipe_studies()
        shards = [path for study in studies for path in listed(study["shards"])]
        processors = [path for study in studies for path in self.made_here(study["processor"])]
        return sorted({*shards, *processors})

    def budgets(self) -> list[int]:
        """The budgets of the runs that train, in order."""
        return sorted({run.budget for run in self.training.trained_runs()})

    # figures and pages

    def figures(self, ending: str) -> list[str]:
        """The files of all figures with one ending."""
        return [self.paths.figure(ending).format(figure=name) for name in FIGURES]

    def figure_tables(self, wildcards: Wildcards) -> dict[str, str]:
        """The tables that a figure reads, by name."""
        tables = sorted(FIGURES.reads(wildcards.figure))
        return {table: self.paths.table("parquet").format(table=table) for table in tables}

    def figure_data(self, wildcards: Wildcards) -> dict[str, str]:
        """Digests of the package's own files that a figure reads beside them."""
        return {path.name: contents_digest(take_fingerprint(path)) for path in FIGURES.data(wildcards.figure)}

    def figure_code(self, wildcards: Wildcards) -> str:
        """Digest of the code that draws a figure, and no other."""
        return self.code("draw_figure", "s2h.figures.figure_files", FIGURES.module(wildcards.figure))

    def overview_files(self) -> dict[str, str]:
        """The tables and figures of the report's first page, by name."""
        tables = {name: self.paths.table("parquet").format(table=name) for name in self.overview_tables}
        return tables | {name: self.paths.figure("svg").format(figure=name) for name in self.overview_figures}

    def shown_config(self) -> dict[str, Any]:
        """The config as a reader of the report sees it."""
        return self.config.model_dump(mode="json", exclude=_NOT_SHOWN)
