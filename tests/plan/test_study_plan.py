"""What a study is said to make and to cost, from jobs that Snakemake has planned."""

from __future__ import annotations

import dataclasses
import math
import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2h.config import load_config
from s2h.overlays import merge, read_values
from s2h.plan.costs import Cost, wall_seconds
from s2h.plan.plan import Plan
from s2h.plan.planned_jobs import STAGE_OF, PlannedJob, changed
from s2h.plan.study_plan import plan_lines
from s2h.provenance.records import Record
from tests.shipped import ROOT


def plan_of(*overlays: str, **changes: Any) -> Plan:
    return Plan(load_config(merge(read_values(*overlays), changes)), ROOT / "workflow/scripts")


def jobs_of(plan: Plan, *, runs: bool = True) -> list[PlannedJob]:
    """The trainings of a plan and the decoding of each run, which waits for its last."""
    jobs: list[PlannedJob] = []
    for run in plan.config.all_runs():
        names = {name: str(value) for name, value in dataclasses.asdict(run).items()}
        waits: tuple[int, ...] = ()
        for phase in range(1, len(plan.training.models_of(run)) + 1):
            wildcards = SimpleNamespace(**names, phase=str(phase))
            jobs.append(PlannedJob("train_phase", wildcards, (), runs, waits if runs else (), None))
            waits = (len(jobs) - 1,)
        jobs.append(PlannedJob("decode_predictions", SimpleNamespace(**names), (), runs, waits if runs else (), None))
    return jobs


def lines_of(plan: Plan, jobs: list[PlannedJob], cores: int | None = 2, gpus: int | None = None) -> list[str]:
    return list(plan_lines(jobs, plan, cores=cores, gpus=gpus))


def row(lines: list[str], stage: str) -> list[str]:
    (found,) = [line for line in lines if line.startswith(f"{stage} ")]
    return found.removeprefix(stage).split()


def test_every_rule_belongs_to_a_stage() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    blocks = re.split(r"^(?=rule |use rule )", text, flags=re.MULTILINE)[1:]
    rules = {re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)", block)[0] for block in blocks if "    output:\n" in block}
    assert rules <= STAGE_OF.keys()
    assert STAGE_OF.keys() - rules <= {"verify"}


def test_the_papers_study_says_its_gpu_hours_time_and_disk() -> None:
    plan = plan_of("paper", results="nowhere/paper")
    lines = lines_of(plan, jobs_of(plan))
    assert lines[0] == "Plan of nowhere/paper: 112 runs, of which 112 train; 240 jobs to do"
    assert row(lines, "training") == ["128", "0", "2,614", "0"]
    text = "\n".join(lines)
    assert re.search(
        r"^Time: about 14 d \d+ h on 8 GPUs, or 1 d \d+ h on 64 GPUs, with 2 cores for the rest$", text, re.M
    )
    assert "keeps 128 trained models, about 1.08 TB" in text
    assert "by a rule of thumb, on H100s or cores, for qwen2.5-vl-3b, qwen2.5-vl-7b (decoding, training)" in text
    assert re.search(r"^Time: about \d d \d+ h on 128 GPUs", "\n".join(lines_of(plan, jobs_of(plan), gpus=128)), re.M)
    too_few = "\n".join(lines_of(plan, jobs_of(plan), gpus=4))
    assert "A job asks for 8 GPUs (models.*.resources), and 4 are here." in too_few
    assert "on 8 GPUs, or" in too_few


def test_where_all_is_done_nothing_is_reckoned() -> None:
    plan = plan_of()
    assert lines_of(plan, jobs_of(plan, runs=False))[1:] == ["Everything is there: 12 jobs are done."]


def record(seconds: float, fetched: str = "") -> Record:
    return Record("", "", {}, {}, "", {}, {}, {"seconds": seconds}, fetched)


def test_what_ran_here_says_how_long_the_same_model_takes() -> None:
    plan = plan_of()
    jobs = jobs_of(plan)
    guessed = float(row(lines_of(plan, jobs), "training")[-1])
    first = jobs.index(next(job for job in jobs if job.rule == "train_phase"))
    jobs[first] = dataclasses.replace(jobs[first], runs=False, record=record(1950))  # ten times what is expected
    lines = lines_of(plan, [dataclasses.replace(job, waits=()) for job in jobs])
    assert float(row(lines, "training")[-1]) == pytest.approx(guessed * 5 / 6 * 10, rel=0.05)
    assert "for tiny-reader (decoding), as none of that has run here" in lines[-1]
    jobs[first] = dataclasses.replace(jobs[first], record=record(1950, fetched="/a/cache"))  # of another machine
    lines = lines_of(plan, [dataclasses.replace(job, waits=()) for job in jobs])
    assert float(row(lines, "training")[-1]) == pytest.approx(guessed * 5 / 6, rel=0.05)


def test_reasons_are_counted_by_stage_and_setting_and_what_follows_is_summed_up() -> None:
    plan = plan_of()
    jobs = [
        dataclasses.replace(
            job,
            record=record(1),
            changes=("learning_rate 0.0005 → 0.001",) if job.rule == "train_phase" else (),
        )
        for job in jobs_of(plan)
    ]
    lines = lines_of(plan, jobs)
    place = lines.index("Made again (12 jobs), because of:")
    assert lines[place + 1 : place + 3] == [
        "  training (6): learning_rate 0.0005 → 0.001",
        "  what follows from these: decoding (6)",
    ]


def test_replies_that_are_paid_are_counted() -> None:
    model = {
        "source": {
            "kind": "endpoint",
            "url": "http://localhost:1/v1",
            "name": "x",
            "price": {"input": 1, "output": 10},
            "spending_limit": 5,
        },
        "scoring": {"max_new_tokens": 1000},
    }
    runs = [
        {
            "tasks": ["consecutive_table_readout"],
            "recipes": ["untrained"],
            "budgets": [0],
            "models": ["asked"],
        }
    ]
    plan = plan_of(models={"asked": model}, runs=runs)
    text = "\n".join(lines_of(plan, jobs_of(plan)))
    assert "Paid: up to 1,200 replies of asked, at most 12.00 USD, and the prompts; spending_limit 5.00 USD" in text


def trained(**settings: Any) -> dict[str, Any]:
    return {"spec": {"settings": settings, "frozen": []}, "title": "train"}


def drawn(steps: list[int]) -> dict[str, Any]:
    return {"settings": {"levels": {"HARD": {"steps": steps}}}, "span": [0, 5]}


def shards(count: int) -> dict[str, Any]:
    return {"shards": [f"results/puzzles/{shard}" for shard in range(count)]}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (trained(learning_rate=5e-4), trained(learning_rate=1e-3), "learning_rate 0.0005 → 0.001"),
        (trained(lora=None), trained(lora={"rank": 8}), 'lora null → {"rank": 8}'),
        (drawn([8, 14]), drawn([8, 15]), "levels.HARD.steps [8, 14] → [8, 15]"),
        ({"budget": 100}, {"budget": 200}, "budget 100 → 200"),
        ({"seed": 0}, {"seed": 0, "epochs": 2}, "epochs none → 2"),
        ({"code": "0123456789abcdef"}, {"code": "fedcba9876543210"}, "its code"),
        (shards(9), shards(10), "shards 9 entries → 10 entries"),
        (shards(9) | {"puzzles": 90}, shards(10) | {"puzzles": 99}, "puzzles 90 → 99"),
    ],
)
def test_a_change_is_said_by_its_setting(before: dict[str, Any], now: dict[str, Any], said: str) -> None:
    assert list(changed(before, now)) == [said]
    assert not list(changed(now, now))


def test_what_waits_starts_when_it_can_and_no_more_runs_than_there_is_room_for() -> None:
    costs = {0: Cost(10), 1: Cost(10), 2: Cost(5, gpus=2), 3: Cost(5, gpus=2)}
    waits: dict[int, tuple[int, ...]] = {0: (), 1: (), 2: (0,), 3: (0,)}
    assert wall_seconds(costs, waits) == 15
    assert wall_seconds(costs, waits, gpus=2) == 20
    assert wall_seconds(costs, waits, cores=1) == 20  # the job that others wait for goes first
    assert wall_seconds({0: Cost(3, cores=4)}, {0: ()}, cores=2) == 3  # as Snakemake scales threads down


@st.composite
def studies(draw: st.DrawFn) -> tuple[dict[int, Cost], dict[int, tuple[int, ...]]]:
    count = draw(st.integers(1, 12))
    cost = st.builds(Cost, st.integers(1, 50), st.integers(1, 3), st.sampled_from([0, 0, 1, 4]))
    waits = {job: tuple(draw(st.sets(st.integers(0, job - 1), max_size=3))) if job else () for job in range(count)}
    return {job: draw(cost) for job in range(count)}, waits


@given(study=studies(), cores=st.integers(1, 4), gpus=st.integers(4, 8))
def test_time_is_no_less_than_the_work_needs_and_no_more_than_one_after_the_other(
    study: tuple[dict[int, Cost], dict[int, tuple[int, ...]]], cores: int, gpus: int
) -> None:
    costs, waits = study
    time = wall_seconds(costs, waits, cores=cores, gpus=gpus)
    ends: dict[int, float] = {}
    for job in costs:
        ends[job] = costs[job].seconds + max((ends[other] for other in waits[job]), default=0)
    on_gpus = sum(cost.seconds * cost.gpus for cost in costs.values())
    on_cores = sum(cost.seconds * min(cost.cores, cores) for cost in costs.values() if not cost.gpus)
    assert time >= max(*ends.values(), on_gpus / gpus, on_cores / cores) - 1e-9
    assert time <= sum(cost.seconds for cost in costs.values())
    assert wall_seconds(costs, waits, cores=math.inf, gpus=math.inf) == max(ends.values())
