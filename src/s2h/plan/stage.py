"""The base of all stages of the workflow: the config, the paths, and digests of code and settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from s2h.config import Config, Run
from s2h.paths import Paths
from s2h.provenance.code import code_digest

Wildcards = Any
"""Snakemake's wildcards of a job: an attribute of type str for each name in braces of its output."""

Shards = dict[str, dict[str, list[str]]]
"""Paths of shards by task and level."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage of the workflow, as its rules ask it.

    Attributes:
        config: the checked config.
        scripts: folder of the rules' scripts.
    """

    config: Config
    scripts: Path

    @property
    def paths(self) -> Paths:
        """The paths of the workflow."""
        return Paths(self.config.results)

    def code(self, script: str, *modules: str) -> str:
        """Digest of a rule's script and of the modules that decide what it makes."""
        return code_digest(*modules, script=self.scripts / f"{script}.py")

    def rule_code(self, script: str, *modules: str) -> Callable[[Wildcards], str]:
        """``code`` as a param of a rule whose jobs all have the same: taken only where there is such a job."""
        return lambda wildcards: self.code(script, *modules)

    def made_here(self, folder: str) -> list[str]:
        """A folder as the input of a rule; nothing for one that no rule makes, such as a model folder of the user's."""
        return [folder] if self.paths.contains(folder) else []

    def members(self, wildcards: Wildcards) -> tuple[str, ...]:
        """The tasks of a run: one, or those that are trained together under a name."""
        return self.config.members(wildcards.task)

    def task_settings(self, task: str, levels: Iterable[str] | None = None) -> dict[str, Any]:
        """A task's settings with the given levels (default: all), without sizes: they do not change a puzzle."""
        settings = self.config.task(task).model_dump(mode="json")
        sizes = {"train": 0, "eval": 0}
        kept = {level: settings["levels"][level] | sizes for level in levels or settings["levels"]}
        return settings | {"levels": kept}


def run_of(wildcards: Wildcards) -> Run:
    """The run that a job belongs to."""
    return Run(wildcards.task, wildcards.recipe, int(wildcards.budget), wildcards.model, int(wildcards.seed))


def filled(pattern: str, run: Run, **more: object) -> str:
    """The path of a run, from one of the patterns of ``Paths``."""
    return pattern.format(**dataclasses.asdict(run), **more)


def listed(shards: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Paths by task and level, as one list."""
    return [path for levels in shards.values() for paths in levels.values() for path in paths]


def digest(values: Any) -> str:
    """A short name for values that JSON can hold: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def one_of(names: Iterable[object]) -> str:
    """A regular expression that matches just these names; it matches nothing where there are none."""
    return "|".join(re.escape(str(name)) for name in sorted(set(names), key=str)) or "(?!)"
