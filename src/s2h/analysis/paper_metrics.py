"""The paper's own metrics, under their names there, and some of ours beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial

import polars as pl

from s2h.analysis.pages import ABSENT, Grid, Page, by_recipe, order_of, run_sections
from s2h.analysis.scores import SET, read_scores
from s2h.analysis.study import Study, Table
from s2h.diagnosis.diagnoser_registry import other_metrics


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """A number that predictions are summed up in.

    Attributes:
        value: aggregation of the predictions of a set; null where none enters.
        n: how many predictions enter.
        indicator: a column of the scores that has values where, and only where, a task has this metric.
    """

    value: pl.Expr
    n: pl.Expr
    indicator: str

    @classmethod
    def mean(cls, column: str, indicator: str | None = None) -> Metric:
        """The mean of a column over the predictions that have a value."""
        return cls(pl.col(column).mean(), pl.col(column).count(), indicator or column)


_COLLECTED, _OBJECTS = pl.col("objects_collected"), pl.col("objects")
_ASKED = _COLLECTED.is_not_null() & (_OBJECTS > 0)  # predictions for puzzles with something to collect
_SHARES = (_COLLECTED / _OBJECTS).filter(_ASKED)
_POOLED = _COLLECTED.filter(_ASKED).sum() / _OBJECTS.filter(_ASKED).sum()

METRICS: Mapping[str, Metric] = {
    "accuracy": Metric.mean("correct"),
    "no_answer": Metric((~pl.col("parsed")).mean(), pl.col("parsed").count(), "parsed"),
    "tolerant": Metric.mean("tolerant"),
    "exact_match": Metric.mean("exact_match"),
    "cot_exact_match": Metric.mean("cot_exact_match"),
    "partial_score": Metric.mean("partial_score"),
    "source_dest_score": Metric.mean("source_dest_score"),
    "avg_num_obstacles": Metric.mean("num_obstacles", indicator="objects"),
    "fraction_objects_collected_score": Metric(_SHARES.mean(), _ASKED.sum(), "objects"),
    "all_fraction_objects_collected_score": Metric(pl.when(_ASKED.any()).then(_POOLED), _ASKED.sum(), "objects"),
    "labels_correct": Metric.mean("labels_correct"),
    "transcription": Metric.mean("transcription"),
}
"""The paper's metrics, and ours before and after them, in the order of the columns."""

COLUMNS = [
    *("correct", "parsed", "tolerant"),
    *("exact_match", "cot_exact_match", "partial_score", "source_dest_score"),
    *("num_obstacles", "objects_collected", "objects", "labels_correct", "transcription"),
]
"""The columns of the scores that these are made from."""

_KEYS = [*SET, "external_eval"]
_SHOWN = ("level", "modality", "external_eval")


def paper_metrics(scores: pl.DataFrame, others: Sequence[str] = ()) -> pl.DataFrame:
    """One row for each run, evaluation set and metric of its task.

    Args:
        scores: what ``read_scores`` gave, with ``COLUMNS``, ``others`` and external evaluation sets.
        others: metrics that other tasks have of their own; they are averaged.

    Returns:
        The columns of ``SET``, external_eval (name of an external evaluation set; null for the study's own), metric,
        value and n (number of predictions in the mean; where it is 0 the value is null).
    """
    metrics = {**METRICS, **{name: Metric.mean(name) for name in others}}
    order = pl.col("metric").cast(pl.Enum(list(metrics)))
    return (
        pl.concat([_values(scores, name, metric) for name, metric in metrics.items()])
        .sort(*_KEYS, order)
        .with_columns(pl.col("level", "modality").cast(pl.String))
    )


def _values(scores: pl.DataFrame, name: str, metric: Metric) -> pl.DataFrame:
    return (
        scores.filter(pl.col(metric.indicator).is_not_null().any().over("task"))
        .group_by(_KEYS)
        .agg(metric=pl.lit(name), value=metric.value.cast(pl.Float64), n=metric.n.cast(pl.Int64))
    )


def to_page(frame: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Page:
    """The page of what ``paper_metrics`` gave.

    It has a table for each task, model, budget and seed, with a row for each recipe and evaluation set.
    """
    sections = run_sections(frame, partial(_grid, recipe_titles=recipe_titles))
    return Page.of("The paper's metrics", sections, note=_NOTE)


_NOTE = (
    "Means over predictions, from 0 to 1 except for avg_num_obstacles, which is a count. accuracy: the answer is "
    "right. no_answer: there is none that can be read. tolerant: only the tolerant reader found one. The others are "
    "the paper's, except labels_correct and transcription. External evaluation sets are under their names. The CSV "
    "file has the number of predictions behind each mean. "
    f"{ABSENT}: none."
)


def _grid(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Grid:
    names = sorted(set(part["metric"]), key=order_of(METRICS))
    lines = []
    for title, run in by_recipe(part, recipe_titles):
        for key, rows in run.partition_by(*_SHOWN, as_dict=True, maintain_order=True).items():
            level, modality, external = key
            values = dict(rows.select("metric", "value").iter_rows())
            shown = f"{level} {modality}" + ("" if external is None else f" ({external})")
            lines.append((title, shown, *(_number(values.get(name)) for name in names)))
    return Grid(("Recipe", "Set"), tuple(names), tuple(lines), grouped=1)


def _number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.3f}"


def make(study: Study) -> tuple[pl.DataFrame, Page]:
    """The table and its page."""
    others = other_metrics()
    frame = paper_metrics(read_scores(study.score_files, COLUMNS, external=True, metrics=others), others)
    return frame, to_page(frame, study.recipe_titles)


METRICS_TABLE = Table(make)
