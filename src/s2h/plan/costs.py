"""What the jobs of a study cost: GPUs, cores and time, and how long they take together.

Times are those expected of the model's size (``s2h.models.resources``), scaled by what jobs of the same rule and model
took here, as their records tell.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

from s2h.models.resources import alignment_seconds, decoding_seconds, training_seconds
from s2h.plan.plan import Plan
from s2h.plan.planned_jobs import PlannedJob

_SHARD_SECONDS = 1 / 1000  # of a core for each puzzle that is made or checked: docs/benchmarks.md
_OTHER_SECONDS = 5  # of any other job
_REPLY_SECONDS = 3  # of a model that is asked elsewhere

Timing = tuple[str, str]
"""A rule and a model, whose jobs are timed together; "" for a rule whose jobs have no model."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """What a job takes.

    Attributes:
        seconds: how long it is expected to run.
        cores: of the machine; those that go with a GPU are not counted.
        gpus: on all nodes.
    """

    seconds: float
    cores: int = 1
    gpus: int = 0

    def need(self, cores: float) -> tuple[float, int]:
        """Cores, of those that are there at all, and GPUs."""
        return (0, self.gpus) if self.gpus else (min(self.cores, cores), 0)

    @property
    def gpu_hours(self) -> float:
        """Hours of one GPU."""
        return self.seconds * self.gpus / 3600

    @property
    def cpu_hours(self) -> float:
        """Hours of one core; none for a job on GPUs."""
        return 0.0 if self.gpus else self.seconds * self.cores / 3600


def cost_of(job: PlannedJob, plan: Plan) -> Cost:
    """What a job takes, by the size of its model and of its data alone."""
    of_rule = {
        "train_phase": _training,
        "pretrain_base_model": _training,
        "measure_alignment": _alignment,
        "decode_predictions": _decoding,
        "make_puzzles": _shard,
        "check_puzzles": _shard,
    }
    return of_rule[job.rule](job, plan) if job.rule in of_rule else Cost(_OTHER_SECONDS)


def _training(job: PlannedJob, plan: Plan) -> Cost:
    planned = plan.training.planned(job.wildcards)
    request = plan.training.request(job.wildcards, 1)
    seconds = training_seconds(plan.config.models[planned.model], examples=planned.examples)
    return Cost(seconds, request.cpus * request.nodes, request.gpus * request.nodes)


def _alignment(job: PlannedJob, plan: Plan) -> Cost:
    request = plan.alignment.request(job.wildcards, 1)
    model, examples = plan.config.models[job.wildcards.model], plan.alignment.examples(job.wildcards)
    return Cost(alignment_seconds(model, examples=examples), request.cpus, request.gpus)


def _decoding(job: PlannedJob, plan: Plan) -> Cost:
    model, prompts = plan.config.models[job.wildcards.model], plan.scoring.prompts(job.wildcards)
    if not model.source.has_weights:
        return Cost(prompts * _REPLY_SECONDS / getattr(model.source, "connections", 1))
    request = plan.scoring.request(job.wildcards, 1)
    return Cost(decoding_seconds(model, examples=prompts), request.cpus, request.gpus)


def _shard(job: PlannedJob, plan: Plan) -> Cost:
    start, end = plan.puzzles.span(job.wildcards)
    return Cost(1 + (end - start) * _SHARD_SECONDS)


def measured_factors(jobs: Sequence[PlannedJob], plan: Plan) -> dict[Timing, float]:
    """How many times as long as expected the jobs of a rule and model took, of those that have run here."""
    took: dict[Timing, float] = defaultdict(float)
    expected: dict[Timing, float] = defaultdict(float)
    for job in jobs:
        if job.record and not job.record.fetched:
            took[timing(job)] += job.record.job["seconds"]
            expected[timing(job)] += cost_of(job, plan).seconds
    return {each: took[each] / expected[each] for each in took}


def timing(job: PlannedJob) -> Timing:
    """With which others a job is timed."""
    return job.rule, getattr(job.wildcards, "model", "")


def wall_seconds(
    costs: Mapping[int, Cost], waits: Mapping[int, Sequence[int]], *, cores: float = math.inf, gpus: float = math.inf
) -> float:
    """How long jobs take together that start as soon as there is room, those first on which most work waits.

    Args:
        costs: of the jobs; each takes all cores where it asks for more than there are.
        waits: for each job those that it waits for.
        cores: that are there, beside those that come with the GPUs.
        gpus: that are there: no fewer than a job asks for.
    """
    all_cores, ahead, sorter = cores, _work_ahead(costs, waits), TopologicalSorter(waits)
    sorter.prepare()
    queues: dict[tuple[float, int], list[tuple[float, int]]] = defaultdict(list)
    running: list[tuple[float, int, tuple[float, int]]] = []
    now = 0.0
    while sorter.is_active():
        for job in sorter.get_ready():
            heapq.heappush(queues[costs[job].need(all_cores)], (-ahead[job], job))
        for (asked_cores, asked_gpus), queue in queues.items():
            while queue and asked_cores <= cores and asked_gpus <= gpus:
                cores, gpus = cores - asked_cores, gpus - asked_gpus
                _, job = heapq.heappop(queue)
                heapq.heappush(running, (now + costs[job].seconds, job, (asked_cores, asked_gpus)))
        now, job, (freed_cores, freed_gpus) = heapq.heappop(running)
        cores, gpus = cores + freed_cores, gpus + freed_gpus
        sorter.done(job)
    return now


def _work_ahead(costs: Mapping[int, Cost], waits: Mapping[int, Sequence[int]]) -> dict[int, float]:
    """Seconds of each job and of the longest chain of jobs after it."""
    ahead = dict.fromkeys(costs, 0.0)
    for job in reversed([*TopologicalSorter(waits).static_order()]):
        ahead[job] += costs[job].seconds  # by now the longest chain after it
        for other in waits[job]:
            ahead[other] = max(ahead[other], ahead[job])
    return ahead
