"""The config: one frozen, typed tree, checked as a whole before anything is planned."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, create_model, field_validator, model_validator

from s2h.errors import ConfigError
from s2h.models.settings import ModelSettings
from s2h.puzzles.registry import TASKS
from s2h.puzzles.task import TaskSettings
from s2h.registry import unknown
from s2h.settings import Settings
from s2h.supervision.formats import FULL, NONE
from s2h.supervision.recipes import Recipe, puzzles_needed
from s2h.validation.report import ValidationSettings

if TYPE_CHECKING:
    TasksSettings = Any
else:
    TasksSettings = create_model(
        "TasksSettings", __base__=Settings, **{name: (TASKS[name].settings_type | None, None) for name in TASKS}
    )


class Grid(Settings):
    """Runs of the study: every combination of what is listed here is trained and scored.

    Attributes:
        tasks: tasks, each trained on its own.
        recipes: how training is supervised.
        budgets: training examples that a phase sees (the paper: 30,000 to 240,000).
        models: what is trained.
        seeds: seeds of the training; each draws its own weights (tiny model) and order of examples.
    """

    tasks: tuple[str, ...] = Field(min_length=1)
    recipes: tuple[str, ...] = Field(min_length=1)
    budgets: tuple[int, ...] = Field(min_length=1)
    models: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Run:
    """One model trained on one task with one recipe."""

    task: str
    recipe: str
    budget: int
    model: str
    seed: int


class ShardSize(Settings):
    """Puzzles in a file. It decides how sets are cut, never what they hold; files are always full.

    Attributes:
        train: of training sets.
        eval: of evaluation sets.
    """

    train: int = Field(5000, ge=1)
    eval: int = Field(500, ge=1)


class Config(Settings):
    """The whole config.

    Attributes:
        results: folder of everything that the workflow makes.
        seed: seed of the puzzles.
        shard_size: puzzles in a file, by split.
        validation: when a set of puzzles may be used.
        tasks: settings of the tasks.
        models: models by name.
        recipes: recipes by name.
        runs: what is trained and scored.
    """

    results: str = "results"
    seed: int = Field(0, ge=0)
    shard_size: ShardSize = ShardSize()
    validation: ValidationSettings = ValidationSettings()
    tasks: TasksSettings
    models: dict[str, ModelSettings]
    recipes: dict[str, Recipe]
    runs: tuple[Grid, ...] = Field(min_length=1)

    @field_validator("models", "recipes")
    @classmethod
    def _plain_names(cls, named: dict[str, Any]) -> dict[str, Any]:
        for name in named:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
                raise ValueError(f"the name {name!r} becomes a folder: use letters, digits, '_', '-' and '.'")
        return named

    @model_validator(mode="after")
    def _runs_exist(self) -> Config:
        for grid in self.runs:
            for kind, names, known in (
                ("task", grid.tasks, self.tasks.model_fields_set),
                ("recipe", grid.recipes, self.recipes),
                ("model", grid.models, self.models),
            ):
                for name in names:
                    if name not in known:
                        raise ValueError(str(unknown(kind, name, known)))
        for run in self.all_runs():
            self._check(run)
        return self

    def _check(self, run: Run) -> None:
        task, recipe = self.task(run.task), self.recipes[run.recipe]
        if self.models[run.model].source.kind == "tiny" and task.style != "compact":
            raise ValueError(
                f"the model {run.model} reads the compact style only: set tasks.{run.task}.style to compact"
            )
        known = TASKS[run.task](task).alternative_chains
        for part in itertools.chain(*(phase.parts for phase in recipe.phases)):
            if part.chain not in (FULL, NONE, *known):
                raise ValueError(
                    f"the recipe {run.recipe}: {unknown('chain', part.chain, (FULL, NONE, *known))} These are the "
                    f"chains of thought of {run.task} in the {task.style} style"
                )
        for level, needed in puzzles_needed(recipe, run.budget).items():
            made = task.levels[level].train if level in task.levels else None
            if made is None:
                raise ValueError(
                    f"the recipe {run.recipe} needs {level} puzzles, but tasks.{run.task}.levels has no {level}"
                )
            if needed > made:
                raise ValueError(
                    f"the recipe {run.recipe} at budget {run.budget} needs {needed} {level} puzzles of {run.task}, but "
                    f"{made} are made: raise tasks.{run.task}.levels.{level}.train to {needed}, or lower the budget"
                )

    def task(self, name: str) -> TaskSettings:
        """Settings of a task."""
        settings: TaskSettings = getattr(self.tasks, name)
        return settings

    def task_names(self) -> list[str]:
        """The tasks that have settings, in order of their names."""
        return [name for name in TASKS if getattr(self.tasks, name) is not None]

    def all_runs(self) -> list[Run]:
        """Every run of the study once, in order."""
        grids = (itertools.product(g.tasks, g.recipes, g.budgets, g.models, g.seeds) for g in self.runs)
        return sorted({Run(*combination) for combination in itertools.chain(*grids)})


def load_config(values: dict[str, Any]) -> Config:
    """Check the values of the config files and build the tree.

    Raises:
        ConfigError: one line for each mistake: where it is, what is wrong, what was found.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(e) for e in error.errors())) from None


def _explain(error: Any) -> str:
    loc = [str(part) for part in error["loc"]]
    # Below "source" pydantic names the kind that it chose, which is not a key of the file.
    place = ".".join(part for at, part in enumerate(loc) if at == 0 or loc[at - 1] != "source")
    message = error["msg"].removeprefix("Value error, ")
    found = "" if error["type"] in ("value_error", "missing") else f" (found: {error['input']!r})"
    return f"config: {place + ': ' if place else ''}{message}{found}"


if __name__ == "__main__":
    print(json.dumps(Config.model_json_schema(), indent=2))
