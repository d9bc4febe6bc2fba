"""A killed workflow leaves its lock behind: it is removed when nobody works in its folder any more.

Only the processes of this machine are looked at: on a cluster jobs may still run elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import psutil

from s2h.errors import S2HError


def release(folder: Path) -> bool:
    """Remove the lock of a dead workflow in ``folder``.

    Returns:
        Whether there was one.

    Raises:
        S2HError: it is in use.
    """
    locks = list((folder / ".snakemake" / "locks").glob("*.lock"))
    if locks and (busy := workers(folder)):
        raise S2HError(f"processes {', '.join(map(str, busy))} still work here: wait for them, or stop them.")
    for lock in locks:
        lock.unlink()
    return bool(locks)


def workers(folder: Path) -> list[int]:
    """Process ids of workflows and jobs that run in ``folder``, without this process and those that called it."""
    pids = []
    callers = {process.pid for process in psutil.Process().parents()} | {psutil.Process().pid}
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = " ".join(process.info["cmdline"] or [])
        here = process.info["cwd"] is not None and Path(process.info["cwd"]) == folder.resolve()
        if here and process.pid not in callers and ("snakemake" in words or "s2h." in words):
            pids.append(process.pid)
    return pids
