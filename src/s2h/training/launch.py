"""Start the processes of a training, on one node or on all nodes of a SLURM job, and wait for them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from s2h.children import end_with_parent, with_this_code
from s2h.devices import fake_gpus
from s2h.errors import TrainingError
from s2h.models.resources import process_count
from s2h.training.interruptions import HANDED_ON, Interruption, on_interruption
from s2h.training.job import Job

_USER_LINES = re.compile(r"^(\[s2h\]|s2h:)")
"""Lines that a person wants to see: progress, and what went wrong."""
_TAIL = 30  # lines of the output that are shown where the training could not say itself what was wrong


def launch(job: Job, *, log: Path, threads: int, gpus: int, nodes: int) -> None:
    """Run ``s2h.training`` and wait for its end.

    All that the processes print or log is added to ``log`` with ``.output`` at its end, which keeps that of earlier
    attempts; what a person wants to see goes to the terminal. An interruption is handed on, and waited for.

    Args:
        job: what is trained.
        log: log file of the job.
        threads: of the job, on each node.
        gpus: of each node, which CUDA_VISIBLE_DEVICES names; see ``process_count``.
        nodes: that train together.

    Raises:
        TrainingError: it failed; the message is empty where the training has said itself what was wrong.
    """
    processes = process_count(gpus=gpus, threads=threads)
    arguments = [job.model_dump_json(), "--job-log", str(log)]
    command = _command(arguments, processes=processes, nodes=nodes, threads=threads)
    environment = os.environ | {
        "PYTHONPATH": with_this_code(),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
        "PYTHONUNBUFFERED": "1",
        "DS_ACCELERATOR": "cuda" if gpus and not fake_gpus() else "cpu",  # DeepSpeed would choose by itself
    }
    output = log.with_name(f"{log.name}.output")
    lines: list[str] = []
    explained, interruption = False, Interruption()
    with (
        output.open("a", encoding="utf-8") as written,
        _start(command, environment) as process,
        on_interruption(lambda: _hand_on(process, interruption)),
    ):
        assert process.stdout is not None
        written.write(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {nodes} x {processes} processes ---\n")
        for line in process.stdout:
            written.write(line)
            lines = [*lines[1 - _TAIL :], line]
            if _USER_LINES.match(line):
                explained |= line.startswith("s2h:")
                print(line, end="", file=sys.stderr, flush=True)
    if process.returncode:
        raise TrainingError("" if explained else _reason(process.returncode, lines, interruption))


def _hand_on(process: subprocess.Popen[str], interruption: Interruption) -> None:
    if not interruption.asked:
        process.send_signal(HANDED_ON)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # who presses Ctrl-C again does not want to wait
    interruption.ask()


def _reason(code: int, lines: Sequence[str], interruption: Interruption) -> str:
    if interruption.asked:
        return "interrupted before the training had begun; the same command goes on"
    return f"the training ended with code {code}:\n{''.join(lines)}"


def _command(arguments: Sequence[str], *, processes: int, nodes: int, threads: int) -> list[str]:
    torchrun = [sys.executable, "-m", "s2h.training.node_launcher", f"--nproc_per_node={processes}"]
    training = ["-m", "s2h.training", *arguments]
    if nodes == 1:
        return [*torchrun, "--standalone", *training]
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        raise TrainingError(
            f"a training on {nodes} nodes (models.*.resources.nodes) needs SLURM: snakemake --profile slurm; here, "
            "set nodes to 1."
        )
    meeting = [f"--nnodes={nodes}", "--rdzv_backend=c10d", f"--rdzv_id={job}", f"--rdzv_endpoint={_first_host(job)}"]
    step = ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", f"--cpus-per-task={threads}"]
    return [*step, "--kill-on-bad-exit=1", *torchrun, *meeting, *training]


def _first_host(job: str) -> str:
    """The rendezvous address of the processes: the first node of the job, and a port derived from the job's number."""
    done = subprocess.run(["squeue", "-h", "-j", job, "-o", "%B"], capture_output=True, text=True, check=False)
    host = done.stdout.strip()
    if not host:
        raise TrainingError(f"SLURM does not say on which node its job {job} runs: {done.stderr.strip()}")
    return f"{host}:{20_000 + int(job) % 10_000}"


def _start(command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=end_with_parent,
        )
    except OSError as error:
        raise TrainingError(f"{command[0]} cannot be started: {error}") from None
