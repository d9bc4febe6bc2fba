"""Puzzles: shards, their checks, the report on all of them, and the pages and tables that show them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from s2h.plan.stage import Shards, Stage, Wildcards, digest, listed
from s2h.puzzles.record import MODALITIES, SPLITS
from s2h.puzzles.shards import shard_count, shard_range
from s2h.puzzles.task import SCENES
from s2h.puzzles.task_registry import TASKS
from s2h.validation.checker_registry import CHECKERS
from s2h.validation.task_report import is_validated


@dataclasses.dataclass(frozen=True)
class PuzzleStage(Stage):
    """Inputs, params and resources of the rules of puzzles."""

    def shards(
        self, task: str, level: str, split: str, puzzles: int | None = None, *, of: str | None = None
    ) -> list[str]:
        """Files of a set's first puzzles (default: all that the config asks for), in order.

        Args:
            task: name of the task.
            level: name of the level, or SCENES.
            split: ``train`` or ``eval``.
            puzzles: how many of the set are needed.
            of: the pattern of the files; the shards themselves by default.
        """
        puzzles = puzzles or self.sizes(task)[level][split]
        count = shard_count(puzzles, getattr(self.config.shard_size, split))
        pattern = of or self.paths.shard
        return [pattern.format(task=task, level=level, split=split, shard=f"{shard:05d}") for shard in range(count)]

    def sizes(self, task: str) -> dict[str, dict[str, int]]:
        """How many puzzles of a task the study asks for, by level and split, and how many scenes, if any."""
        levels = self.config.task(task).levels.items()
        sizes = {level: {split: getattr(settings, split) for split in SPLITS} for level, settings in levels}
        scenes = self.config.scenes(task)
        return sizes | ({SCENES: {"train": scenes, "eval": 0}} if scenes else {})

    def eval_shards(self, tasks: Sequence[str]) -> Shards:
        """The evaluation shards of tasks, by task and level; levels without evaluation puzzles are left out."""
        return {task: {level: self.shards(task, level, "eval") for level in self.eval_sizes(task)} for task in tasks}

    def eval_sizes(self, task: str) -> dict[str, int]:
        """How many evaluation puzzles each level has that has any."""
        return {level: settings.eval for level, settings in self.config.task(task).levels.items() if settings.eval}

    def level_settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """The settings that determine the puzzles of a shard: the task's, with its level only."""
        return self._level_settings(wildcards.task, wildcards.level)

    def _level_settings(self, task: str, level: str) -> dict[str, Any]:
        """A task's settings with one level; with all of them for scenes, which look like the puzzles of each."""
        return self.task_settings(task, None if level == SCENES else [level])

    def span(self, wildcards: Wildcards) -> list[int]:
        """First index of a shard and the index after its last."""
        return list(shard_range(int(wildcards.shard), getattr(self.config.shard_size, wildcards.split)))

    def making_code(self, wildcards: Wildcards) -> str:
        """Digest of the code that makes this task's puzzles, and no other's."""
        return self.code("make_puzzles", "s2h.puzzles.shards", TASKS.module(wildcards.task))

    def checking_code(self, wildcards: Wildcards) -> str:
        """Digest of the code that checks this task's puzzles, and of what it asks of the task itself."""
        task = wildcards.task
        checker = [CHECKERS.module(task)] if task in CHECKERS else []
        return self.code("check_puzzles", "s2h.validation.checks", TASKS.module(task), *checker)

    def describing_code(self, wildcards: Wildcards) -> str:
        """Digest of the code that writes a task's dataset card."""
        return self.code("write_dataset_card", "s2h.publishing.cards", TASKS.module(wildcards.task))

    def whole_settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """The task's settings with sizes, as the config has them."""
        return self.config.task(wildcards.task).model_dump(mode="json")

    # validation

    def checks(self, wildcards: Wildcards) -> Shards:
        """The checker's findings on each shard of a task, by level and split."""
        task = wildcards.task
        return {
            level: {split: self.shards(task, level, split, of=self.paths.check) for split in SPLITS}
            for level in self.sizes(task)
        }

    def check_files(self, wildcards: Wildcards) -> list[str]:
        """The files of ``checks`` as one list."""
        return listed(self.checks(wildcards))

    def set_sizes(self, wildcards: Wildcards) -> dict[str, dict[str, int]]:
        """How many puzzles the study asks for, by level and split."""
        return self.sizes(wildcards.task)

    def made_by(self, wildcards: Wildcards) -> dict[str, dict[str, str]]:
        """For each level and split a digest of what decides its puzzles: code, settings, seed, how the set is cut."""
        return self._made_by(wildcards.task, self.making_code(wildcards))

    def _made_by(self, task: str, code: str) -> dict[str, dict[str, str]]:
        sizes = self.config.shard_size.model_dump()
        return {
            level: {
                split: digest([code, self._level_settings(task, level), self.config.seed, size])
                for split, size in sizes.items()
            }
            for level in self.sizes(task)
        }

    def missing_reports(self, shards: Mapping[str, Sequence[str]]) -> list[str]:
        """Reports that must be made before a job may use shards: nothing runs on a set that failed.

        A report that is there and good of them is no input of the job. As a plain input it would repeat the job
        whenever it is made again; as an ancient one it would hide from Snakemake other reasons to run the job (its
        issue 4166).
        The checks are asked for too: where one is gone, Snakemake would take an old report as it is.

        Args:
            shards: paths by task.
        """
        missing = []
        for task, paths in shards.items():
            report = self.paths.validation.format(task=task)
            code = self.code("make_puzzles", "s2h.puzzles.shards", TASKS.module(task))
            if not is_validated(report, self._made_by(task, code), paths):
                folder = self.paths.below("puzzles", "")
                missing += [report, *(self.paths.below("checks", path.removeprefix(folder)) for path in paths)]
        return missing

    def reports_of(self, shards: Shards) -> list[str]:
        """``missing_reports`` of shards by task and level."""
        return self.missing_reports({task: [*listed({task: levels})] for task, levels in shards.items()})

    # evaluation sets for others, and the gallery

    def set_shards(self, wildcards: Wildcards) -> list[str]:
        """The shards of an evaluation set."""
        return self.shards(wildcards.task, wildcards.level, "eval")

    def set_report(self, wildcards: Wildcards) -> list[str]:
        """The report that an evaluation set waits for."""
        return self.missing_reports({wildcards.task: self.set_shards(wildcards)})

    def set_size(self, wildcards: Wildcards) -> int:
        """How many puzzles an evaluation set has."""
        size: int = self.config.task(wildcards.task).levels[wildcards.level].eval
        return size

    def gallery_shards(self) -> dict[str, dict[str, str]]:
        """The first evaluation shard of each task and level that has one, and the first one of scenes."""
        return {
            task: {level: self.shards(task, level, split, 1)[0] for level, split in self._shown_sets(task).items()}
            for task in self.config.task_names()
        }

    def _shown_sets(self, task: str) -> dict[str, str]:
        """The level and split of each set that the gallery shows."""
        return dict.fromkeys(self.eval_sizes(task), "eval") | ({SCENES: "train"} if self.config.scenes(task) else {})

    def gallery_files(self) -> list[str]:
        """The files of ``gallery_shards`` as one list."""
        return [shard for levels in self.gallery_shards().values() for shard in levels.values()]

    def eval_tables(self) -> list[str]:
        """Each evaluation set as a TSV file, given as text and as images."""
        return [
            self.paths.eval_table.format(task=task, level=level, modality=modality)
            for task in self.config.task_names()
            for level in self.eval_sizes(task)
            for modality in MODALITIES
        ]

    def cards(self) -> list[str]:
        """The dataset cards of all tasks of the config."""
        return [self.paths.dataset_card.format(task=task) for task in self.config.task_names()]
