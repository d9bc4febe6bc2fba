"""Train one phase: ``torchrun --nproc_per_node=N -m s2h.training JOB --job-log FILE``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

from s2h.children import end_with_parent
from s2h.errors import TrainingError
from s2h.logs import LOGGER, job_log
from s2h.training.job import Job
from s2h.training.trackers import missing_package


def main() -> None:
    """Train what the command line says; the first process logs, to its output as well, which is never cleared."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # before the first step there is nothing to save, and no traceback
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", help="what to train: JSON with the fields of s2h.training.job.Job")
    parser.add_argument("--job-log", type=Path, required=True, help="log file")
    arguments = parser.parse_args()
    job, log = Job.model_validate_json(arguments.job), arguments.job_log
    rank = int(os.environ.get("RANK", "0"))
    if rank == 0:
        LOGGER.addHandler(logging.StreamHandler(sys.stdout))
    with job_log(log if rank == 0 else log.with_suffix(f".rank{rank}.log"), append=True):
        if missing := missing_package(job.trackers):
            raise TrainingError(f"{missing}.")
        from s2h.training.trainer import Trainer  # imports torch

        Trainer(job).run()
    end_at_once()


def end_at_once() -> None:
    """End this process without taking the interpreter down.

    Everything is written by now. One training was aborted after that ('terminate called without an active exception',
    not reproduced), most likely by a library's thread while the interpreter was taken down, and the launcher called
    the training failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
