"""The resources of a job, as functions that Snakemake calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from s2h.models.resources import ResourceRequest
from s2h.plan.stage import Wildcards

Resource = Callable[[Wildcards, int], Any]


def growing(amount: int) -> Resource:
    """Memory (MB) or time (minutes) of a job that comes back with more each time it was killed for too little."""
    return lambda wildcards, attempt: amount * attempt


class Requested:
    """Cores and resources of the jobs of a rule, from what its stage says.

    Args:
        request: gives the resources of a job.
    """

    def __init__(self, request: Callable[[Wildcards, int], ResourceRequest]) -> None:
        self.request = request

    def cores(self, wildcards: Wildcards) -> int:
        """CPU cores, for ``threads`` of the rule."""
        return self.request(wildcards, 1).cpus

    def mem_mb(self, wildcards: Wildcards, attempt: int) -> int:
        """Memory of each node, MB."""
        return self.request(wildcards, attempt).mem_mb

    def runtime(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit, minutes."""
        return self.request(wildcards, attempt).runtime

    def gpus(self, wildcards: Wildcards) -> int:
        """GPUs of each node."""
        return self.request(wildcards, 1).gpus

    def gres(self, wildcards: Wildcards) -> str:
        """The GPUs of each node as SLURM calls them; empty for none."""
        gpus = self.gpus(wildcards)
        return f"gpu:{gpus}" if gpus else ""

    def nodes(self, wildcards: Wildcards) -> int:
        """Nodes that compute together."""
        return self.request(wildcards, 1).nodes

    def steps(self, name: str) -> Callable[[Wildcards], Any]:
        """A resource that only a job on several nodes has: with it the SLURM plugin leaves the job's steps to the job.

        Args:
            name: ``tasks``, ``tasks_per_gpu`` or ``mpi``.
        """

        def asked(wildcards: Wildcards) -> Any:
            nodes = self.nodes(wildcards)
            return {"tasks": nodes, "tasks_per_gpu": 0, "mpi": "srun"}[name] if nodes > 1 else None

        return asked
