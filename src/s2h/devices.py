"""The GPUs of a machine: how many there are, on what a process computes, and what to look at where they cannot be used.

Nothing falls back to the CPU unasked: where CUDA_VISIBLE_DEVICES names GPUs, they are used, or the process ends.
``s2h.claims`` sets it for a job. torch is imported by what needs it alone, so that planning counts GPUs without.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from s2h.errors import ModelError

if TYPE_CHECKING:
    import torch

VISIBLE = "CUDA_VISIBLE_DEVICES"
FAKE_GPUS = "S2H_FAKE_GPUS"
"""For tests alone: a variable with the number of GPUs that are said to be here. They are counted, asked for and claimed
like real ones, and what shall compute on them computes on the CPU."""

_NODES, _DRIVER = Path("/dev"), Path("/proc/driver/nvidia/version")
_LEAST_DRIVERS = {12: "525.60.13", 13: "580.65.06"}
"""For Linux, by the CUDA version that torch is built for: NVIDIA's table of minor version compatibility."""


def fake_gpus() -> int:
    """GPUs that a test pretends to have; 0 outside of tests."""
    return int(os.environ.get(FAKE_GPUS, "0"))


def count_gpus() -> int:
    """GPUs of this machine, found without torch; at once where there is none."""
    if pretended := fake_gpus():
        return pretended
    listed = _nvidia_smi("-L")
    if listed is None:
        return len(list(_NODES.glob("nvidia[0-9]*")))
    return sum(line.startswith("GPU ") for line in listed)


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them: by number or UUID."""
    count = count_gpus()
    if VISIBLE not in os.environ:
        return [str(number) for number in range(count)]
    # As CUDA reads it: a number that is not here hides what follows it.
    return list(takewhile(lambda name: count and (not name.isdigit() or int(name) < count), _named_gpus()))


def _named_gpus() -> list[str]:
    """The GPUs that CUDA_VISIBLE_DEVICES names, present or not; empty where it is unset."""
    names = [name.strip() for name in os.environ.get(VISIBLE, "").split(",")]
    return list(takewhile(lambda name: name.isdigit() or name.startswith(("GPU-", "MIG-")), names))


def usable_gpus() -> int:
    """GPUs that torch can compute on."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def local_device(local_rank: int = 0) -> torch.device:
    """The device of this process: the GPU of its local rank, which becomes the current one, or the CPU.

    The CPU where CUDA_VISIBLE_DEVICES is empty, as in jobs that ask for no GPU, or unset on a machine without one.

    Args:
        local_rank: number of the process among those that compute together on its node, from 0.

    Raises:
        ModelError: fewer GPUs can be used than CUDA_VISIBLE_DEVICES names, or than there are processes.
    """
    import torch

    named, usable = len(_named_gpus()), usable_gpus()
    if fake_gpus() or not named + usable:
        return torch.device("cpu")
    if usable < named:
        raise ModelError(missing_gpus(named, usable))
    if local_rank >= usable:
        raise ModelError(
            f"process {local_rank + 1} of this node has no GPU of its own, as only {usable} can be used: start one "
            "process for each GPU (torchrun --nproc_per_node), or let CUDA_VISIBLE_DEVICES name more."
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def missing_gpus(asked: int, usable: int) -> str:
    """The error message, with likely causes, where fewer GPUs can be used than were requested."""
    return (
        f"{asked} GPUs were asked for, but {usable} can be used: {'; '.join(_reasons())}. Ask for those that can be "
        "used, or for the CPU (models.*.resources: {gpus: 0, decoding_gpus: 0})."
    )


def _reasons() -> Iterator[str]:
    """Likely causes of missing GPUs, the likeliest first."""
    import torch

    driver, cuda, listed = driver_version(), torch.version.cuda, count_gpus()
    least = _LEAST_DRIVERS.get(int(cuda.partition(".")[0]), "") if cuda else ""
    needed = f"torch {torch.__version__} for CUDA {cuda} needs {least or 'one of its time'} or later"
    if cuda is None:
        yield f"torch {torch.__version__} is built for the CPU alone: make setup installs the build of the lock"
    elif not driver:
        yield f"no NVIDIA driver is loaded; {needed}"
    elif _numbers(driver) < _numbers(least):
        yield f"the NVIDIA driver is {driver}, but {needed}: update it"
    elif not listed:
        yield "the driver is there, but no GPU: containers need docker run --gpus all, or apptainer exec --nv"
    yield f"{'nvidia-smi' if shutil.which('nvidia-smi') else '/dev'} lists {listed}"
    yield f"CUDA_VISIBLE_DEVICES is {os.environ.get(VISIBLE, 'unset') or 'empty'}"


def driver_version() -> str:
    """Version of the NVIDIA driver; empty where none is loaded."""
    output = _DRIVER.read_text() if _DRIVER.exists() else "\n".join(_nvidia_smi("--version") or [])
    match = re.search(r"\b(\d{3}(?:\.\d+){1,2})\b", output)
    return match[1] if match else ""


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".") if number]


def _nvidia_smi(*words: str) -> list[str] | None:
    """The output of ``nvidia-smi``; None where it is missing, fails to answer or finds no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        done = subprocess.run([program, *words], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines()
