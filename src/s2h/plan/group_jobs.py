"""The members of a group job, side by side on the CPUs of the job.

The SLURM plugin would run them one after another, each in two Snakemake processes of its own. Instead the first of
them, which has planned all members, runs them itself, as Snakemake does on one machine.

This sets what Snakemake keeps for itself, whose attributes are no public interface, as ``start_checks`` reads it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any


def run_members_side_by_side(workflow: Any, words: Sequence[str]) -> None:
    """In the Snakemake process of a cluster's group job, run as many members at once as it has CPUs.

    Elsewhere, in the process of a single job too, nothing changes.

    Args:
        workflow: with all its rules.
        words: of the command line: the plugin gives ``--local-groupid`` to the processes of groups alone.
    """
    if not (workflow.remote_exec and "--local-groupid" in words):
        return
    workflow.localrules(*(rule.name for rule in workflow.rules))
    workflow.global_resources["_nodes"] = None  # of jobs, whose number does not count: their CPUs do
    workflow.global_resources["_cores"] = int(os.environ.get("SLURM_CPUS_ON_NODE", "1"))
