"""A killed workflow leaves its lock behind: ``python -m s2h.locks`` removes it when nobody works here any more.

It looks at the processes of this machine alone, so it is called by ``make run``, never on a cluster.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psutil


def workers(folder: Path) -> list[int]:
    """Process ids of workflows and jobs that run in ``folder``, without this process and those that called it."""
    found = []
    callers = {process.pid for process in psutil.Process().parents()} | {psutil.Process().pid}
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = " ".join(process.info["cmdline"] or [])
        here = process.info["cwd"] is not None and Path(process.info["cwd"]) == folder.resolve()
        if here and process.pid not in callers and ("snakemake" in words or "s2h." in words):
            found.append(process.pid)
    return found


def release(folder: Path) -> str:
    """Remove the lock of a dead workflow in ``folder``.

    Returns:
        What was done, empty when there was no lock; a lock in use stays and its holders are named.
    """
    locks = list((folder / ".snakemake" / "locks").glob("*.lock"))
    if not locks:
        return ""
    if busy := workers(folder):
        return f"s2h: processes {', '.join(map(str, busy))} still work here: wait for them, or stop them."
    for lock in locks:
        lock.unlink()
    return "s2h: an earlier run was killed; going on from where it was."


if __name__ == "__main__":
    if message := release(Path.cwd()):
        print(message, file=sys.stderr)
