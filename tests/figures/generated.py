"""Tables as the analysis leaves them, made up by chance: a study of any size."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from s2h.analysis.statistics import wilson_interval
from s2h.analysis.table_registry import TABLES
from s2h.figures.figure_registry import FIGURES
from s2h.figures.kinds import Titles
from s2h.overlays import read_values
from tests.analysis.generated import whole_study

TITLES = Titles(
    recipes={name: recipe["title"] for name, recipe in read_values()["recipes"].items()},
    tasks={
        "consecutive_table_readout": "Consecutive Table Readout",
        "table_readout": "Table Readout",
        "grid_navigation": "Grid Navigation",
        "visual_analogy": "Visual Analogy",
    },
)
TASKS, RECIPES = tuple(TITLES.tasks), tuple(TITLES.recipes)
MEASURES = {
    "consecutive_table_readout": {"path length": ((1, 4), (5, 8))},
    "table_readout": {"path length": ((3, 6), (8, 12)), "turns": ((0, 2), (3, 6))},
    "grid_navigation": {"steps": ((3, 7), (8, 14)), "moves": ((3, 7), (8, 14)), "objects": ((1, 2), (2, 3))},
}  # of SIMPLE and HARD

STRING, INTEGER, REAL = pl.String(), pl.Int64(), pl.Float64()
GROUP = {"task": STRING, "trained_on": STRING, "recipe": STRING, "budget": INTEGER, "model": STRING}
RUN = GROUP | {"seed": INTEGER}
SET = {"level": STRING, "modality": STRING}
INTERVAL = {"accuracy": REAL, "ci_low": REAL, "ci_high": REAL}
EXACT = {"exact_match": REAL, "exact_ci_low": REAL, "exact_ci_high": REAL}
PLACE = {"phase": INTEGER, "step": INTEGER, "steps": INTEGER}
SCHEMAS: dict[str, dict[str, Any]] = {
    "accuracy": {
        **GROUP, **SET, "seeds": INTEGER, "n": INTEGER, **INTERVAL, "sd": REAL, **EXACT, "published": REAL,
        "published_metric": STRING, "published_budget": INTEGER, "difference": REAL,
    },
    "summary": {**RUN, **SET, "n": INTEGER, "correct": INTEGER, **INTERVAL, **EXACT, "chain_accuracy": REAL},
    "baselines": {
        "task": STRING, "level": STRING, "baseline": STRING, "n": INTEGER, "correct": INTEGER, **INTERVAL,
    },
    "difficulty": {
        **GROUP, **SET, "measure": STRING, "low": INTEGER, "high": INTEGER, "n": INTEGER, **INTERVAL,
    },
    "error_steps": {
        **GROUP, **SET, "step": INTEGER, "error": STRING, "errors": INTEGER, "right": INTEGER, "predictions": INTEGER,
        "share": REAL,
    },
    "learning": {
        **RUN, **PLACE, "examples": INTEGER, "loss": REAL, "gradient_norm": REAL, "learning_rate": REAL,
        "tokens_per_second": REAL,
    },
    "alignment": {
        **RUN, **PLACE, "puzzles": INTEGER,
        **dict.fromkeys(("source_level", "source_format", "target_level", "target_format"), STRING),
        **dict.fromkeys(("source_loss", "target_loss", "target_exact", "inner_product", "cosine"), REAL),
        **dict.fromkeys(("preconditioned", "preconditioned_cosine"), REAL),
    },
}  # fmt: skip
SOURCES = (("SIMPLE", "text"), ("SIMPLE", "image"), ("SIMPLE", "image_via_text"), ("HARD", "text"))
N = 300
GUESSES = {"constant answer": 0.02, "straight walk": 0.12}

Run = dict[str, Any]
Rows = Iterator[dict[str, Any]]


def study(
    tasks: Sequence[str] = TASKS[:1],
    recipes: Sequence[str] = ("mix",),
    budgets: Sequence[int] = (30_000,),
    seeds: Sequence[int] = (0,),
    models: Sequence[str] = ("tiny",),
    trained_on: str = "",
) -> dict[str, pl.DataFrame]:
    """All tables that figures read; without recipes they have no rows. Others than ``SCHEMAS`` are of scores."""
    choices = itertools.product(tasks, recipes, budgets, models)
    groups = [
        {"task": task, "trained_on": trained_on or task, "recipe": recipe, "budget": budget, "model": model}
        for task, recipe, budget, model in choices
    ]
    makers = {
        "accuracy": lambda group, rng: accuracy(group, len(seeds)),
        "difficulty": lambda group, rng: difficulty(group),
        "error_steps": error_steps,
    }
    runs = [group | {"seed": seed} for group in groups for seed in seeds]
    first = tasks[:1] if trained_on else tasks  # tasks that are trained together have one training
    training_runs = [run | {"task": run["trained_on"]} for run in runs if run["task"] in first]
    rows = {name: chance(maker, groups) for name, maker in makers.items()} | {"summary": chance(summary, runs)}
    rows |= {"baselines": baselines(tasks if recipes else ())}
    rows |= {
        name: chance(maker, training_runs) for name, maker in {"learning": learning, "alignment": alignment}.items()
    }
    given = {"task": tasks, "recipe": recipes or ("mix",), "budget": budgets, "seed": seeds, "model": models}
    given |= {"trained_on": (trained_on,)} if trained_on else {}
    read = {table for figure in FIGURES for table in FIGURES.reads(figure)}
    scored = {name: of_scores(name, given) for name in sorted(read - set(SCHEMAS))}
    made_up = {name: pl.DataFrame(list(rows[name]), schema=SCHEMAS[name]) for name in SCHEMAS}
    return made_up | {name: frame if recipes else frame.clear() for name, frame in scored.items()}


def of_scores(name: str, given: dict[str, Sequence[Any]]) -> pl.DataFrame:
    """A table as a study makes it, of scores made up by chance."""
    with tempfile.TemporaryDirectory() as folder:
        made_from = whole_study(Path(folder), puzzles=4, phases=0 if set(given["budget"]) == {0} else 1, **given)
        return TABLES[name].make(made_from)[0]


def chance(maker: Any, groups: Sequence[Run]) -> Rows:
    """The rows of each of the groups."""
    for number, group in enumerate(groups):
        yield from maker(group, np.random.default_rng(number))


def place_of(group: Run) -> int:
    """A number from 0 to 4 that sets recipes apart."""
    return sum(map(ord, group["recipe"])) % 5


def skill(group: Run, level: str, modality: str) -> float:
    """How often a recipe is right: more with HARD text and alignment, with images less, with the budget more."""
    if level != "HARD":
        return 0.97 if modality == "text" else 0.93
    grown = np.log2(max(group["budget"], 7500) / 7500) / 5
    better = 0.25 + 0.5 * ("plus" in group["recipe"]) + 0.1 * ("align" in group["recipe"]) + 0.01 * place_of(group)
    return float(np.clip(better * grown * (1.3 if modality == "text" else 0.7), 0, 1))


def interval(share: float, n: int, names: Iterable[str] = INTERVAL) -> dict[str, float]:
    right = round(share * n)
    return dict(zip(names, (right / n, *wilson_interval(right, n)), strict=True))


def sets() -> Iterator[tuple[str, str]]:
    return itertools.product(("SIMPLE", "HARD"), ("text", "image"))


def accuracy(group: Run, seeds: int) -> Rows:
    for level, modality in sets():
        share = skill(group, level, modality)
        found = interval(share, N) | interval(0.6 * share, N, EXACT)
        yield group | {"level": level, "modality": modality, "seeds": seeds, "n": N, "sd": 0.02} | found


def summary(run: Run, rng: np.random.Generator) -> Rows:
    for level, modality in sets():
        share = float(np.clip(skill(run, level, modality) + rng.normal(0, 0.04), 0, 1))
        found = interval(share, N) | interval(0.6 * share, N, EXACT)
        yield run | {"level": level, "modality": modality, "n": N, "correct": round(share * N)} | found


def baselines(tasks: Sequence[str]) -> Rows:
    for task, level, (name, rate) in itertools.product(tasks, ("SIMPLE", "HARD"), GUESSES.items()):
        counted = {"level": level, "baseline": name, "n": N, "correct": round(rate * N)}
        yield {"task": task} | counted | interval(rate, N)


def difficulty(group: Run) -> Rows:
    for measure, spans in MEASURES.get(group["task"], {}).items():
        for (level, modality), place in itertools.product(sets(), range(30)):
            first, last = spans[level == "HARD"]
            value = first + place
            if value <= last:
                share = np.clip(skill(group, level, modality) * (1.15 - 0.3 * place / (last - first + 1)), 0, 1)
                here = {"measure": measure, "low": value, "high": value, "n": N // (last - first + 1)}
                yield group | {"level": level, "modality": modality} | here | interval(float(share), here["n"])


def error_steps(group: Run, rng: np.random.Generator) -> Rows:
    kinds = ("format", "perception", "permuted", "reasoning", "arithmetic", "unexplained")
    for level, modality in sets():
        wrong = 1 - skill(group, level, modality)
        weights = {(step, kind): float(rng.random() / (1 + step)) for step in range(8) for kind in kinds[:-1]}
        weights[(None, "unexplained")] = 0.3  # type: ignore[index]
        for (step, kind), weight in weights.items():
            share = wrong * weight / sum(weights.values())
            counted = {"errors": round(share * N), "right": 0, "predictions": N, "share": share}
            yield group | {"level": level, "modality": modality, "step": step, "error": kind} | counted


def phases(run: Run) -> int:
    return 0 if run["recipe"] == "untrained" else 1 + ("align" in run["recipe"])


def learning(run: Run, rng: np.random.Generator) -> Rows:
    steps = 60
    for phase in range(1, phases(run) + 1):
        share = 1.0 if phase == phases(run) else 0.5
        for place in range(1, steps + 1):
            loss = float(0.02 * (1 + place_of(run)) + 4 * np.exp(-place / 9) + rng.gamma(2, 0.01))
            here = {"phase": phase, "step": 10 * place, "steps": 10 * steps, "loss": loss}
            yield run | here | {"examples": int(run["budget"] * share * place / steps), "learning_rate": 1e-4}


def alignment(run: Run, rng: np.random.Generator) -> Rows:
    for phase in range(1, phases(run) + 1):
        for step, (level, source) in itertools.product(range(0, 601, 100), SOURCES):
            trend = skill(run, "HARD", "image") * (1 - np.exp(-(step + 1) / 150))
            cosine = float(0.3 * trend + 0.1 * (source != "text") + rng.normal(0, 0.02))
            pair = {"source_level": level, "source_format": source, "target_level": "HARD", "target_format": "image"}
            values = {"cosine": cosine, "preconditioned_cosine": 1.4 * cosine - 0.05, "target_exact": float(trend)}
            yield run | {"phase": phase, "step": step, "steps": 600, "puzzles": 64} | pair | values
