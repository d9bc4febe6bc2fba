"""The lineage of a result, and the verification of all results against their records."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Set
from pathlib import Path

from s2h.errors import DataError
from s2h.provenance.fingerprints import removed_files
from s2h.provenance.records import (
    Record,
    advice,
    all_records,
    damage,
    is_being_made,
    read_record,
    record_path,
    recorded_output,
)

_RECORDED = (
    *("puzzles", "checks", "validation", "baselines", "mixtures", "base_models", "models"),
    *("predictions", "scores", "alignment", "tables", "figures", "failures"),
)
"""Folders of which everything is made by jobs: what lies elsewhere may be the user's, or a log."""
_ON_THE_WAY = (".kept", ".work")  # folders of predictions as they come, and of what VLMEvalKit writes
_SHOWN = 3  # inputs of one kind that are followed; the others are counted


def lineage(path: str | Path, results: str | Path) -> Iterator[str]:
    """Lines that say how a result came to be, and below it the same for what it was made from.

    Args:
        path: the result.
        results: folder of everything that the workflow makes.

    Raises:
        DataError: there is no record of it.
    """
    place = record_path(path, results)
    if place is None or not place.exists():
        raise DataError(f"there is no record of {path}: give a result below {results} that the workflow has made.")
    yield from _tree(_finished(place), results, indent=0, seen=set())


def _finished(place: Path) -> Record:
    """The record at ``place``; raises DataError where its result is being made just now, or was never finished."""
    if is_being_made(place):
        raise DataError(f"{place.stem} is being made just now: ask again when it is finished.")
    return read_record(place)


def _versions(record: Record) -> str:
    packages = [f"{name} {version}" for name, version in record.job["versions"].items()]
    return f"Python {record.job['python']}, {', '.join(packages)}"


def _tree(record: Record, results: str | Path, *, indent: int, seen: set[str]) -> Iterator[str]:
    margin = "    " * indent
    if record.output in seen:
        yield f"{margin}{record.output}  (above)"
        return
    seen.add(record.output)
    yield f"{margin}{record.output}"
    yield from (f"{margin}  {line}" for line in _description(record))
    if (versions := _versions(record)) not in seen:  # once for all that were made with the same
        seen.add(versions)
        yield f"{margin}  {versions}"
    by_rule: dict[str, list[Record]] = {}
    for path in record.inputs:
        place = record_path(path, results)
        if place is None or not place.exists():
            yield f"{margin}    {path}  (from outside, contents {record.inputs[path][:16]})"
        else:
            known = _finished(place)
            by_rule.setdefault(known.rule, []).append(known)
    for rule, records in by_rule.items():
        for each in records[:_SHOWN]:
            yield from _tree(each, results, indent=indent + 1, seen=seen)
        if len(records) > _SHOWN:
            yield f"{margin}    ... and {len(records) - _SHOWN} more of {rule}"


def _description(record: Record) -> Iterator[str]:
    job = record.job
    where = f"{job['user']}@{job['host']}" + (f", SLURM job {job['slurm_job']}" if job["slurm_job"] else "")
    fetched = f"; taken from the cache {record.fetched}" if record.fetched else ""
    yield f"{record.rule}, {job['started']}, {job['seconds']} s, {where}{fetched}"
    code = f", code {record.params['code']}" if "code" in record.params else ""
    yield f"commit {job['commit'] or 'unknown'}{code}, config {job['config']}, key {record.key[:16]}"
    size = sum(mark.bytes for mark in record.files.values())
    plural = "s" if len(record.files) > 1 else ""
    yield f"{len(record.files)} file{plural}, {size:,} bytes, contents {record.contents[:16]}"


@dataclasses.dataclass(slots=True)
class Verdict:
    """The outcome of reading all results again.

    Attributes:
        whole: number of results that hold what their jobs wrote.
        reduced: of these, folders from which files were removed on purpose.
        gone: results that are no longer there.
        damaged: for each result that holds something else, what is wrong.
        stale: results that were made from an input that has been made again since, and holds something else now.
        in_progress: results that a living process makes just now.
        unrecorded: files and folders among the results of which no record tells: they were brought by hand.
    """

    whole: int = 0
    reduced: list[str] = dataclasses.field(default_factory=list)
    gone: list[str] = dataclasses.field(default_factory=list)
    damaged: dict[str, str] = dataclasses.field(default_factory=dict)
    stale: dict[str, str] = dataclasses.field(default_factory=dict)
    in_progress: list[str] = dataclasses.field(default_factory=list)
    unrecorded: list[str] = dataclasses.field(default_factory=list)


def verify(results: str | Path) -> Verdict:
    """Read every result below a folder and compare it with its record, and the records with each other."""
    verdict, contents, records = Verdict(unrecorded=[*_unrecorded(Path(results))]), {}, []
    for place in all_records(results):
        output = recorded_output(place, results)
        if is_being_made(place):
            verdict.in_progress.append(output)
            continue
        try:
            record = read_record(place)
        except DataError as error:
            if Path(output).exists():
                verdict.damaged[output] = f"it was never finished: {error}"
            continue
        records.append(record)
        contents[record.output] = record.contents
        if not Path(output).exists():
            verdict.gone.append(output)
        elif problem := damage(output, record.files):
            verdict.damaged[output] = problem
        else:
            verdict.whole += 1
            if removed_files(output):
                verdict.reduced.append(output)
    for record in records:
        for path, held in record.inputs.items():
            if contents.get(path, held) != held:
                verdict.stale[record.output] = path
    return verdict


def _unrecorded(results: Path) -> Iterator[str]:
    """The files that no record covers; for a folder without any that one does, the folder."""
    recorded = {Path(recorded_output(place, results)) for place in all_records(results)}
    holding = {folder for output in recorded for folder in output.parents}
    for kind in _RECORDED:
        yield from _unknown_below(results / kind, recorded, {*holding, results / kind})


def _unknown_below(folder: Path, recorded: Set[Path], holding: Set[Path]) -> Iterator[str]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path in holding:
            yield from _unknown_below(path, recorded, holding)
        elif path not in recorded and path.suffix not in _ON_THE_WAY and not path.name.startswith("."):
            yield str(path)


def report(results: str | Path) -> list[str]:
    """Verify all results; the lines say what was found.

    Raises:
        DataError: a result is damaged, or there are no records.
    """
    verdict = verify(results)
    if verdict.whole + len(verdict.gone) + len(verdict.damaged) == 0:
        raise DataError(f"there are no records below {results}: has the workflow made anything there?")
    lines = [f"{verdict.whole} results hold what their jobs wrote."]
    lines += [f"without the weights that keep_weights removed: {path}" for path in verdict.reduced]
    lines += [f"being made just now: {path}" for path in verdict.in_progress]
    lines += [f"without a record: {path}" for path in verdict.unrecorded]
    lines += [f"gone: {path}" for path in verdict.gone]
    lines += [f"older than {made_from}, from which it was made: {path}" for path, made_from in verdict.stale.items()]
    if verdict.damaged:
        lines += [f"damaged: {path}: {problem}\n{advice(path)}" for path, problem in verdict.damaged.items()]
        raise DataError("\n".join(lines))
    return lines
