"""Contents of each recipe: examples, unique puzzles and tokens, part by part, at each budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl

from s2h.analysis.pages import Grid, Page, budget_sections, count
from s2h.analysis.writing import Files, write_files
from s2h.errors import ModelError
from s2h.logs import LOGGER
from s2h.phases import Phase
from s2h.puzzles.record import LEVELS
from s2h.puzzles.task import TrainingLevel
from s2h.supervision.examples import Mixture
from s2h.supervision.mixture import Source, assemble, read_puzzle_sets
from s2h.supervision.recipes import Recipe
from s2h.supervision.recipes import count as count_puzzles
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.tokenisation.lengths import count_tokens

_SAMPLE = 600  # examples of a phase whose tokens are counted; the rest is in proportion

SCHEMA = {
    "task": pl.String,
    "recipe": pl.String,
    "model": pl.String,  # whose tokens are counted
    "budget": pl.Int64,
    "phase": pl.Int64,  # from 1
    "level": pl.String,
    "format": pl.String,
    "chain": pl.String,
    "unique_puzzles": pl.Int64,
    "epochs": pl.Float64,
    "repeats": pl.Int64,
    "examples": pl.Int64,  # seen in the phase, repeats and epochs included
    "tokens": pl.Int64,  # of these examples, image tokens included; null where the model's processor is not at hand
    "target_tokens": pl.Int64,  # tokens in the loss (not masked)
}


@dataclasses.dataclass(frozen=True, slots=True)
class RecipeStudy:
    """A task, or several trained together, and a model to count tokens with.

    Attributes:
        name: of the task, or of the tasks that are trained together.
        model: name of the model.
        processor: its folder.
        processor_options: keyword arguments for loading it.
        shards: some train shards of each member and level.
        recipes: the recipes that fit the task, by name.
    """

    name: str
    model: str
    processor: str
    processor_options: Mapping[str, Any]
    shards: Mapping[str, Mapping[TrainingLevel, Sequence[str]]]
    recipes: Mapping[str, Recipe]

    @classmethod
    def of(cls, *, recipes: Mapping[str, Any], **fields: Any) -> RecipeStudy:
        """A study whose recipes are given as a config file holds them."""
        return cls(recipes={name: Recipe.model_validate(recipe) for name, recipe in recipes.items()}, **fields)


def recipe_rows(study: RecipeStudy, budgets: Iterable[int]) -> pl.DataFrame:
    """A row for each part of each recipe and phase at each budget, as rows of ``SCHEMA``.

    Tokens are counted on a sample from the given shards, in proportion: they are estimates, all else is exact.
    """
    puzzles, encoder = read_puzzle_sets(study.shards), _encoder(study)
    rows: list[tuple[Any, ...]] = []
    for recipe, phase, number in _phases(study.recipes):
        means = _mean_tokens(study.recipes[recipe].phases[number - 1], puzzles, encoder)
        for budget in budgets:
            head = (study.name, recipe, study.model, budget, number)
            rows += [(*head, *part) for part in _parts(phase, budget, len(study.shards), means)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _encoder(study: RecipeStudy) -> ExampleEncoder | None:
    """The encoder that counts tokens; None where the model's processor is not available."""
    try:
        return ExampleEncoder.of_model(study.processor, **study.processor_options)
    except ModelError as error:
        LOGGER.warning("no tokens are counted for %s: %s", study.model, error)
        return None


def _phases(recipes: Mapping[str, Recipe]) -> Iterator[tuple[str, Phase, int]]:
    for name, recipe in recipes.items():
        for number, phase in enumerate(recipe.phases, 1):
            yield name, phase, number


Means = Mapping[tuple[str, str, str], tuple[float, float]]
"""Mean tokens and target tokens of an example by level, format and chain."""


def _parts(phase: Phase, budget: int, tasks: int, means: Means) -> Iterator[tuple[Any, ...]]:
    for counted in count_puzzles(phase, budget, tasks):
        part = counted.part
        examples = round(phase.epochs * counted.epoch * tasks)
        tokens = [round(mean * examples) for mean in means.get((part.level, part.format, part.chain), ())]
        yield (
            *(part.level, part.format, part.chain, counted.unique * tasks, float(phase.epochs), part.repeats, examples),
            *(tokens or (None, None)),
        )


def _mean_tokens(phase: Phase, puzzles: Mapping[Source, pl.DataFrame], encoder: ExampleEncoder | None) -> Means:
    if encoder is None:
        return {}
    smallest = min(frame.height for frame in puzzles.values())
    budget = min(_SAMPLE, smallest) // phase.budget
    mixture = Mixture(assemble(phase, budget=int(budget), puzzles=puzzles, key=(0, "sample")))
    lengths = count_tokens(mixture, encoder)
    found = mixture.frame.with_columns(tokens=pl.Series(lengths.tokens), targets=pl.Series(lengths.targets)).group_by(
        "level", "format", "chain"
    )
    return {
        (level, form, chain): (tokens, targets)
        for level, form, chain, tokens, targets in found.agg(pl.col("tokens", "targets").mean()).iter_rows()
    }


def write_recipe_tables(
    studies: Sequence[RecipeStudy],
    budgets: Sequence[int],
    files: Files,
    *,
    recipe_titles: Mapping[str, str],
    task_titles: Mapping[str, str],
) -> None:
    """Write the parts for machines, and what whole recipes come to for people.

    Args:
        studies: tasks and models.
        budgets: of the runs.
        files: where to; those for machines hold rows of ``SCHEMA``, the others a table for each task, model and budget.
        recipe_titles: the paper's names; their order is that of the rows.
        task_titles: the paper's names.
    """
    frame = pl.concat([pl.DataFrame(schema=SCHEMA), *(recipe_rows(study, budgets) for study in studies)])
    page = to_page(frame, recipe_titles)
    write_files("recipes", frame, page, files, task_titles=task_titles, significant={"epochs": 6})


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``recipe_rows`` gave."""
    sections = budget_sections(frame, partial(_grid, recipe_titles=recipe_titles))
    return Page.of("Recipe contents", sections, note=_NOTE, empty="No recipe of this study trains anything.")


_NOTE = (
    "Examples are counted as they are seen, epochs and repeats included; puzzles as different ones. Tokens are "
    "estimates from a sample of the puzzles, image tokens included; target tokens are those in the loss."
)
_FORMS = {"text": "text", "image": "image", "image_via_text": "via text", "image_to_text": "to text"}
_HEADERS = ("phases", "examples", *_FORMS.values(), *LEVELS, "tokens", "target tokens")


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    recipes = [(title, part.filter(recipe=name)) for name, title in recipe_titles.items()]
    return Grid(("Recipe",), _HEADERS, tuple((title, *_cells(rows)) for title, rows in recipes if rows.height))


def _cells(rows: pl.DataFrame) -> Iterator[str]:
    yield count(rows["phase"].n_unique())
    yield count(int(rows["examples"].sum()))
    yield from (count(int(rows.filter(format=form)["examples"].sum())) for form in _FORMS)
    yield from (count(_most_puzzles(rows, level)) for level in LEVELS)
    for name in ("tokens", "target_tokens"):
        yield count(None if rows[name].null_count() else int(rows[name].sum()))


def _most_puzzles(rows: pl.DataFrame, level: str) -> int:
    """Different puzzles of a level: all parts take the first ones of its set."""
    most = rows.filter(level=level)["unique_puzzles"].max()
    return 0 if most is None else int(most)  # type: ignore[arg-type]
