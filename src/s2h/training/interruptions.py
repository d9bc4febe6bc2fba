"""Signals that ask a training to stop: Ctrl-C, a closed terminal, a scheduler that needs the node.

``launch`` and the launcher of each node (``node_launcher``) hand them on to the processes that train, which write a
checkpoint at the end of their step. Each may come more than once: a scheduler signals all processes of a job.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
HANDED_ON = signal.SIGUSR1
"""What is sent to the processes below: srun forwards it, and ends a job at once for SIGTERM."""


@contextmanager
def on_interruption(act: Callable[[], Any]) -> Iterator[None]:
    """Call a function for each such signal, as long as the context lasts; what is ignored, as by nohup, stays so."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heeded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, lambda *_: act())
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])


def ignore_interruptions(*_: object) -> None:
    """Leave them to the process that started this one."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Interruption:
    """Whether this process has been asked to stop.

    Attributes:
        asked: whether it has.
    """

    def __init__(self) -> None:
        self.asked = False

    def ask(self) -> None:
        """Ask it to stop."""
        self.asked = True
