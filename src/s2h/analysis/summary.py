"""The table of what was found: a CSV file for machines, a page for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from s2h.analysis.statistics import wilson_interval
from s2h.errors import DataError
from s2h.files import whole_file
from s2h.puzzles.record import LEVELS, MODALITIES

RUN = ("task", "trained_on", "recipe", "budget", "model", "seed")
"""The columns that name a run."""

_SET = (*RUN, "level", "modality")
_PAGE = ("task", "model", "budget", "seed")  # what the runs of one table share
_SCORES = [*_SET, "puzzle_id", "correct", "chain_correct"]
_ABSENT = "–"

Cell = tuple[str, str]
"""(level, modality)."""

_GAPS: tuple[tuple[str, Cell, Cell], ...] = (
    ("SIMPLE→HARD text", ("SIMPLE", "text"), ("HARD", "text")),
    ("SIMPLE→HARD image", ("SIMPLE", "image"), ("HARD", "image")),
    ("text→image SIMPLE", ("SIMPLE", "text"), ("SIMPLE", "image")),
    ("text→image HARD", ("HARD", "text"), ("HARD", "image")),
)


def summarise(score_files: Sequence[str | Path]) -> pl.DataFrame:
    """One row for each run, level and modality.

    Returns:
        The columns of ``RUN``, level, modality, n, correct (a count), accuracy, ci_low and ci_high (95 % Wilson
        interval), and chain_accuracy (share with a chain of thought that is right from end to end; 0 by nature for
        replies without one). Runs are in the order of their names, levels SIMPLE, MEDIUM, HARD, text before image.

    Raises:
        DataError: a file cannot be read, or a puzzle is scored twice for a run and modality.
    """
    frame = (
        _read(score_files)
        .with_columns(pl.col("level").cast(pl.Enum(LEVELS)), pl.col("modality").cast(pl.Enum(MODALITIES)))
        .group_by(_SET)
        .agg(
            n=pl.len().cast(pl.Int64),
            puzzles=pl.col("puzzle_id").n_unique(),
            correct=pl.col("correct").sum().cast(pl.Int64),
            chain_accuracy=pl.col("chain_correct").mean(),
        )
        .sort(_SET)
        .with_columns(pl.col("level", "modality").cast(pl.String))
    )
    twice = frame.filter(pl.col("n") > pl.col("puzzles"))
    if twice.height:
        raise DataError(f"puzzles of {twice.select(_SET).row(0)} are scored more than once: give each score file once.")
    intervals = [wilson_interval(*pair) for pair in frame.select("correct", "n").iter_rows()]
    return frame.with_columns(
        accuracy=pl.col("correct") / pl.col("n"),
        ci_low=pl.Series([low for low, _ in intervals], dtype=pl.Float64),
        ci_high=pl.Series([high for _, high in intervals], dtype=pl.Float64),
    ).select(*_SET, "n", "correct", "accuracy", "ci_low", "ci_high", "chain_accuracy")


def write_summary(
    score_files: Sequence[str | Path],
    *,
    csv_path: str | Path,
    markdown_path: str | Path,
    recipe_titles: Mapping[str, str],
    task_titles: Mapping[str, str],
) -> None:
    """Write the summary as CSV (4 decimals) and as a Markdown page.

    Args:
        score_files: Parquet files of the scores.
        csv_path: the columns of ``summarise``.
        markdown_path: one table for each task, model, budget and seed, with a row for each recipe; where several
            tasks were trained together, their name stands behind the recipe.
        recipe_titles: the paper's names; their order is that of the rows.
        task_titles: the paper's names.
    """
    frame = summarise(score_files)
    with whole_file(csv_path) as temporary:
        frame.write_csv(temporary, float_precision=4)
    with whole_file(markdown_path) as temporary:
        temporary.write_text(render_markdown(frame, recipe_titles, task_titles), encoding="utf-8")


def render_markdown(frame: pl.DataFrame, recipe_titles: Mapping[str, str], task_titles: Mapping[str, str]) -> str:
    """The page of what ``summarise`` gave."""
    lines = ["# Results", ""]
    task = None
    for key, part in frame.sort(_PAGE).partition_by(_PAGE, as_dict=True, maintain_order=True).items():
        if key[0] != task:
            task = key[0]
            lines += [f"## {task_titles.get(task, task)}", ""]
        lines += [f"### {key[1]}, budget {key[2]:,}, seed {key[3]}", ""]
        lines += [*_table(part, recipe_titles), "", _caption(part), ""]
    return "\n".join(lines)


def _read(score_files: Sequence[str | Path]) -> pl.DataFrame:
    frames = []
    for path in score_files:
        try:
            frames.append(pl.read_parquet(path, columns=_SCORES))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(f"the scores {path} cannot be read ({error}); delete them and run again.") from None
    if not frames:
        raise DataError("there are no scores to summarise: give at least one score file.")
    return pl.concat(frames)


def _table(part: pl.DataFrame, recipe_titles: Mapping[str, str]) -> Iterator[str]:
    """The lines of one table: sets that were scored, then the gaps between them."""
    found = set(part.select("level", "modality").iter_rows())
    cells = [(level, modality) for level in LEVELS for modality in MODALITIES if (level, modality) in found]
    gaps = [gap for gap in _GAPS if {gap[1], gap[2]} <= found]
    yield _line(["Recipe", *(" ".join(cell) for cell in cells), *(name for name, _, _ in gaps)])
    yield _line(["---", *["--:"] * (len(cells) + len(gaps))])
    runs = part.partition_by("recipe", "trained_on", "task", as_dict=True)
    order = list(recipe_titles)
    for key in sorted(runs, key=lambda key: (order.index(key[0]) if key[0] in order else len(order), key)):
        recipe, trained_on, task = key
        rows = {(row["level"], row["modality"]): row for row in runs[key].iter_rows(named=True)}
        shares = (_share(rows.get(cell)) for cell in cells)
        points = (_points(rows.get(first), rows.get(second)) for _, first, second in gaps)
        title = recipe_titles.get(recipe, recipe) + ("" if trained_on == task else f" ({trained_on})")
        yield _line([title, *shares, *points])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _share(row: dict[str, Any] | None) -> str:
    if row is None:
        return _ABSENT
    return "{accuracy:.0f} [{ci_low:.0f}, {ci_high:.0f}]".format(
        **{name: 100 * row[name] for name in ("accuracy", "ci_low", "ci_high")}
    )


def _points(first: dict[str, Any] | None, second: dict[str, Any] | None) -> str:
    if first is None or second is None:
        return _ABSENT
    return str(round(100 * (first["accuracy"] - second["accuracy"])))


def _caption(part: pl.DataFrame) -> str:
    sizes = sorted(set(part["n"].to_list()))
    n = " to ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1])))
    return (
        f"Right answers in per cent with 95 % Wilson intervals, on n = {n} new puzzles for each level, given as text "
        "and as images. Gaps are in points of per cent: SIMPLE→HARD is SIMPLE minus HARD, text→image "
        f"is text minus image. {_ABSENT}: not scored."
    )
