"""Train one phase: ``torchrun --nproc_per_node=N -m s2h.training --title ... --job-log FILE``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import get_args

from s2h.children import end_with_parent
from s2h.errors import TrainingError
from s2h.logs import job_log
from s2h.training.trackers import TrackerName, missing_package


def main() -> None:
    """Train what the command line says; the first process logs."""
    end_with_parent()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--title", required=True, help="what is trained, for a person to read")
    parser.add_argument("--base", type=Path, required=True, help="model folder to start from")
    parser.add_argument("--mixture", type=Path, required=True, help="Parquet file of the examples")
    parser.add_argument("--output", type=Path, required=True, help="model folder to write")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder of the checkpoints of this run")
    parser.add_argument("--seed", type=int, required=True, help="seed of the run")
    parser.add_argument("--settings", required=True, help="training settings as JSON")
    parser.add_argument("--processor", type=json.loads, default={}, help="options for the processor, as JSON")
    parser.add_argument("--frozen", nargs="*", default=(), help="parts of the model that do not learn")
    parser.add_argument("--optimizer-from", type=Path, help="checkpoints of the phase before, whose optimizer goes on")
    parser.add_argument("--leave-optimizer", action="store_true", help="leave the last checkpoint for the next phase")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON lines file, a line a step")
    parser.add_argument("--tensorboard", type=Path, required=True, help="folder for TensorBoard")
    parser.add_argument("--trackers", nargs="*", default=(), choices=get_args(TrackerName), help="beside TensorBoard")
    parser.add_argument("--job-log", type=Path, required=True, help="log file")
    arguments = vars(parser.parse_args())
    log, settings = arguments.pop("job_log"), json.loads(arguments.pop("settings"))
    rank = int(os.environ.get("RANK", "0"))
    with job_log(log if rank == 0 else log.with_suffix(f".rank{rank}.log"), goes_on=True):
        if missing := missing_package(arguments["trackers"]):
            raise TrainingError(f"{missing}.")
        from s2h.models.settings import TrainingSettings
        from s2h.training.job import Job
        from s2h.training.trainer import Trainer

        Trainer(Job(settings=TrainingSettings.model_validate(settings), **arguments)).run()
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
