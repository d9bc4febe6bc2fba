"""When, where and by which version a job ran."""

from __future__ import annotations

import functools
import getpass
import hashlib
import json
import os
import platform
import socket
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_PACKAGES = (
    *("s2h", "snakemake", "numpy", "polars", "pyarrow", "pillow"),
    *("torch", "transformers", "deepspeed", "peft", "ms-vlmeval"),
)


def describe_job(config: Any, started: datetime) -> dict[str, Any]:
    """The facts of the calling process that a record stores.

    Args:
        config: the whole config of the workflow, of which a digest is kept.
        started: when the job began, with its time zone.
    """
    ended = datetime.now(UTC)
    return {
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((ended - started).total_seconds(), 1),
        "commit": commit(),
        "config": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16],
        "host": socket.gethostname(),
        "user": _user(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "python": platform.python_version(),
        "versions": versions(_PACKAGES),
    }


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    versions = {}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


@functools.cache
def commit() -> str | None:
    """The commit of the working tree, with ``+`` where files were changed since; None outside a checkout."""
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as containers have
        return str(os.getuid())
