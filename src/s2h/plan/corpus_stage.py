"""Corpora of conversations, and what base models are composed and fetched from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s2h.corpora.corpus_settings import CorpusSettings
from s2h.models.sources import ComposedSource, OutsideSource
from s2h.plan.stage import Stage, Wildcards


@dataclasses.dataclass(frozen=True)
class CorpusStage(Stage):
    """Inputs, params and resources of the rules of corpora, and of models from outside."""

    def settings(self, wildcards: Wildcards) -> CorpusSettings:
        """Settings of a corpus."""
        return self.config.corpora[wildcards.corpus]

    def annotations(self, wildcards: Wildcards) -> str:
        """The file of its annotations."""
        return self.settings(wildcards).annotations_path()

    def images(self, wildcards: Wildcards) -> list[str]:
        """Files and folders of its images."""
        return self.settings(wildcards).image_paths()

    def image_files(self, wildcards: Wildcards) -> list[str]:
        """The files of its images; a folder of the user's is no input of a rule."""
        return [path for path in self.images(wildcards) if not Path(path).is_dir()]

    def shard_count(self, wildcards: Wildcards) -> int:
        """Files into which the corpus is cut."""
        return self.settings(wildcards).shards

    def min_kept_fraction(self, wildcards: Wildcards) -> float:
        """Share of its entries that must be good."""
        return self.settings(wildcards).min_kept_fraction

    def shards(self, corpus: str) -> list[str]:
        """All shards of a corpus, in order."""
        count = self.config.corpora[corpus].shards
        return [self.paths.corpus_shard.format(corpus=corpus, shard=f"{shard:05d}") for shard in range(count)]

    def all_shards(self, wildcards: Wildcards) -> list[str]:
        """The shards of a job's corpus."""
        return self.shards(wildcards.corpus)

    def report(self, corpus: str) -> str:
        """The report on a corpus, for which a phase that trains on it waits."""
        return self.paths.corpus_report.format(corpus=corpus)

    def reports(self) -> list[str]:
        """The reports on all corpora of the config."""
        return [self.report(corpus) for corpus in self.config.corpora]

    # models from outside

    def hub_settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """Name and revision of a model on the hub."""
        return self.config.catalog[wildcards.model].model_dump(mode="json", include={"name", "revision"})

    def hub_models(self) -> list[str]:
        """The folders of all models and parts that the runs need and that are fetched from the hub."""
        names = self.config.catalog.downloads({run.model for run in self.config.all_runs()})
        return [self.paths.hub_model.format(model=name) for name in names]

    def released(self, wildcards: Wildcards) -> str:
        """The folder of released weights, as they come."""
        source = self.config.catalog[wildcards.model]
        assert isinstance(source, OutsideSource)
        return source.weights(wildcards.model, self.config.catalog)

    def released_input(self, wildcards: Wildcards) -> list[str]:
        """``released`` where the workflow fetches it."""
        return self.made_here(self.released(wildcards))

    def part(self, part: str) -> Callable[[Wildcards], str]:
        """The folder of a part (``clip``, ``convnext``, ``language``) of the model that a job composes."""

        def folder(wildcards: Wildcards) -> str:
            source = self.config.catalog[wildcards.model]
            assert isinstance(source, ComposedSource)
            return source.part_folder(part, self.config.catalog)

        return folder

    def part_input(self, part: str) -> Callable[[Wildcards], list[str]]:
        """``part`` where the workflow fetches it."""
        return lambda wildcards: self.made_here(self.part(part)(wildcards))

    def composing_seed(self, wildcards: Wildcards) -> int:
        """The seed of the weights that no part brings."""
        source = self.config.catalog[wildcards.model]
        assert isinstance(source, ComposedSource)
        return source.seed
