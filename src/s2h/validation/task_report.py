"""The report on all sets of a task: what was checked, what failed, what comes twice, what train and eval share."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from s2h.errors import DataError
from s2h.files import atomic_file
from s2h.settings import Settings

_EXAMPLES = 5  # failures that a report quotes


MadeBy = Mapping[str, Mapping[str, str]]
"""For each level and split a digest of what decides its puzzles: code, settings, how the set is cut."""


class ValidationSettings(Settings):
    """When a set of puzzles may be used. A failed check or a split key shared by train and eval is never allowed.

    Attributes:
        duplicates: largest share of a set's puzzles that repeat an earlier one of the set.
    """

    duplicates: float = Field(0.01, ge=0, le=1)


@dataclasses.dataclass(frozen=True, slots=True)
class SetReport:
    """The findings of the checks of one set.

    Attributes:
        level: SIMPLE, MEDIUM or HARD.
        split: train or eval.
        puzzles: number of puzzles made and checked.
        used: number of them that the config asks for; the rest fills up the last shard.
        failures: number of puzzles that failed a check.
        kinds: the same by kind.
        examples: some of the failures, in words.
        damaged: the shards in which they are, each followed by the file of its checks.
        duplicates: puzzles that repeat an earlier one of the set.
        keys: different split keys (``Task.split_key``) of its puzzles.
        overlap: puzzles whose split key a set of the other split has too, at any level.
        bytes: size of all shards.
        digests: SHA-256 of each shard, by file name.
    """

    level: str
    split: str
    puzzles: int
    used: int
    failures: int
    kinds: dict[str, int]
    examples: list[str]
    damaged: list[str]
    duplicates: int
    keys: int
    overlap: int
    bytes: int
    digests: dict[str, str]

    def problems(self, settings: ValidationSettings) -> list[str]:
        """Why the set must not be used; empty where it may."""
        name, problems = f"{self.level} {self.split}", []
        if self.failures:
            problems.append(
                f"{name}: {self.failures} of {self.puzzles} puzzles failed ({'; '.join(self.examples)}). Delete these "
                f"files and run again; if it fails again, it is an error of the program.\n  rm {' '.join(self.damaged)}"
            )
        if self.overlap:
            problems.append(
                f"{name}: {self.overlap} puzzles share all that their answer depends on with puzzles of the other "
                "split. Delete the task's folders of puzzles and checks and run again; if it fails again, it is an "
                "error of the program."
            )
        if self.duplicates > settings.duplicates * self.puzzles:
            problems.append(
                f"{name}: {self.duplicates} of {self.puzzles} puzzles repeat another, more than the share of "
                f"{settings.duplicates} that validation.duplicates allows: widen the task's settings, or allow more"
            )
        return problems


def report_set(level: str, split: str, checks: Sequence[str], used: int, others: pl.Series) -> SetReport:
    """Put together what the checks of a set's shards found.

    Args:
        level: SIMPLE, MEDIUM or HARD.
        split: train or eval.
        checks: the files that ``check_shard`` wrote, in order.
        used: number of puzzles that the config asks for.
        others: digests of the split keys of all sets of the other split.
    """
    frames = {path: pl.read_parquet(path) for path in checks}
    facts = {path: pl.read_parquet_metadata(path) for path in checks}
    found = pl.concat(frames.values())
    wrong = found.filter(pl.col("kind").is_not_null())
    damaged = [path for path, frame in frames.items() if frame["kind"].null_count() < frame.height]
    examples = [f"{row['puzzle_id']}: {row['kind']}: {row['problem']}" for row in wrong.head(_EXAMPLES).to_dicts()]
    return SetReport(
        level=level,
        split=split,
        puzzles=found.height,
        used=used,
        failures=wrong.height,
        kinds=dict(wrong.group_by("kind").len().sort("kind").iter_rows()),
        examples=examples,
        damaged=[
            name for path in damaged for name in (os.path.normpath(Path(path).parent / facts[path]["shard"]), path)
        ],
        duplicates=found.height - found["content"].n_unique(),
        keys=found["key"].drop_nulls().n_unique(),
        overlap=int(found["key"].is_in(others.implode()).sum()),
        bytes=sum(int(fact["bytes"]) for fact in facts.values()),
        digests={Path(fact["shard"]).name: fact["sha256"] for fact in facts.values()},
    )


def report_task(
    checks: Mapping[str, Mapping[str, Sequence[str]]], used: Mapping[str, Mapping[str, int]]
) -> list[SetReport]:
    """The reports of all sets of a task.

    Args:
        checks: for each level and split the files that ``check_shard`` wrote.
        used: for each level and split the number of puzzles that the config asks for.
    """
    keys = {
        split: pl.concat(
            [pl.Series("key", [], pl.UInt64)]
            + [pl.read_parquet(path, columns=["key"])["key"] for sets in checks.values() for path in sets[split]]
        ).unique()
        for split in ("train", "eval")
    }
    other = {"train": keys["eval"], "eval": keys["train"]}
    return [
        report_set(level, split, paths, used[level][split], other[split])
        for level, sets in checks.items()
        for split, paths in sets.items()
        if paths
    ]


def write_report(
    title: str,
    reports: Sequence[SetReport],
    settings: ValidationSettings,
    *,
    made_by: MadeBy,
    json_path: str,
    markdown_path: str,
) -> None:
    """Write the report for programs and for people.

    Args:
        title: of the task.
        reports: on its sets.
        settings: what is allowed.
        made_by: what decides the puzzles of each set.
        json_path: the report for programs.
        markdown_path: the report for people.

    Raises:
        DataError: a set must not be used; the message holds the whole report, and no file is written.
    """
    markdown = to_markdown(title, reports)
    problems = [problem for report in reports for problem in report.problems(settings)]
    if problems:
        raise DataError(
            "\n".join([f"{title}: nothing may be trained or scored on these puzzles.", *problems, "", markdown])
        )
    with atomic_file(json_path) as temporary:
        sets = [dataclasses.asdict(each) | {"made_by": made_by[each.level][each.split]} for each in reports]
        temporary.write_text(json.dumps(sets, indent=2))
    with atomic_file(markdown_path) as temporary:
        temporary.write_text(markdown)


def is_validated(report: str | Path, made_by: MadeBy, shards: Iterable[str | Path]) -> bool:
    """Whether a report that was written says of these shards, as they are, that they may be used.

    Args:
        report: the file for programs.
        made_by: what decides the puzzles of each set now.
        shards: files at ``{level}/{split}/{name}`` below the task's folder.
    """
    try:
        sets, written = json.loads(Path(report).read_text()), Path(report).stat().st_mtime_ns
        known = {(s["level"], s["split"], s["made_by"], name) for s in sets for name in s["digests"]}
        paths = [Path(shard) for shard in shards]
        unchanged = all(path.stat().st_mtime_ns <= written for path in paths)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    places = ((path.parts[-3], path.parts[-2], path.name) for path in paths)
    return unchanged and all((level, split, made_by[level][split], name) in known for level, split, name in places)


def to_markdown(title: str, reports: Sequence[SetReport]) -> str:
    """A table with a line for each set."""
    lines = [
        f"# {title}: what the checks of the puzzles found",
        "",
        "| level | split | puzzles | used | failures | duplicates | keys | shared by train and eval | bytes each |",
        "| --- | --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for each in reports:
        numbers: list[Any] = [each.puzzles, each.used, each.failures, each.duplicates, each.keys, each.overlap]
        cells = [each.level, each.split, *numbers, round(each.bytes / max(each.puzzles, 1))]
        lines.append(f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else cell for cell in cells)} |")
    return "\n".join([*lines, "", _NOTE, ""])


_NOTE = (
    "Keys: how many different ones the puzzles have of what their answer depends on, such as a path and the values on "
    "it. No key is both in a set for training and in one for evaluation."
)
