"""The plan of a study in thirty lines: what is made, why, and what it costs.

``s2h plan`` prints it, and so does the end of ``snakemake -n``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from s2h.models.sources import EndpointSource
from s2h.plan import PLAN_HEAD
from s2h.plan.costs import Cost, Timing, cost_of, measured_factors, timing, wall_seconds
from s2h.plan.plan import Plan
from s2h.plan.planned_jobs import STAGE_OF, STAGES, PlannedJob, planned_jobs
from s2h.provenance.cache import KEPT

_OF_MODELS = ("pretrain_base_model", "train_phase", "measure_alignment", "decode_predictions")
_MOST_REASONS = 8
_MORE_GPUS = 8  # times the least GPUs, for a second wall time


def print_plan(workflow: Any, plan: Plan) -> None:
    """Print the plan at the end of a dry run; nothing at the end of anything else.

    Args:
        workflow: Snakemake's.
        plan: of the same config.
    """
    if workflow.scheduler and workflow.dryrun:  # no scheduler: the DAG could not be built
        jobs = planned_jobs(workflow.dag, plan.config.results)
        limits = {name: resource.value for name, resource in workflow.global_resources.items()}
        print("", *plan_lines(jobs, plan, cores=limits.get("_cores"), gpus=limits.get("gpus")), sep="\n")


def plan_lines(jobs: Sequence[PlannedJob], plan: Plan, *, cores: int | None, gpus: int | None) -> Iterator[str]:
    """Lines for a person.

    Args:
        jobs: all of the workflow.
        plan: of the same config.
        cores: that jobs may use at once; None for any number, as on a cluster.
        gpus: that jobs may use at once; None where that is not known.
    """
    to_do = {place: job for place, job in enumerate(jobs) if job.runs}
    runs, trained = len(plan.config.all_runs()), len(plan.training.trained_runs())
    yield f"{PLAN_HEAD}{plan.config.results}: {runs:,} runs, of which {trained:,} train; {len(to_do):,} jobs to do"
    if not to_do:
        yield f"Everything is there: {len(jobs):,} jobs are done."
        return
    factors = measured_factors(jobs, plan)
    costs = {place: _scaled(job, plan, factors) for place, job in to_do.items()}
    yield ""
    yield from _table(jobs, costs)
    yield from _reasons(jobs)
    yield ""
    yield from _wall_time(to_do, costs, cores=cores, gpus=gpus)
    yield from (f"Disk: {line.removeprefix('s2h: ')}" for line in plan.weights.disk_report())
    yield from _replies(to_do.values(), plan)
    yield from _kept(to_do.values(), plan)
    yield _source_of_times(to_do.values(), factors)


def _scaled(job: PlannedJob, plan: Plan, factors: Mapping[Timing, float]) -> Cost:
    cost = cost_of(job, plan)
    return Cost(cost.seconds * factors.get(timing(job), 1.0), cost.cores, cost.gpus)


def _table(jobs: Sequence[PlannedJob], costs: Mapping[int, Cost]) -> Iterator[str]:
    """A row for each stage that has jobs, and their sum."""
    row = "{:<24}{:>9}{:>9}{:>12}{:>12}".format
    yield row("stage", "to do", "done", "GPU-hours", "CPU-hours")
    for stage in dict.fromkeys((*STAGES, *(job.stage for job in jobs), "all")):
        places = [place for place, job in enumerate(jobs) if stage in (job.stage, "all")]
        found = [costs[place] for place in places if place in costs]
        if places:
            gpu_hours, cpu_hours = sum(cost.gpu_hours for cost in found), sum(cost.cpu_hours for cost in found)
            done = len(places) - len(found)
            yield row(stage, f"{len(found):,}", f"{done:,}", _hours(gpu_hours), _hours(cpu_hours))


def _reasons(jobs: Sequence[PlannedJob]) -> Iterator[str]:
    """Why what is there is made again: the settings that have changed, and how many jobs only follow from them."""
    repeated = [job for job in jobs if job.is_repeated]
    if not repeated:
        return
    changes = Counter((job.stage, change) for job in repeated for change in job.changes)
    followers = Counter(job.stage for job in repeated if not job.changes and job.waits)
    others = Counter(job.stage for job in repeated if not job.changes and not job.waits)
    lines = [f"  {stage} ({count:,}): {change}" for (stage, change), count in changes.most_common()]
    lines += [f"  {stage} ({count:,}): an input is newer, or it was asked for" for stage, count in others.items()]
    yield ""
    yield f"Made again ({len(repeated):,} jobs), because of:"
    yield from lines[:_MOST_REASONS]
    if len(lines) > _MOST_REASONS:
        yield f"  and {len(lines) - _MOST_REASONS:,} more"
    if followers:
        yield f"  what follows from these: {', '.join(f'{stage} ({count:,})' for stage, count in followers.items())}"


def _wall_time(
    to_do: Mapping[int, PlannedJob], costs: Mapping[int, Cost], *, cores: int | None, gpus: int | None
) -> Iterator[str]:
    """How long it takes with the GPUs that there are; where they are too few, or not known, with some numbers."""
    waits = {place: job.waits for place, job in to_do.items()}
    least = max(cost.gpus for cost in costs.values())
    if gpus is not None and gpus < least:
        yield f"A job asks for {least:,} GPUs (models.*.resources), and {gpus:,} are here."
    numbers = [gpus] if gpus is not None and gpus >= least else [least, least * _MORE_GPUS]
    room = {"cores": cores or math.inf}
    if not least:
        yield f"Time: about {_duration(wall_seconds(costs, waits, **room))}{f' on {cores:,} cores' if cores else ''}"
        return
    times = [f"{_duration(wall_seconds(costs, waits, gpus=number, **room))} on {number:,} GPUs" for number in numbers]
    yield f"Time: about {', or '.join(times)}{f', with {cores:,} cores for the rest' if cores else ''}"


def _replies(jobs: Iterable[PlannedJob], plan: Plan) -> Iterator[str]:
    """For each model behind an API, how many replies are paid, and at most how much."""
    prompts: Counter[str] = Counter()
    for job in jobs:
        if job.rule == "decode_predictions":
            prompts[job.wildcards.model] += plan.scoring.prompts(job.wildcards)
    for name, count in prompts.items():
        model = plan.config.models[name]
        if isinstance(source := model.source, EndpointSource):
            usd = source.price.usd(0, count * model.scoring.max_new_tokens) if source.price else None
            price = (
                "a price that its source does not say" if usd is None else f"at most {usd:,.2f} USD, and the prompts"
            )
            limit = "" if source.spending_limit is None else f"; spending_limit {source.spending_limit:,.2f} USD"
            yield f"Paid: up to {count:,} replies of {name}, {price}{limit} (s2h replies estimate counts the tokens)"


def _kept(jobs: Iterable[PlannedJob], plan: Plan) -> Iterator[str]:
    """Whether some of it may be there under other settings, which the jobs find out."""
    kept = (Path(plan.config.results) / KEPT).is_dir()
    if (kept or plan.config.cache) and any(job.rule in _OF_MODELS and job.is_repeated for job in jobs):
        yield "Less where a setting is changed back: what is kept (s2h kept, cache in the config) is not made again"


def _source_of_times(jobs: Iterable[PlannedJob], factors: Mapping[Timing, float]) -> str:
    """Where the times of models come from."""
    timings = {timing(job) for job in jobs if job.rule in _OF_MODELS}
    guessed = sorted(each for each in timings if each not in factors)
    if not guessed:
        return "Times: as jobs of the same models took here."
    models = ", ".join(dict.fromkeys(name for _, name in guessed))
    stages = ", ".join(dict.fromkeys(STAGE_OF[rule] for rule, _ in guessed))
    return f"Times: by a rule of thumb, on H100s or cores, for {models} ({stages}), as none of that has run here"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2f}" if hours >= 0.005 else "0"


def _duration(seconds: float) -> str:
    """A time in its largest unit, days and hours with the next one."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{math.ceil(seconds)} s"
