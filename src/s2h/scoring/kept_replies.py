"""Kept predictions, as people look through them: what lies where, and which of them to drop."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from s2h.files import atomic_file
from s2h.scoring.predictions import ABOUT, FILE, Record, read_records

_ENDING = ".kept"  # of the folders that ``Paths.kept_predictions`` names


@dataclasses.dataclass(frozen=True, slots=True)
class KeptReplies:
    """The predictions of a run by one model with one group of settings.

    Attributes:
        run: ``task/recipe/budget/model/seed``.
        folder: where they lie; its name is the beginning of their key.
        about: what decides them.
        records: the predictions; of those to the same example all that are kept.
    """

    run: str
    folder: Path
    about: dict[str, Any]
    records: Sequence[Record]

    @property
    def key(self) -> str:
        """Names them among those of the run."""
        return self.folder.name

    def line(self) -> str:
        """One line for a person."""
        predictions = [record.prediction for record in self.records]
        endings = Counter(each.finish for each in predictions if each.finish not in ("stop", None))
        versions = Counter(each.version for each in predictions if each.version)
        sums = (sum(getattr(each, name) or 0 for each in predictions) for name in ("prompt_tokens", "tokens"))
        facts = [
            f"{len(predictions):,} replies",
            *(f"{number:,} {finish}" for finish, number in endings.items()),
            "{:,} tokens in, {:,} out".format(*sums),
            *versions,
            json.dumps({name: value for name, value in self.about.items() if value not in (None, "", {})}),
        ]
        return f"{self.run} {self.key}: {'; '.join(facts)}"


def find_kept(results: str | Path, pattern: str = "*", *, key: str = "") -> list[KeptReplies]:
    """The kept predictions of runs.

    Args:
        results: folder of everything that the workflow makes.
        pattern: of a run's name or of its model's, with ``*`` for anything.
        key: with which theirs begins.
    """
    root = Path(results) / "predictions"
    found = (_read(about.parent, root) for about in sorted(root.glob(f"**/*{_ENDING}/*/{ABOUT}")))
    return [each for each in found if each.records and _matches(each, pattern) and each.key.startswith(key)]


def _matches(kept: KeptReplies, pattern: str) -> bool:
    model = kept.run.split("/")[-2:][0]
    return fnmatch(kept.run, pattern) or fnmatch(model, pattern)


def _read(folder: Path, root: Path) -> KeptReplies:
    run = folder.parent.relative_to(root).as_posix().removesuffix(_ENDING)
    return KeptReplies(run, folder, json.loads((folder / ABOUT).read_text()), list(read_records(folder / FILE)))


def select(finish: str | None = None, version: str | None = None) -> Callable[[Record], bool]:
    """Whether a prediction ended in a way and is of a version of its model; None stands for any."""
    return lambda record: finish in (None, record.prediction.finish) and version in (None, record.prediction.version)


def drop(kept: KeptReplies, which: Callable[[Record], bool]) -> int:
    """Remove predictions, so that the workflow asks for them again: with them goes the run's file that holds them.

    Returns:
        How many.
    """
    left = [record for record in kept.records if not which(record)]
    dropped = len(kept.records) - len(left)
    if not left:
        shutil.rmtree(kept.folder)
    elif dropped:
        with atomic_file(kept.folder / FILE) as temporary:
            temporary.write_text("".join(record.line() for record in left), encoding="ascii")
    if dropped:
        folder = kept.folder.parent
        folder.with_name(folder.name.removesuffix(_ENDING) + ".parquet").unlink(missing_ok=True)
    return dropped
