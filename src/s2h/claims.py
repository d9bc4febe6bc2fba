"""GPUs that a job has to itself, among the jobs of all workflows and users of a machine.

A claimed GPU is a locked file of ``/tmp/s2h-gpus``. The kernel opens the lock when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from s2h.devices import VISIBLE, fake_gpus, missing_gpus, usable_gpus, visible_gpus
from s2h.errors import ModelError
from s2h.logs import LOGGER


@contextmanager
def claimed_gpus(number: int) -> Iterator[None]:
    """Put GPUs that no other job uses into CUDA_VISIBLE_DEVICES, of this process and of all that it starts.

    Waits until so many are free. It must come before CUDA is used in this process, and importing DeepSpeed uses it.

    Args:
        number: how many, of those that CUDA_VISIBLE_DEVICES has now; 0 hides all.

    Raises:
        ModelError: fewer can be used.
    """
    names = visible_gpus() if number else []
    if len(names) < number:
        raise ModelError(missing_gpus(number, len(names)))
    with ExitStack() as held, _visible(_claim(names, number, held) if number else []):
        if number:
            LOGGER.info("this job has the GPUs %s", os.environ[VISIBLE])
        if number and not fake_gpus() and (usable := usable_gpus()) < number:
            raise ModelError(missing_gpus(number, usable))
        yield


@contextmanager
def _visible(names: Sequence[str]) -> Iterator[None]:
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = ",".join(names)
    try:
        yield
    finally:
        os.environ.pop(VISIBLE)
        os.environ |= {} if before is None else {VISIBLE: before}


def _claim(names: Sequence[str], number: int, held: ExitStack) -> list[str]:
    """The first GPUs that are free, locked until ``held`` is closed.

    Jobs take them one after the other, by the lock of the folder: two that each had half of what they need would wait
    for each other.
    """
    folder, chosen, waits = _folder(), list[str](), False
    with ExitStack() as turn:
        mine = False
        while len(chosen) < number:
            if mine := mine or _lock(folder, turn):
                _claim_free(folder, names, number, chosen, held)
            if len(chosen) < number:
                waits = waits or _say_waiting(number)
                time.sleep(1)
    return chosen


def _claim_free(folder: Path, names: Sequence[str], number: int, chosen: list[str], held: ExitStack) -> None:
    """Add to ``chosen`` what is free now, up to ``number``."""
    for name in names:
        if len(chosen) < number and name not in chosen and _lock(folder / f"{_allocation()}{name}", held):
            chosen.append(name)


def _allocation() -> str:
    """The scope of GPU numbers: SLURM gives each job GPUs of its own, and may count them anew from 0."""
    return f"slurm-{os.environ['SLURM_JOB_ID']}-" if "SLURM_JOB_ID" in os.environ else ""


def _folder() -> Path:
    """The folder of the locks: the same for all users, whatever their TMPDIR is."""
    folder = Path(tempfile.gettempdir() if fake_gpus() else "/tmp") / "s2h-gpus"
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o1777)
    return folder


def _lock(path: Path, held: ExitStack) -> bool:
    """Lock a file or folder until ``held`` is closed; False where another process has it. A missing file is made."""
    try:
        opened = _open(path)
    except PermissionError:  # of another user, who is just making it
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        return False
    held.callback(os.close, opened)
    return True


def _open(path: Path) -> int:
    """For reading, which is enough for a lock: the file may be another user's."""
    with suppress(FileExistsError):
        opened = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL)
        os.fchmod(opened, 0o644)
        return opened
    return os.open(path, os.O_RDONLY)


def _say_waiting(number: int) -> bool:
    LOGGER.warning("other jobs use the GPUs; waiting for %d", number)
    print(f"[s2h] other jobs use the GPUs; waiting for {number}", file=sys.stderr, flush=True)
    return True
