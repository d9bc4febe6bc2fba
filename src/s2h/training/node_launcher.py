"""torchrun, which hands interruptions on and waits: ``python -m s2h.training.node_launcher`` with torchrun's arguments.

By itself torchrun gives its processes 30 seconds, too few for a large checkpoint, and ends them at once if it is asked
twice, as by a scheduler that signals all processes of a job.
"""

from __future__ import annotations

import contextlib
import sys

import psutil
from torch.distributed import run

from s2h.training.interruptions import HANDED_ON, on_interruption

_OPTIONS = (
    "--signals-to-handle=SIGQUIT",  # not the ones that are handed on
    "--shutdown-timeout=10",  # seconds for the other processes once one has failed; they wait for it in vain
)


def main() -> None:
    """Start the processes of this node, and wait for them."""
    with on_interruption(_hand_on):
        run.main([*_OPTIONS, *sys.argv[1:]])


def _hand_on() -> None:
    processes = psutil.Process().children()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(HANDED_ON)
    if not processes:
        sys.exit(1)


if __name__ == "__main__":
    main()
