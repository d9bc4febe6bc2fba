"""A real SLURM on one machine: two virtual nodes, each with 64 claimed processors and 8 pretended GPUs.

    python -m tests.cluster.local_slurm start FOLDER     # by hand; stop FOLDER ends it

Needs root and Debian's packages slurmctld, slurmd, slurm-client and munge. There is no accounting and there are no
control groups: memory is watched by SLURM's own gatherer, which kills what takes more than it asked for.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "sinfo")
NODES, PROCESSORS, GPUS, MEMORY_MB = 2, 64, 8, 500_000
_PORT = 17_000
# The plugin's job step drops every SLURM_* variable: clients must find the configuration where they look by default.
_LINK = Path("/etc/slurm/slurm.conf")
_HOSTS = Path("/etc/hosts")
_MARK = "  # s2h's local SLURM"


def missing() -> str:
    """What keeps SLURM from being brought up here; empty if nothing does."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_search_path()) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if os.geteuid() != 0:
        return "SLURM's daemons need root"
    if _LINK.exists():
        return f"{_LINK} exists: another SLURM is in use here"
    return ""


@contextmanager
def local_slurm(folder: Path) -> Iterator[None]:
    """SLURM for as long as the context lasts; what it writes lies in ``folder``."""
    try:
        start(folder)
        yield
    finally:
        stop(folder)


def start(folder: Path) -> None:
    """Write the configuration and start munged, slurmctld and a slurmd for each node.

    Raises:
        RuntimeError: the nodes are not idle within 20 seconds.
    """
    _configure(folder)
    munge = folder / "munge"
    socket_path = munge / "munge.socket"
    _daemon(
        folder,
        "munged",
        "--foreground",
        "--force",
        f"--key-file={munge / 'munge.key'}",
        f"--socket={socket_path}",
        f"--pid-file={munge / 'munged.pid'}",
        f"--log-file={folder / 'log/munged.log'}",
        f"--seed-file={munge / 'seed'}",
    )
    _wait(socket_path.exists, "munged has no socket")
    _daemon(folder, "slurmctld", "-D", "-i")
    for number in range(1, NODES + 1):
        start_node(folder, number)
    _wait(lambda: _idle_nodes() == NODES, f"the nodes are not idle; see {folder / 'log'}")


def start_node(folder: Path, number: int) -> None:
    """Start the daemon of a node; nodes count from 1."""
    _daemon(folder, "slurmd", "-D", "-N", f"node{number}", name=f"node{number}")


def kill_node(folder: Path, number: int) -> None:
    """Let a node die: its daemon and all that runs on it, by kill -9."""
    pid = folder / f"pids/node{number}"
    here = [process for process in psutil.process_iter() if _node(process) == f"node{number}"]
    steps = [p for process in here for p in process.parents() if p.name() == "slurmstepd"]
    for doomed in {int(pid.read_text()), *(process.pid for process in [*here, *steps])}:
        _kill(doomed, signal.SIGKILL)
    pid.unlink()


def _node(process: psutil.Process) -> str:
    """The node on which a process of a job runs; empty for others."""
    try:
        return process.environ().get("SLURMD_NODENAME", "")
    except psutil.Error:
        return ""


def describe_job(number: str) -> dict[str, str]:
    """What SLURM knows of a job: JobState, NumNodes, NumCPUs, MinMemoryNode, TimeLimit, TresPerNode (GPUs), ..."""
    shown = subprocess.run(["scontrol", "-o", "show", "job", number], capture_output=True, text=True, check=True)
    return dict(word.partition("=")[::2] for word in shown.stdout.split() if "=" in word)


def stop(folder: Path) -> None:
    """Stop what ``start`` started, and nothing else."""
    running = {path: int(path.read_text()) for path in sorted((folder / "pids").glob("*"))}
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in running.values():
            _kill(pid, sign)
        time.sleep(2 if sign == signal.SIGTERM else 0)
    for path in running:
        path.unlink()
    if _LINK.is_symlink() and _LINK.resolve() == (folder / "slurm.conf").resolve():
        _LINK.unlink()
        _HOSTS.write_text(_other_hosts())


def _configure(folder: Path) -> None:
    for name in ("state", "log", "pids", "munge", "gpus", *(f"spool/node{n}" for n in range(1, NODES + 1))):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "munge").chmod(0o700)
    key = folder / "munge/munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    for number in range(GPUS):  # real character devices: with plain files SLURM would not set CUDA_VISIBLE_DEVICES
        (folder / f"gpus/nvidia{number}").symlink_to("/dev/null")
    (folder / "gres.conf").write_text(f"NodeName=node[1-{NODES}] Name=gpu File={folder}/gpus/nvidia[0-{GPUS - 1}]\n")
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
    (folder / "slurm.conf").write_text(_configuration(folder))
    _LINK.parent.mkdir(exist_ok=True)
    _LINK.symlink_to(folder / "slurm.conf")
    names = [f"127.0.0.1 node{number}{_MARK}\n" for number in range(1, NODES + 1)]
    _HOSTS.write_text(_other_hosts() + "".join(names))  # processes on several nodes meet at a node's name


def _other_hosts() -> str:
    """What stands in /etc/hosts without us."""
    return "".join(line for line in _HOSTS.read_text().splitlines(keepends=True) if _MARK not in line)


def _configuration(folder: Path) -> str:
    host = socket.gethostname().split(".")[0]
    values = {
        "ClusterName": "local",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": _PORT,
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/munge/munge.socket",
        "CredType": "cred/munge",
        "StateSaveLocation": f"{folder}/state",
        "SlurmdSpoolDir": f"{folder}/spool/%n",
        "SlurmctldPidFile": f"{folder}/state/slurmctld.pid",
        "SlurmdPidFile": f"{folder}/state/slurmd-%n.pid",
        "SlurmctldLogFile": f"{folder}/log/slurmctld.log",
        "SlurmdLogFile": f"{folder}/log/slurmd-%n.log",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "task=2",
        "JobAcctGatherParams": "OverMemoryKill",
        "MpiDefault": "none",
        "SwitchType": "switch/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core_Memory",
        "SchedulerType": "sched/backfill",
        "SchedulerParameters": "sched_interval=2,bf_interval=2,batch_sched_delay=0",
        "AccountingStorageType": "accounting_storage/none",
        "MinJobAge": 7200,
        "SlurmdTimeout": 15,
        "ReturnToService": 2,
        "KillWait": 5,
        "SlurmdParameters": "config_overrides",
        "GresTypes": "gpu",
    }
    node = (
        f"NodeName=node[1-{NODES}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{_PORT + 1}-{_PORT + NODES}] "
        f"CPUs={PROCESSORS} RealMemory={MEMORY_MB} Gres=gpu:{GPUS} State=UNKNOWN"
    )
    partitions = ["PartitionName=cpu Nodes=ALL Default=YES MaxTime=7-0 State=UP"]
    partitions += ["PartitionName=gpu Nodes=ALL MaxTime=2-0 State=UP"]
    return "\n".join([*(f"{key}={value}" for key, value in values.items()), node, *partitions]) + "\n"


def _daemon(folder: Path, program: str, *words: str, name: str = "") -> None:
    """Start a daemon in a session of its own and note its process."""
    found = shutil.which(program, path=_search_path())
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}  # gres.conf is looked for beside it
    with (folder / f"log/{name or program}.out").open("w") as output:
        process = subprocess.Popen(
            [str(found), *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    (folder / f"pids/{name or program}").write_text(str(process.pid))


def _idle_nodes() -> int:
    """Nodes that wait for work."""
    command = ["sinfo", "--noheader", "--Node", "--partition=cpu", "--states=idle", "--format=%N"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2)
    except subprocess.TimeoutExpired:
        return 0
    return len(answer.stdout.split())


def _kill(pid: int, sign: signal.Signals) -> None:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return


def _wait(condition: Callable[[], bool], complaint: str, *, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"SLURM did not come up: {complaint}")
        time.sleep(0.2)


def _search_path() -> str:
    """Daemons lie where a user's PATH may not look."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]](Path(sys.argv[2]).absolute())
