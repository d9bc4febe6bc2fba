"""The processes of a training that were started together: how they meet, and what the first of them does for all."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import deepspeed
import torch
import torch.distributed as dist

from s2h.devices import local_device
from s2h.errors import TrainingError
from s2h.logs import LOGGER

_PATIENCE = timedelta(hours=2)  # of processes with one that writes a model to a slow disk; NCCL's own is 10 minutes

_T = TypeVar("_T")


def join_processes() -> torch.device:
    """Join the other processes of the launcher, by gloo on a CPU, by NCCL on GPUs; gives what this one computes on."""
    if "RANK" not in os.environ:
        raise TrainingError("training must be started by torchrun or deepspeed, which set RANK and WORLD_SIZE.")
    device = local_device(int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cpu":
        # Shared-memory reductions need minutes of compiling once per machine and gain nothing on a small model.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    backend = "nccl" if device.type == "cuda" else "gloo"
    deepspeed.init_distributed(dist_backend=backend, timeout=_PATIENCE, verbose=False)
    return device


def local_world_size() -> int:
    """How many of the processes are on this node."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def from_rank_0(compute: Callable[[], _T]) -> _T:
    """The value that rank 0 computes, on all ranks, so that they agree; all must call it."""
    found: list[Any] = [compute() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(found, src=0)
    result: _T = found[0]
    return result


def node_names() -> list[str]:
    """The nodes that train together; all processes must call it."""
    names: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(names, os.environ.get("SLURMD_NODENAME") or socket.gethostname())
    return sorted(set(names))


def log_on_rank_0(message: str, *values: object) -> None:
    """Log once, not in every process."""
    if dist.get_rank() == 0:
        LOGGER.info(message, *values)
