"""The jobs of a workflow as Snakemake has planned them, and what has changed since they last ran."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from s2h.errors import DataError
from s2h.jobs import recorded_params
from s2h.plan.stage import Wildcards
from s2h.provenance.records import Record, read_record, record_path

STAGES = {
    "puzzles": (
        *("make_puzzles", "check_puzzles", "validate_puzzles", "write_dataset_card", "export_evaluation"),
        "draw_gallery",
    ),
    "blind baselines": ("measure_baselines",),
    "corpora": ("index_corpus", "make_corpus_shard", "report_corpus"),
    "mixtures": ("make_mixture", "mix_scenes", "mix_corpus", "export_mixture"),
    "base models": ("fetch_model", "convert_model", "compose_model", "build_base_model", "pretrain_base_model"),
    "training": ("train_phase",),
    "gradient alignment": ("measure_alignment",),
    "decoding": ("fetch_external_eval", "decode_predictions"),
    "scoring": ("score_model",),
    "removal of weights": ("remove_weights",),
    "tables, figures, pages": (
        *("make_table", "make_recipe_table", "draw_figure", "draw_failures", "write_overview", "verify"),
    ),
}
"""The rules of each stage, in the order of the data's way."""
STAGE_OF = {rule: stage for stage, rules in STAGES.items() for rule in rules}
"""The stage of each rule."""
_DIGEST = re.compile(r"[0-9a-f]{16,}")
_LONGEST = 40  # characters of a value that is shown
_ABSENT = object()


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job of a workflow.

    Attributes:
        rule: its name.
        wildcards: of the job.
        outputs: paths.
        runs: whether it is to do; else its outputs are there.
        waits: places of the jobs to do that it waits for, in the list of all jobs.
        record: of its first output as it is now; None where there is none.
        changes: what differs from that record, where the job runs again and its outputs are there.
    """

    rule: str
    wildcards: Wildcards
    outputs: tuple[str, ...]
    runs: bool
    waits: tuple[int, ...]
    record: Record | None
    changes: tuple[str, ...] = ()

    @property
    def stage(self) -> str:
        """The stage to which it belongs; a rule that is not of this workflow is one of its own."""
        return STAGE_OF.get(self.rule, self.rule)

    @property
    def is_repeated(self) -> bool:
        """Whether it runs although its outputs are there."""
        return self.runs and self.record is not None


def planned_jobs(dag: Any, results: str) -> list[PlannedJob]:
    """The jobs with outputs of Snakemake's DAG.

    Args:
        dag: as Snakemake has planned it.
        results: folder of everything that the workflow makes.
    """
    jobs = [job for job in dag.jobs if job.output]
    places = {job: place for place, job in enumerate(jobs)}
    return [_planned(job, dag, places, results) for job in jobs]


def _planned(job: Any, dag: Any, places: Mapping[Any, int], results: str) -> PlannedJob:
    runs, record = dag.needrun(job), _record(str(job.output[0]), results)
    waits = tuple(places[other] for other in dag.dependencies[job] if other in places and dag.needrun(other))
    changes = tuple(changed(record.params, recorded_params(job.params, results))) if runs and record else ()
    return PlannedJob(job.rule.name, job.wildcards, tuple(map(str, job.output)), runs, waits, record, changes)


def _record(output: str, results: str) -> Record | None:
    place = record_path(output, results)
    try:
        return read_record(place) if place and place.exists() and Path(output).exists() else None
    except DataError:
        return None


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What differs between the params of a job, setting by setting: ``learning_rate 0.0005 → 0.001``.

    Args:
        before: as its record has them.
        now: as ``recorded_params`` has them.
    """
    found = list(_differences(before, now))
    settings = [each for each in found if not _are_files(each[1]) or not _are_files(each[2])]
    for path, old, new in settings or found:  # files that differ follow from a setting, where one differs
        name = ".".join(part for part in path[1:] if part != "settings") or path[0]
        if any(isinstance(value, str) and _DIGEST.fullmatch(value) for value in (old, new)):
            yield "its code" if path[0] == "code" else name
        else:
            yield f"{name} {_shown(old)} → {_shown(new)}"


def _are_files(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and "/" in each for each in value)


def _differences(before: Any, now: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Path, old and new value of each leaf that differs."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys((*before, *now)):
            yield from _differences(before.get(name, _ABSENT), now.get(name, _ABSENT), (*path, name))
    elif before != now:
        yield path, before, now


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= _LONGEST:
        return text
    return f"{len(value)} entries" if isinstance(value, (list, Mapping)) else f"{text[: _LONGEST - 1]}…"
