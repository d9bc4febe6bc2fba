"""Dataset cards: what a folder of puzzles holds, how it was made and checked, and how to load it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import yaml

from s2h.files import atomic_file
from s2h.puzzles.record import SCHEMA, descriptions
from s2h.puzzles.task import SCENES, Task


def write_card(path: str | Path, *, task: Task[Any], report: str | Path, seed: int) -> None:
    """Write the card of a task's puzzle sets, in the form that Hugging Face's datasets reads.

    Args:
        path: ``README.md`` beside the folders of the levels.
        task: the task, with its settings.
        report: what ``s2h.validation.task_report.write_report`` wrote for programs.
        seed: seed of the study.
    """
    sets = json.loads(Path(report).read_text())
    parts = [
        _front_matter(task, sets),
        f"# {task.title}",
        inspect.getdoc(type(task)) or "",
        _sets_table(sets),
        f"## Load\n\n{_LOADING.format(level=sets[0]['level'])}",
        f"## Columns\n\n{_columns_table()}",
        f"## How it was made\n\n{_making(task, sets, seed)}",
        f"## Checksums\n\n{_checksums(sets)}",
        f"## Licence and citation\n\n{_CITATION}",
    ]
    with atomic_file(path) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n")


_HUB_SPLITS = {"train": "train", "eval": "test"}
"""What the hub calls the splits."""

_LOADING = """```python
from datasets import load_dataset

puzzles = load_dataset("path/of/this/folder", "{level}")  # splits train and test (here: eval); images come decoded
```

Every file is plain Parquet: `polars.read_parquet("{level}/eval/*.parquet")` works as well."""

_RECIPE = """Puzzle `index` of a set is a function of the seed, the settings below, the level, the split and the index
alone; files are cut from the set without changing it. A set is made in whole files, so it may hold a few more puzzles
than are used. A puzzle's key is what its answer depends on, such as a path and the values on it; training and
evaluation sets draw from different parts of all possible keys and never share one.

Every puzzle was checked by a second program, by another way than it was made: the text is solved anew, the image is
read back and compared with the text, and every step of the chains of thought is followed.{scenes}

Seed {seed}, settings:

```yaml
{settings}```"""

_CITATION = """The puzzles are under the MIT licence. They follow the tasks of this paper; please cite it:

```bibtex
@article{park2025generalizing,
  title   = {Generalizing from {SIMPLE} to {HARD} Visual Reasoning: Can We Mitigate Modality Imbalance in {VLM}s?},
  author  = {Park, Simon and Panigrahi, Abhishek and Cheng, Yun and Yu, Dingli and Goyal, Anirudh and Arora, Sanjeev},
  journal = {arXiv preprint arXiv:2501.02669},
  year    = {2025}
}
```"""

_SCENES = """

SCENES are drawings that are no puzzles, made for models to learn reading: they have no question and no answer, and of
their checks only the comparison of image and text applies."""


def _front_matter(task: Task[Any], sets: list[dict[str, Any]]) -> str:
    levels = list(dict.fromkeys(each["level"] for each in sets))
    configs = [
        {
            "config_name": level,
            "data_files": [
                {"split": _HUB_SPLITS[each["split"]], "path": f"{level}/{each['split']}/*.parquet"}
                for each in sets
                if each["level"] == level
            ],
        }
        for level in levels
    ]
    facts = {
        "pretty_name": task.title,
        "license": "mit",
        "language": ["en"],
        "task_categories": ["visual-question-answering", "image-text-to-text"],
        "size_categories": [_size_category(sum(each["puzzles"] for each in sets))],
        "tags": ["synthetic", "visual-reasoning", "vision-language-models", "simple-to-hard-generalization"],
        "configs": configs,
    }
    return f"---\n{yaml.safe_dump(facts, sort_keys=False)}---"


def _size_category(rows: int) -> str:
    """The hub's name for a number of rows."""
    limits = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}
    return next((name for limit, name in limits.items() if rows < limit), "10M<n<100M")


def _sets_table(sets: list[dict[str, Any]]) -> str:
    lines = [
        "| level | split | puzzles | used | failed checks | duplicates | keys | shared with the other split | MB |",
        "| --- | --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for each in sets:
        numbers = [f"{each[name]:,}" for name in ("puzzles", "used", "failures", "duplicates", "keys", "overlap")]
        lines.append(f"| {each['level']} | {each['split']} | {' | '.join(numbers)} | {each['bytes'] / 1e6:.1f} |")
    return "\n".join(lines)


def _making(task: Task[Any], sets: list[dict[str, Any]], seed: int) -> str:
    scenes = _SCENES if any(each["level"] == SCENES for each in sets) else ""
    return _RECIPE.format(settings=_settings(task), seed=seed, scenes=scenes)


def _columns_table() -> str:
    known = descriptions()
    rows = [f"| `{field.name}` | {field.type} | {known[field.name]} |" for field in SCHEMA]
    return "\n".join(["| column | type | what it is |", "| --- | --- | --- |", *rows])


def _settings(task: Task[Any]) -> str:
    text: str = yaml.safe_dump({task.name: task.settings.model_dump(mode="json")}, sort_keys=False)
    return text


def _checksums(sets: list[dict[str, Any]]) -> str:
    rows = [
        f"{digest}  {each['level']}/{each['split']}/{name}" for each in sets for name, digest in each["digests"].items()
    ]
    return "\n".join(["SHA-256, as `sha256sum --check` reads them:", "", "```", *rows, "```"])
