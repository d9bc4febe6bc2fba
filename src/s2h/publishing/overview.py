"""The first page of the report: what was asked, what was found, how it looks, what was run, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from s2h.analysis.failures import ERRORS
from s2h.analysis.pages import order_of, percent, sets_of, share_cell
from s2h.diagnosis.diagnosis import lines, split_like
from s2h.errors import DataError, unreadable
from s2h.files import atomic_file
from s2h.parquet import read_parquet
from s2h.provenance.job_facts import commit, versions
from s2h.publishing.failure_pages import Shards
from s2h.templates import data_address, open_template

TEMPLATE = Path(__file__).with_name("overview.html")

_GROUP = ("task", "trained_on", "model")
_RUN = ("trained_on", "recipe", "budget", "model", "seed")
_LONGEST = 2_000  # characters of a prediction that are shown
_WIDE = 420  # pixels to which a small image is brought, in whole multiples
_PACKAGES = ("s2h", "snakemake", "torch", "transformers", "deepspeed", "ms-vlmeval", "polars", "numpy")
_WORDS = {
    "format": "in their form: an answer or a step cannot be read",
    "perception": "in what they see",
    "permuted": "with the right values in another order",
    "reasoning": "in a conclusion that does not follow",
    "arithmetic": "in a sum",
    "unexplained": "with an answer and not a word of reasoning",
}


def write_overview(output: str | Path, **contents: Any) -> None:
    """Write the page that ``render_overview`` gives.

    Args:
        output: the file, a fragment of HTML.
        **contents: arguments of ``render_overview``.
    """
    with atomic_file(output) as temporary:
        temporary.write_text(render_overview(**contents), encoding="utf-8")


def render_overview(
    *,
    tables: Mapping[str, str | Path],
    figures: Mapping[str, str | Path],
    score_files: Sequence[str | Path],
    shards: Shards,
    config: Mapping[str, Any],
    recipe_titles: Mapping[str, str],
    task_titles: Mapping[str, str],
) -> str:
    """The page as a fragment of HTML that holds all it shows, images included.

    Args:
        tables: Parquet files of the tables accuracy, failures and costs, by name.
        figures: SVG files by the title that stands above each, in order.
        score_files: Parquet files of the scores.
        shards: the evaluation puzzles.
        config: of the workflow, as it is shown.
        recipe_titles: the paper's names; their order is that of the rows.
        task_titles: the paper's names.

    Raises:
        DataError: a table or a puzzle is missing.
    """
    read = {name: read_parquet("table", path) for name, path in tables.items()}
    groups = [
        {
            "title": task_titles.get(str(task), str(task)),
            "together": None if task == trained_on else trained_on,
            "model": model,
            **_findings(part, read["failures"], recipe_titles),
        }
        for (task, trained_on, model), part in _largest_budgets(read["accuracy"])
    ]
    values = {
        "groups": groups,
        "figures": {title: _figure_address(path) for title, path in figures.items()},
        "examples": list(_examples(score_files, shards, groups, recipe_titles, task_titles)),
        "costs": _costs(read["costs"]),
        "config": yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=100),
        "commit": commit(),
        "versions": versions(_PACKAGES),
    }
    return open_template(TEMPLATE).render(values)


def _largest_budgets(accuracy: pl.DataFrame) -> Iterator[tuple[tuple[Any, ...], pl.DataFrame]]:
    """Each task and model with the rows of each recipe at its largest budget."""
    largest = accuracy.filter(pl.col("budget") == pl.col("budget").max().over(*_GROUP, "recipe"))
    yield from largest.partition_by(_GROUP, as_dict=True, maintain_order=True).items()


def _findings(part: pl.DataFrame, failures: pl.DataFrame, recipe_titles: Mapping[str, str]) -> dict[str, Any]:
    """The table of a task and model, and what is to be said of it."""
    order = order_of(recipe_titles)
    sets = sets_of(part)
    rows = {
        recipe: {(row["level"], row["modality"]): row for row in part.filter(recipe=recipe).iter_rows(named=True)}
        for recipe in sorted(set(part["recipe"]), key=order)
    }
    best = max(rows, key=lambda recipe: rows[recipe].get(("HARD", "image"), {}).get("accuracy", -1))
    first = part.row(0, named=True)
    return {
        "heads": [" ".join(cell) for cell in sets],
        "rows": [
            [recipe_titles.get(recipe, recipe), f"{max(r['budget'] for r in cells.values()):,}"]
            + [share_cell(cells.get(cell)) for cell in sets]
            for recipe, cells in rows.items()
        ],
        "n": f"{first['n']:,}",
        "seeds": first["seeds"],
        "best": best,
        "sentences": list(_sentences(rows, best, failures, part, recipe_titles)),
        "key": {name: first[name] for name in _GROUP},
    }


def _sentences(
    rows: Mapping[str, Mapping[tuple[str, str], Mapping[str, Any]]],
    best: str,
    failures: pl.DataFrame,
    part: pl.DataFrame,
    recipe_titles: Mapping[str, str],
) -> Iterator[str]:
    hard = {name: cells[("HARD", "image")] for name, cells in rows.items() if ("HARD", "image") in cells}
    if not hard:
        yield "No run was scored on HARD images."
        return
    title, cells = recipe_titles.get(best, best), rows[best]
    others = [
        f"{recipe_titles.get(name, name)} {percent(row['accuracy'])} %" for name, row in hard.items() if name != best
    ]
    found = f"{percent(hard[best]['accuracy'])} %"
    if others:
        yield f"{title} does best on HARD images: {found} right ({', '.join(others)})."
    else:
        yield f"{title} answers {found} of HARD images correctly."
    beside_them = {("HARD", "text"): "the same puzzles given as text", ("SIMPLE", "image"): "SIMPLE images"}
    same = [f"{percent(cells[cell]['accuracy'])} % of {words}" for cell, words in beside_them.items() if cell in cells]
    if same:
        yield f"The same models answer {' and '.join(same)}."
    wrong = failures.join(part.select(*_GROUP, "recipe", "budget").unique(), on=[*_GROUP, "recipe", "budget"]).filter(
        recipe=best, level="HARD", modality="image"
    )
    means = {name: wrong[name].mean() for name in ERRORS} if wrong.height else {}
    worst = max(means, key=lambda name: float(means[name] or 0), default=None)  # type: ignore[arg-type]
    if worst and means[worst]:
        share = percent(float(means[worst]))  # type: ignore[arg-type]
        yield f"Of their predictions for HARD images {share} % first go wrong {_WORDS[worst]}."


def _costs(costs: pl.DataFrame) -> dict[str, str]:
    """The total cost of all runs."""
    total = costs.select(
        pl.len().alias("runs"), pl.col("examples", "training_hours", "gpu_hours", "predictions", "decoding_hours").sum()
    ).row(0, named=True)
    hours = {name: _hours(total[name] or 0) for name in ("training_hours", "gpu_hours", "decoding_hours")}
    return {name: f"{total[name] or 0:,}" for name in ("runs", "examples", "predictions")} | hours


def _hours(hours: float) -> str:
    """A human-readable duration."""
    return f"{hours:,.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"


def _examples(
    score_files: Sequence[str | Path],
    shards: Shards,
    groups: Sequence[Mapping[str, Any]],
    recipe_titles: Mapping[str, str],
    task_titles: Mapping[str, str],
) -> Iterator[dict[str, Any]]:
    """For each task and model the first HARD image that the best recipe gets right, and the first it gets wrong."""
    columns = [*_RUN, "task", "level", "modality", "puzzle_id", "question", "prediction", "gold", "answer"]
    columns += ["correct", "chain_correct"]
    scores = pl.concat(
        [
            pl.scan_parquet(path, glob=False).filter(~pl.col("external"), conversion="free").select(columns)
            for path in score_files
        ]
    )
    for group in groups:
        of_best = (
            scores.filter(*(pl.col(name) == value for name, value in group["key"].items()))
            .filter(recipe=group["best"], level="HARD", modality="image")
            .sort("budget", "chain_correct", "seed", "puzzle_id", descending=[True, True, False, False])
            .collect()
        )
        for correct in (True, False):
            chosen = of_best.filter(correct=correct).head(1)
            for row in chosen.iter_rows(named=True):
                yield _example(row, shards) | {
                    "title": task_titles.get(row["task"], row["task"]),
                    "recipe": recipe_titles.get(row["recipe"], row["recipe"]),
                    "model": row["model"],
                }


def _example(row: Mapping[str, Any], shards: Shards) -> dict[str, Any]:
    paths = shards.get(row["task"], {}).get(row["level"], [])
    frames = pl.concat([pl.scan_parquet(path, glob=False) for path in paths]) if paths else None
    puzzles = frames.filter(pl.col("puzzle_id") == row["puzzle_id"]).collect() if frames is not None else pl.DataFrame()
    if not puzzles.height:
        raise DataError(f"the puzzle {row['puzzle_id']} is in no evaluation shard: score the run again.")
    puzzle = puzzles.row(0, named=True)
    png, right = puzzle["image"]["bytes"], f"{puzzle['reasoning']}\n{puzzle['answer_block']}".strip()
    width = int.from_bytes(png[16:20], "big")  # a PNG file's header
    return {
        "correct": row["correct"],
        "image": data_address(png, "image/png"),
        "width": width * max(1, _WIDE // width),
        "question": puzzle["image_question"],
        "prediction": _in_lines(row["prediction"], right)[:_LONGEST],
        "right": right[:_LONGEST],
        "answer": row["answer"],
        "gold": row["gold"],
    }


def _in_lines(prediction: str, right: str) -> str:
    """A prediction of one line in lines as the right response has them; the tiny model writes no line breaks."""
    words = prediction.split()
    return "\n".join(split_like(words, lines(right))) if prediction == " ".join(words) else prediction


def _figure_address(path: str | Path) -> str:
    try:
        return data_address(Path(path).read_bytes(), "image/svg+xml")
    except OSError as error:
        raise unreadable("figure", path, error) from None
