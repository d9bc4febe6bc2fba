"""Python processes that are forked from a server in which what takes long to import is imported already.

A run of Snakemake or of the trainer begins with seconds of imports, and the tests start hundreds. A process forked here
runs the same code from the same command line, environment and folder, in an interpreter of its own.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_IMPORTED = ("snakemake.cli", "polars", "deepspeed", "transformers.models.llava.modeling_llava")
"""Nothing of the project's: a test may change it."""
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([*_IMPORTED])


@dataclasses.dataclass(frozen=True, slots=True)
class _Command:
    """What a process runs: ``python -m module words``."""

    module: str
    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    printed: Sequence[str]
    """Files that take standard output and standard error."""


def python(
    module: str, *words: str, folder: Path, environments: Sequence[Mapping[str, str]], timeout: float = 900
) -> subprocess.CompletedProcess[str]:
    """Run a module in as many processes as there are environments; once one fails, the others are ended.

    Args:
        module: that would be run by ``python -m``.
        words: its arguments.
        folder: in which it runs.
        environments: whole environments, one for each process.
        timeout: seconds after which the processes are ended and counted as failed.
    """
    with tempfile.TemporaryDirectory() as name:
        printed = [f"{name}/{stream}" for stream in ("stdout", "stderr")]
        commands = [_Command(module, words, folder, environment, printed) for environment in environments]
        processes = [_CONTEXT.Process(target=_run, args=(command,)) for command in commands]
        for process in processes:
            process.start()
        waited = {process.sentinel: process for process in processes}
        while waited and not any(process.exitcode for process in processes):
            ended = multiprocessing.connection.wait([*waited], timeout)
            for sentinel in ended:
                waited.pop(sentinel).join()
            if not ended:
                break
        for process in processes:
            process.kill()
            process.join()
        code = next((process.exitcode for process in processes if process.exitcode), 0)
        return subprocess.CompletedProcess([module, *words], code, *(Path(file).read_text() for file in printed))


def ranks(number: int, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """The environments of processes that train together on this machine, as torchrun sets them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {
        "WORLD_SIZE": str(number),
        "LOCAL_WORLD_SIZE": str(number),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }
    return [{**environment, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(number)]


def _run(command: _Command) -> None:
    for file, stream in zip(command.printed, (1, 2), strict=True):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, stream)
    os.environ.clear()
    os.environ.update(command.environment)
    os.chdir(command.folder)
    sys.path[:0] = [part for part in command.environment.get("PYTHONPATH", "").split(":") if part]
    sys.argv = [command.module, *command.words]
    runpy.run_module(command.module, run_name="__main__", alter_sys=True)
