"""``snakemake --profile slurm`` on a real SLURM: ``python -m pytest -m cluster tests/cluster``.

Not part of the usual tests: it needs root, and SLURM's daemons (Debian: slurmctld slurmd slurm-client munge). About
twenty-five minutes on two cores.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import yaml
from safetensors.torch import load_file

from s2h.overlays import merge, read_values
from tests.cluster.local_slurm import GPUS, NODES, describe_job, kill_node, local_slurm, missing, start_node
from tests.shipped import copy_project

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(missing()), reason=missing())]
PROFILE = ["--profile", "slurm", "--latency-wait", "5"]
WITHOUT_ACCOUNTING = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "6"]
SETS = [f"results/puzzles/visual_analogy/{level}/eval/shard-00000.parquet" for level in ("SIMPLE", "HARD")]
RUN = "grid_navigation/mix/{budget}/tiny/0"
ON_GPUS = {"models": {"tiny": {"resources": {"params_b": 0.001, "gpus": 2, "cpus": 1, "decoding_gpus": 1}}}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("slurm")
    with local_slurm(folder):
        yield folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The project as a clone has it."""
    copy_project(tmp_path)
    return tmp_path


def configure(checkout: Path, *, recipe: str = "mix", budget: int = 48, **changes: Any) -> None:
    grid = {"tasks": ["grid_navigation"], "recipes": [recipe], "budgets": [budget], "models": ["tiny"], "seeds": [0]}
    values = merge(merge(merge(read_values("smoke"), {"runs": [grid]}), ON_GPUS), changes)
    (checkout / "config/small.yaml").write_text(yaml.safe_dump(values))


def command(*words: str, config: str = "small") -> list[str]:
    return ["snakemake", *words, *PROFILE, "--configfile", f"config/{config}.yaml", *WITHOUT_ACCOUNTING]


def environment(checkout: Path) -> dict[str, str]:
    """Jobs inherit it; what they compute on the GPUs that are pretended, they compute on the CPU."""
    return {**os.environ, "PYTHONPATH": str(checkout / "src"), "S2H_FAKE_GPUS": str(GPUS)}


def snakemake(checkout: Path, *words: str, config: str = "small") -> str:
    run = subprocess.run(
        command(*words, config=config),
        cwd=checkout,
        env=environment(checkout),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stderr


def submitted(printed: str) -> dict[str, list[str]]:
    """Numbers of the SLURM jobs by rule, or by the rules of a group."""
    found: dict[str, list[str]] = {}
    for number, rule in re.findall(r"SLURM jobid (\d+) \(log: .*?slurm_logs/(?:rule_)?(\w+)/", printed):
        found.setdefault(rule, []).append(number)
    return found


def job_table(jobs: dict[str, list[str]]) -> str:
    """The jobs of a run with what each asked for, as Markdown."""
    lines = [
        "| rule | SLURM job | CPUs | memory | GPUs | nodes | limit |",
        "| --- | --: | --: | --: | --- | --: | --: |",
    ]
    for rule, numbers in jobs.items():
        for number in numbers:
            job = describe_job(number)
            gpus = job.get("TresPerNode", "none").removeprefix("gres:")
            asked = [job["NumCPUs"], job["MinMemoryNode"], gpus, job["NumNodes"], job["TimeLimit"]]
            lines.append(f"| {' | '.join([rule, number, *asked])} |")
    return "\n".join(lines)


def weights(checkout: Path, budget: int = 48) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(
        checkout / f"results/models/{RUN.format(budget=budget)}/phase-1/model.safetensors"
    )
    return found


def test_two_nodes_are_there_and_a_job_sees_the_gpus_that_it_asked_for(cluster: Path) -> None:
    nodes = subprocess.run(
        ["sinfo", "-h", "-N", "-p", "cpu", "-o", "%N %G"], capture_output=True, text=True, check=True
    )
    assert nodes.stdout.split("\n")[:-1] == [f"node{n} gpu:{GPUS}" for n in range(1, NODES + 1)]
    seen = cluster / "seen"
    command = ["sbatch", "--wait", "--gres=gpu:2", f"--output={seen}", "--wrap", "echo $CUDA_VISIBLE_DEVICES"]
    subprocess.run(command, check=True)
    assert seen.read_text() == "0,1\n"


@pytest.mark.usefixtures("cluster")
def test_puzzles_made_through_slurm_are_those_made_here_and_come_in_few_jobs(checkout: Path) -> None:
    printed = snakemake(checkout, *SETS, config="smoke")
    assert sum(map(len, submitted(printed).values())) == 1
    through_slurm = [(checkout / path).read_bytes() for path in SETS]
    shutil.rmtree(checkout / "results")
    subprocess.run(
        ["snakemake", *SETS, "--configfile", "config/smoke.yaml"],
        cwd=checkout,
        env=environment(checkout),
        capture_output=True,
        check=True,
    )
    assert [(checkout / path).read_bytes() for path in SETS] == through_slurm


@pytest.mark.usefixtures("cluster")
def test_a_study_runs_as_slurm_jobs_and_gpus_go_to_training_and_decoding_alone(checkout: Path) -> None:
    configure(checkout)
    jobs = submitted(snakemake(checkout))
    assert {name: len(numbers) for name, numbers in jobs.items()} == {
        "group_shards_check_puzzles_make_puzzles": 1,
        "group_sets_build_base_model": 1,
        "group_sets_make_mixture_measure_baselines_validate_puzzles": 1,
        "train_phase": 1,
        "decode_predictions": 1,
        "measure_alignment": 1,
        "group_scores_draw_failures_score_model": 1,
        "group_report_draw_figure_make_recipe_table_make_table_write_overview": 1,
    }
    print(job_table(jobs))
    gpus = {"train_phase": "gres:gpu:2", "decode_predictions": "gres:gpu:1", "measure_alignment": "gres:gpu:1"}
    for rule, (number,) in jobs.items():
        job = describe_job(number)
        assert job["JobState"] == "COMPLETED"
        assert job.get("TresPerNode") == gpus.get(rule), rule
    record = json.loads((checkout / f"results/provenance/models/{RUN.format(budget=48)}/phase-1.json").read_text())
    assert record["job"]["slurm_job"] == jobs["train_phase"][0]
    assert pl.read_csv(checkout / "results/tables/summary.csv").height == 4
    assert (checkout / "results/report/overview.html").is_file()


@pytest.mark.usefixtures("cluster")
def test_a_training_killed_at_its_time_limit_comes_back_with_more_and_goes_on(checkout: Path) -> None:
    slow = {"text_width": 256, "text_layers": 8, "intermediate_size": 1024}
    levels = {"levels": {"SIMPLE": {"train": 700}}}
    configure(
        checkout,
        budget=1920,
        models={"tiny": {"source": slow, "training": {"micro_batch_size": 1}}},
        tasks={"grid_navigation": levels},
        shard_size={"train": 700, "eval": 8},
    )
    limit = "train_phase:runtime=attempt"  # minutes
    model = f"results/models/{RUN.format(budget=1920)}/phase-1"
    numbers = submitted(snakemake(checkout, model, "--set-resources", limit))["train_phase"]
    ended = [describe_job(number) for number in numbers]
    states = [(job["TimeLimit"], job["JobState"]) for job in ended]
    assert states[0] == ("00:01:00", "TIMEOUT")
    assert states[-1] == (f"00:0{len(states)}:00", "COMPLETED")
    manifest = json.loads((checkout / model / "manifest.json").read_text())
    assert 0 < manifest["resumed_at_step"] < manifest["steps"]


@pytest.mark.usefixtures("cluster")
def test_a_job_killed_for_its_memory_comes_back_with_more(checkout: Path) -> None:
    limit = "make_puzzles:mem_mb=130*attempt*attempt"
    printed = snakemake(checkout, SETS[0], "--set-resources", limit, config="smoke")
    (numbers,) = submitted(printed).values()
    ended = [describe_job(number) for number in numbers]
    assert len(numbers) > 1
    assert [job["JobState"] == "COMPLETED" for job in ended] == [False] * (len(numbers) - 1) + [True]
    assert [job["MinMemoryNode"] for job in ended] == [f"{130 * (i + 1) ** 2}M" for i in range(len(numbers))]


@pytest.mark.usefixtures("cluster")
def test_a_partition_that_is_not_there_is_refused_before_anything_is_submitted(checkout: Path) -> None:
    words = command(SETS[0], "--default-resources", "slurm_partition=gpux", config="smoke")
    run = subprocess.run(words, cwd=checkout, env=environment(checkout), capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "(--partition=gpux); nothing was submitted. It says:\n  sbatch: error: invalid partition" in run.stderr
    assert not submitted(run.stderr)


@pytest.mark.usefixtures("cluster")
def test_what_a_job_without_accounting_was_killed_for_is_said_in_the_terminal(checkout: Path) -> None:
    words = command(SETS[0], "--retries", "0", "--set-resources", "make_puzzles:mem_mb=100", config="smoke")
    run = subprocess.run(words, cwd=checkout, env=environment(checkout), capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert ": it took more memory than it asked for (mem_mb" in run.stderr


@pytest.mark.usefixtures("cluster")
def test_two_nodes_train_the_same_weights_as_one(checkout: Path) -> None:
    model = f"results/models/{RUN.format(budget=48)}/phase-1"
    found, losses = [], []
    for nodes, gpus in ((1, 4), (2, 2)):
        resources = {"params_b": 0.001, "gpus": gpus, "cpus": 1, "nodes": nodes, "decoding_gpus": 1}
        configure(checkout, models={"tiny": {"resources": resources}})
        shutil.rmtree(checkout / model, ignore_errors=True)
        (number,) = submitted(snakemake(checkout, model))["train_phase"]
        assert describe_job(number)["NumNodes"] == str(nodes)
        assert json.loads((checkout / model / "manifest.json").read_text())["processes"] == 4
        found.append(weights(checkout))
        lines = (checkout / model / "metrics.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in lines])
    log = (checkout / f"results/logs/train_phase/{RUN.format(budget=48)}/phase-1.log").read_text()
    assert "on 4 processes of the nodes node1, node2" in log
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, one in found[0].items():
        assert torch.allclose(one, found[1][name], rtol=1e-3, atol=1e-5), name


def start(checkout: Path, target: str) -> subprocess.Popen[bytes]:
    """Start a workflow; what it prints goes to the file ``printed``."""
    with (checkout / "printed").open("a") as printed:
        return subprocess.Popen(command(target), cwd=checkout, env=environment(checkout), stderr=printed)


def wait_for(path: Path, workflow: subprocess.Popen[bytes], checkout: Path) -> None:
    while not path.exists():
        assert workflow.poll() is None, (checkout / "printed").read_text()[-2000:]
        time.sleep(0.1)


def queue() -> list[str]:
    """Nodes of the jobs that run or wait."""
    asked = subprocess.run(["squeue", "-h", "-t", "R,PD", "-o", "%i %N"], capture_output=True, text=True, check=True)
    return asked.stdout.splitlines()


def test_a_node_dies_and_its_job_goes_on_elsewhere(cluster: Path, checkout: Path) -> None:
    configure(checkout)
    model = f"results/models/{RUN.format(budget=48)}/phase-1"
    workflow = start(checkout, model)
    wait_for(checkout / f"results/logs/train_phase/{RUN.format(budget=48)}/phase-1.log", workflow, checkout)
    number = int(queue()[0].rpartition("node")[2])
    kill_node(cluster, number)
    try:
        assert workflow.wait(400) == 0, (checkout / "printed").read_text()[-3000:]
    finally:
        start_node(cluster, number)
    assert weights(checkout)


@pytest.mark.usefixtures("cluster")
def test_ctrl_c_empties_the_queue_and_a_killed_workflow_leaves_its_job_to_the_next(checkout: Path) -> None:
    configure(checkout)
    model, log = (f"results/{where}/{RUN.format(budget=48)}/phase-1" for where in ("models", "logs/train_phase"))
    interrupted = start(checkout, model)
    wait_for(checkout / f"{log}.log", interrupted, checkout)
    interrupted.send_signal(signal.SIGINT)
    interrupted.wait(120)
    time.sleep(3)
    assert queue() == []
    (checkout / f"{log}.log").unlink()
    killed = start(checkout, model)
    wait_for(checkout / f"{log}.log", killed, checkout)
    killed.kill()
    killed.wait()
    assert len(queue()) == 1
    subprocess.run(command("--unlock"), cwd=checkout, env=environment(checkout), capture_output=True, check=True)
    snakemake(checkout, model)
    assert "another job has produced this result meanwhile" in (checkout / f"{log}.log").read_text()
    assert queue() == []
