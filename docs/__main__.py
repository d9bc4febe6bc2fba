"""The generated files: python -m docs writes those that are old, python -m docs --check names them.

A new task, recipe or table changes some of them. Those that need a GPU, whole studies or minutes have commands of their
own (CONTRIBUTING.md).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs import columns, oracles, pictures, recipes
from docs.blocks import fill_block
from s2h.config import config_type

ROOT = Path(__file__).parents[1]

Files = Mapping[Path, bytes]
"""What files shall hold."""


def schema() -> Files:
    """The schema of the config."""
    return {ROOT / "config/schema.json": f"{json.dumps(config_type().model_json_schema(), indent=2)}\n".encode()}


def tasks() -> Files:
    """The page of the tasks, with its pictures."""
    page, images = pictures.drawn(pictures.PAGE.read_text())
    return {pictures.PAGE: page.encode()} | {pictures.IMAGES / name: png for name, png in images.items()}


def recipe_page() -> Files:
    """The page of the recipes."""
    return {recipes.PAGE: recipes.written(recipes.PAGE.read_text()).encode()}


def metrics() -> Files:
    """The page of the metrics."""
    path = ROOT / "docs/metrics.md"
    page = fill_block(path.read_text(), "columns", columns.columns())
    return {path: fill_block(page, "oracles", oracles.table(puzzles=2)).encode()}


GENERATED: Mapping[str, Callable[[], Files]] = {
    "schema": schema,
    "tasks": tasks,
    "recipes": recipe_page,
    "metrics": metrics,
}
"""What makes each kind of generated files, by its name."""


def old(kind: str) -> Files:
    """The files of a kind that hold something else than they should, as they should be."""
    return {path: held for path, held in GENERATED[kind]().items() if not path.is_file() or path.read_bytes() != held}


def main() -> None:
    """Write what is old, or say what is and end with exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m docs", description="Write the generated files that are old.")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where one is old")
    arguments = parser.parse_args()
    found = {path: held for kind in GENERATED for path, held in old(kind).items()}
    for path, held in found.items():
        print(path.relative_to(ROOT))
        if not arguments.check:
            path.write_bytes(held)
    if found and arguments.check:
        sys.exit("these files are old: run python -m docs")


if __name__ == "__main__":
    main()
