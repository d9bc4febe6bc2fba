"""The paths of everything that the workflow makes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

RUN = "{task}/{recipe}/{budget}/{model}/{seed}"
"""Names the files of a run."""
PHASE = f"{RUN}/phase-{{phase}}"
"""Names the files of a phase of a run."""
BASE_MODEL_PHASE = "{origin}/{model}/{seed}/phase-{phase}"
"""Names the files of a phase of a base model that is trained here; ``origin`` is a task or ``ANY_TASK``."""
SHARD = "{task}/{level}/{split}/shard-{shard}"
"""Names the files of a shard of puzzles."""
MIXTURE = "{task}/{recipe}/{budget}/{seed}/phase-{phase}"
"""Names the mixture of a phase, which is the same for every model."""
EVAL_SET = "{task}-{level}-{modality}"
"""Names the files of an evaluation set."""

WORKFLOW = Path(__file__).parents[2]
"""The folder of the Snakefile and of the configs that are shipped."""


def results_folder(name: str) -> str:
    """The folder that ``results`` in a config names; ``~`` is the user's home."""
    return str(Path(name).expanduser())


def find_file(path: str) -> Path:
    """A file that a config names, relative to the current folder; one that is shipped may be named from any folder."""
    own = Path(path).expanduser()
    return own if own.exists() else WORKFLOW / path


ANY_TASK = "any"
"""The origin of a base model that is the same for every task; the tiny model's words and scenes are those of a task."""


@dataclasses.dataclass(frozen=True, slots=True)
class Paths:
    """The files and folders below ``results``; names in braces are Snakemake's wildcards, for ``str.format`` to fill.

    Attributes:
        results: folder of everything that the workflow makes.
    """

    results: str

    def below(self, kind: str, name: str, ending: str = "") -> str:
        """``results/{kind}/{name}{ending}``."""
        return f"{self.results}/{kind}/{name}{ending}"

    def log(self, rule: str, name: str = "") -> str:
        """The log file of the jobs of a rule."""
        return f"{self.results}/logs/{rule}/{name}.log" if name else f"{self.results}/logs/{rule}.log"

    def benchmark(self, rule: str, name: str) -> str:
        """Time and memory of the jobs of a rule."""
        return f"{self.results}/benchmarks/{rule}/{name}.tsv"

    def contains(self, path: str) -> bool:
        """Whether a path lies below ``results``, so that a rule makes it; a folder of the user's does not."""
        return path.startswith(f"{self.results}/")

    # puzzles

    @property
    def shard(self) -> str:
        """Puzzles: Parquet, rows of ``s2h.puzzles.record.SCHEMA``."""
        return self.below("puzzles", SHARD, ".parquet")

    @property
    def check(self) -> str:
        """The findings of a checker in a shard: Parquet."""
        return self.below("checks", SHARD, ".parquet")

    @property
    def validation(self) -> str:
        """The report on all sets of a task: JSON."""
        return self.below("validation", "{task}.json")

    @property
    def baselines(self) -> str:
        """How often the blind baselines of a task are right: Parquet."""
        return self.below("baselines", "{task}", ".parquet")

    @property
    def dataset_card(self) -> str:
        """The dataset card of a task's puzzles on the hub: Markdown."""
        return self.below("puzzles", "{task}/README.md")

    @property
    def eval_table(self) -> str:
        """An evaluation set in VLMEvalKit's columns: TSV."""
        return self.below("tsv", EVAL_SET, ".tsv")

    @property
    def gallery(self) -> str:
        """A page with puzzles of every task and level."""
        return f"{self.results}/gallery.html"

    # mixtures and corpora

    @property
    def mixture(self) -> str:
        """The examples of a phase, in order: Parquet."""
        return self.below("mixtures", MIXTURE, ".parquet")

    @property
    def export(self) -> str:
        """Folder of a mixture in the formats of other trainers."""
        return self.below("exports", MIXTURE)

    @property
    def corpus_mixture(self) -> str:
        """The conversations of a base model's phase, in order: Parquet."""
        return self.below("mixtures", BASE_MODEL_PHASE, ".parquet")

    @property
    def scene_mixture(self) -> str:
        """The scenes of a base model's phase, in order: Parquet."""
        return self.below("mixtures", "{origin}/{model}/{seed}/scenes-{phase}.parquet")

    @property
    def corpus_index(self) -> str:
        """Where each entry and each image of a corpus lies: Parquet."""
        return self.below("corpora", "{corpus}/index.parquet")

    @property
    def corpus_images(self) -> str:
        """Images of a corpus whose archive is compressed as a whole, one after the other."""
        return self.below("corpora", "{corpus}/images.pack")

    @property
    def corpus_shard(self) -> str:
        """Checked conversations with their images: Parquet."""
        return self.below("corpora", "{corpus}/shard-{shard}.parquet")

    @property
    def corpus_report(self) -> str:
        """The report on the used and dropped entries of a corpus: JSON."""
        return self.below("corpora", "{corpus}/report.json")

    # models

    @property
    def hub_model(self) -> str:
        """A model folder as it is fetched from the hub."""
        return self.below("hub", "{model}")

    @property
    def converted_model(self) -> str:
        """A model folder with released weights under the names that training and scoring read."""
        return self.below("converted", "{model}")

    @property
    def tiny_model(self) -> str:
        """A tiny model folder, from random weights."""
        return self.below("base_models", "{task}/{model}/{seed}")

    @property
    def composed_model(self) -> str:
        """A model folder that is put together from published parts."""
        return self.below("base_models", f"{ANY_TASK}/{{model}}/composed")

    @property
    def base_model(self) -> str:
        """The model folder that a phase of a base model leaves."""
        return self.below("base_models", BASE_MODEL_PHASE)

    @property
    def model(self) -> str:
        """The model folder that a phase of a run leaves."""
        return self.below("models", PHASE)

    @property
    def removed(self) -> str:
        """The record of a run's removed weights: JSON."""
        return self.below("removed", RUN, ".json")

    # scores

    @property
    def fetched_eval(self) -> str:
        """A fetched external evaluation set: TSV."""
        return self.below("external_evals", "{external_eval}.tsv")

    @property
    def predictions(self) -> str:
        """A run's predictions for every evaluation puzzle: Parquet."""
        return self.below("predictions", RUN, ".parquet")

    @property
    def kept_predictions(self) -> str:
        """Folder of a run's predictions as they come, for each model and setting."""
        return self.below("predictions", RUN, ".kept")

    @property
    def spending(self) -> str:
        """What every request to a model has cost, of all runs: lines of JSON."""
        return self.below("spending", "{model}", ".jsonl")

    @property
    def scores(self) -> str:
        """The score of each prediction: Parquet."""
        return self.below("scores", RUN, ".parquet")

    @property
    def alignment(self) -> str:
        """Gradient alignment along a phase: Parquet."""
        return self.below("alignment", PHASE, ".parquet")

    # tables, figures, pages

    def table(self, ending: str) -> str:
        """A table with the given ending: csv, parquet, md, tex or html."""
        return self.below("tables", "{table}.", ending)

    def figure(self, ending: str) -> str:
        """A figure with the given ending: svg, pdf or png."""
        return self.below("figures", "{figure}.", ending)

    @property
    def failures(self) -> str:
        """A page on what a run's model gets wrong."""
        return self.below("failures", RUN, ".html")

    @property
    def overview(self) -> str:
        """The first page of the report."""
        return self.below("report", "overview.html")
