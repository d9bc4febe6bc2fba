"""Each kind of harm, done once to a study; afterwards the study is finished by the usual command."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.study import RUN, STAGES, TABLE, TASK, Study, family, kill, wait_until

TORN = {
    "puzzle shard": f"puzzles/{TASK}/SIMPLE/train/shard-00000.parquet",
    "check": f"checks/{TASK}/SIMPLE/train/shard-00000.parquet",
    "mixture": f"mixtures/{RUN.replace('/tiny', '')}/phase-2.parquet",
    "model": f"models/{RUN}/phase-2/model.safetensors",
    "predictions": f"predictions/{RUN}.parquet",
    "scores": f"scores/{RUN}.parquet",
}
"""A file of each kind that later stages read."""


_SECONDS = {"train_phase": 6.0, "decode_predictions": 2.0, "score_model": 1.5}
"""How long jobs of a stage run at least; of all other stages the time that their imports take."""


def strike(study: Study, stage: str, victim: str, seed: int) -> None:
    """Start the workflow and strike at a random moment while a job of a stage runs.

    Args:
        study: what is harmed; its stage is not done yet.
        stage: name of its rule.
        victim: ``interrupt`` (Ctrl-C), ``everything`` (kill -9 of the workflow and its jobs), ``workflow`` (kill -9 of
            Snakemake alone, whose job goes on), or ``job`` (kill -9 of the job's process).
        seed: of the moment.
    """
    workflow = study.start()
    wait_until(lambda: study.job_of(stage), workflow)
    time.sleep(random.Random(f"{stage}/{victim}/{seed}").random() * _SECONDS.get(stage, 0.15))
    wait_until(lambda: study.job_of(stage), workflow)  # the stage is hit, or this fails
    if victim == "interrupt":
        os.killpg(workflow.pid, signal.SIGINT)
    elif victim == "everything":
        kill(family(workflow.pid))
    elif victim == "workflow":
        os.kill(workflow.pid, signal.SIGKILL)
    else:
        kill([job for job in [study.job_of(stage)] if job])
    if victim == "workflow":
        workflow.wait()  # its job holds the pipe
    else:
        workflow.communicate(timeout=300)


def strike_every_stage(study: Study, victim: str) -> Iterator[str]:
    """Strike once at each stage of a study that goes on after every strike; gives the stage that was hit."""
    for seed, stage in enumerate(STAGES):
        study.unlock()
        if stage == "build_base_model":  # it waits for nothing, so it was made, or even trained, beside those before
            for made in ("base_models", "models"):
                shutil.rmtree(study.results / made, ignore_errors=True)
        strike(study, stage, victim, seed)
        yield stage


def tear(study: Study, name: str, share: float) -> str:
    """Cut a file short and run again: the workflow must stop and say what to remove; do that. Returns what it said."""
    torn = study.results / name
    whole = torn.read_bytes()
    torn.write_bytes(whole[: int(len(whole) * share)])
    (study.folder / TABLE).unlink()
    code, printed = study.run("-R", _reader(name))
    assert code != 0, "a torn file was used"
    assert "is not what" in printed, printed[-3000:]
    assert "Traceback" not in printed, printed[-3000:]
    told = re.search(r"^  (rm -r .+)$", printed, re.MULTILINE)
    assert told is not None, printed[-3000:]
    subprocess.run(shlex.split(told[1]), cwd=study.folder, check=True)
    return told[1]


def _reader(name: str) -> str:
    """A rule that reads a file; it is made to run, as a file torn by a disk may look as old as before."""
    readers = {
        "puzzles": "check_puzzles", "checks": "validate_puzzles", "mixtures": "train_phase",
        "models": "decode_predictions", "predictions": "score_model", "scores": "make_table",
    }  # fmt: skip
    return readers[name.partition("/")[0]]


@contextmanager
def small_disk(study: Study, size: str) -> Iterator[None]:
    """Have the results on a disk of their own, of this size (needs root)."""
    study.results.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(study.results)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(study.results)], check=True)


def enlarge(study: Study, size: str) -> None:
    """Give that disk more room."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(study.results)], check=True)


def two_at_once(study: Study, *words: str) -> list[tuple[int, str]]:
    """Start the workflow twice at the same moment; returns exit code and output of both."""
    workflows = [study.start(*words) for _ in range(2)]
    return [(each.returncode, printed) for each in workflows for printed in [each.communicate(timeout=900)[0]]]


def checkpoint_files(study: Study) -> list[Path]:
    """Files of the checkpoints that unfinished training runs have left."""
    return sorted(study.results.glob("checkpoints/**/step-*/*.pt"))
