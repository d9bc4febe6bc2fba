"""Checks before the first job starts: GPUs that are missing, weights that were removed.

Both read Snakemake's own objects, whose attributes are no public interface: only this module, ``slurm_checks``
and ``group_jobs`` do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from s2h.devices import visible_gpus
from s2h.errors import ModelError
from s2h.models.weights import check_weights

_READS_WEIGHTS = ("train_phase", "measure_alignment", "decode_predictions")


def refuse_missing_gpus(workflow: Any) -> None:
    """End the program where jobs ask for more GPUs than this machine has; on a cluster the jobs find out.

    Snakemake itself would give each job what there is (``resources: gpus`` of profiles/default), be it none.
    """
    if not workflow.local_exec:
        return
    available = len(visible_gpus())
    for job in workflow.dag.needrun_jobs():
        gpus = (
            job.rule.resources["gpus"].evaluate(job.wildcards, attempt=1).value if "gpus" in job.rule.resources else 0
        )
        if gpus > available:
            sys.exit(
                f"s2h: {job.rule.name} asks for {gpus} GPUs for the model {job.wildcards.model}, but {available} are "
                f"here: ask for as many in models.{job.wildcards.model}.resources (gpus, decoding_gpus; 0 is the CPU), "
                "or run it on a cluster (snakemake --profile slurm)."
            )


def refuse_removed_weights(jobs: Iterable[Any]) -> None:
    """End the program where a job needs weights that were removed and that no job makes again."""
    jobs = list(jobs)
    outputs = {str(output) for job in jobs for output in job.output}
    for job in jobs:
        if job.rule.name in _READS_WEIGHTS:
            for folder in {*map(str, job.input)} - outputs:
                try:
                    check_weights(folder)
                except ModelError as error:
                    sys.exit(f"s2h: {error}")
