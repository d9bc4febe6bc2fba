"""How far a step on one kind of examples helps another: gradient alignment along the training runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import polars as pl

from s2h.analysis.pages import ABSENT, Grid, Page, budget_sections, by_recipe, count, rounded
from s2h.analysis.scores import RUN
from s2h.analysis.study import Study, Table
from s2h.errors import unreadable

_SOURCE = ["source_level", "source_format", "target_level", "target_format"]
_NUMBERS = [
    *("source_loss", "target_loss", "target_exact", "inner_product", "cosine", "preconditioned"),
    "preconditioned_cosine",
]
SCHEMA = {
    **{name: pl.Int64 if name in ("budget", "seed") else pl.String for name in RUN},  # task is what it was trained on
    **dict.fromkeys(["phase", "step", "steps", "puzzles"], pl.Int64),
    **dict.fromkeys(_SOURCE, pl.String),
    **dict.fromkeys(_NUMBERS, pl.Float64),  # docs/metrics.md defines them
}


def read_alignments(files: Sequence[str]) -> pl.DataFrame:
    """The measured alignment of all phases, as rows of ``SCHEMA``.

    Args:
        files: one for each phase, with these columns.

    Raises:
        DataError: a file cannot be read.
    """
    frames = [pl.DataFrame(schema=SCHEMA), *map(_read, files)]
    return pl.concat(frames).sort(*RUN, "phase", "step", *_SOURCE)


def _read(path: str) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, glob=False).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable("alignment", path, error) from None


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``read_alignments`` gave.

    It has a table for each task, model and budget, with a row for each recipe, phase, source and target.
    """
    sections = budget_sections(frame, partial(_grid, recipe_titles=recipe_titles))
    return Page.of("Gradient alignment", sections, note=_NOTE, empty=_EMPTY)


_NOTE = (
    "How far a step on the source's examples would lower the loss on the target's: cosine of the two gradients, and "
    "the same with the optimizer's preconditioning. Mean: over all snapshots of a phase and all seeds; last: of the "
    "last snapshot, mean over the seeds, as are losses and target exact, the share of the target's examples whose "
    f"whole response is the most likely one word for word. {ABSENT}: the optimizer's moments are not known, or a "
    "gradient is zero."
)
_EMPTY = (
    "No alignment was measured: with training.snapshots of a model above 0 its gradients are compared along the "
    "training."
)
_HEADERS = (
    *("phase", "snapshots", "cosine, mean", "cosine, last", "preconditioned, mean", "preconditioned, last"),
    *("source loss", "target loss", "target exact"),
)


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    rows = tuple(
        (title, f"{key[1]} {key[2]}", f"{key[3]} {key[4]}", str(key[0]), *_cells(rows))
        for title, run in by_recipe(part, recipe_titles)
        for key, rows in run.partition_by("phase", *_SOURCE, as_dict=True, maintain_order=True).items()
    )
    return Grid(("Recipe", "Source", "Target"), _HEADERS, rows, grouped=1)


def _cells(rows: pl.DataFrame) -> tuple[str, ...]:
    means = rows.select(pl.col(_NUMBERS).mean()).row(0, named=True)
    last = rows.filter(pl.col("step") == pl.col("step").max().over("seed")).select(pl.col(_NUMBERS).mean())
    final = last.row(0, named=True)
    cosines = [found[name] for name in ("cosine", "preconditioned_cosine") for found in (means, final)]
    losses = [final[name] for name in ("source_loss", "target_loss", "target_exact")]
    return (count(rows["step"].n_unique()), *map(rounded, (*cosines, *losses)))


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    frame = read_alignments(study.alignments)
    return frame, to_page(frame, study.recipe_titles)


ALIGNMENT = Table(make, significant=dict.fromkeys(_NUMBERS, 6))
