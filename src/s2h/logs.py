"""One set-up for every job: all of it goes to the job's log file, progress goes to the terminal as well."""

from __future__ import annotations

import errno
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from s2h.errors import S2HError

LOGGER = logging.getLogger("s2h")


class _LogFile(logging.FileHandler):
    """A log file that a full disk cuts short; the job and what it says on the terminal do not suffer from it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say nothing."""

    def close(self) -> None:
        """Close it, whether or not the rest can be written."""
        with suppress(OSError):
            super().close()


@contextmanager
def job_log(path: str | Path, *, append: bool = False) -> Iterator[logging.Logger]:
    """Log a job into ``path`` and warnings and progress to the terminal; a user's error ends the job in one line.

    Everything else that a library prints on standard output or error stays where it is.

    Args:
        path: of the log file.
        append: whether the file belongs to the process that started this one, and is written on.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if not append:
        Path(path).write_text("")
    file = _LogFile(path, mode="a")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOGGER.addHandler(file)
    LOGGER.setLevel(logging.INFO)
    try:
        yield LOGGER
    except S2HError as error:
        _end(str(error))
    except KeyboardInterrupt:
        _end("interrupted; the same command goes on")
    except BaseException as error:
        if is_full_disk(error):
            _end(f"the disk is full ({error}): make room, or put results on another disk, and run again.")
        LOGGER.exception("the job stopped")
        raise
    finally:
        LOGGER.removeHandler(file)
        file.close()


def _end(message: str) -> NoReturn:
    """End the job with a message that says all there is to say; a traceback would only hide that."""
    if message:
        LOGGER.error("%s", message)
        sys.stderr.write(f"s2h: {message}\n")  # at once: another job may write there too
    sys.exit(1)


def announce(message: str) -> None:
    """Say something in the log and on the terminal."""
    LOGGER.info(message)
    print(f"[s2h] {message}", file=sys.stderr, flush=True)


def is_full_disk(error: BaseException) -> bool:
    """Whether an error comes from a disk without room; libraries raise it as errors of their own, with its text."""
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(words in str(error) for words in ("No space left on device", "os error 28", "Disk quota exceeded"))


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """Says how far a job is and how long it will take: a line every few seconds, in the log and on the terminal.

    Where a person looks on (standard error is a terminal), a bar takes the place of the lines.

    Args:
        title: what is being done, e.g. ``train mix_plus, phase 1 of 2``.
        total: number of steps of the whole job.
        done: steps done before, when an interrupted job resumes.
        every: seconds between two lines.
    """

    def __init__(self, title: str, total: int, *, done: int = 0, every: float = 10.0) -> None:
        self.title, self.total, self.every = title, total, every
        self._first = done
        self._start = self._last = time.monotonic()
        self._bar = _Bar(title, total, done) if sys.stderr.isatty() else None

    def __call__(self, done: int, note: str = "") -> None:
        """Report that ``done`` of the steps are finished; prints at most once in ``every`` seconds, and at the end."""
        if self._bar:
            self._bar.update(done, note)
        now = time.monotonic()
        if now - self._last < self.every and done < self.total:
            return
        self._last = now
        spent = now - self._start
        left = spent / max(done - self._first, 1) * (self.total - done)
        share = 100 * done / max(self.total, 1)
        tail = f", {note}" if note else ""
        line = f"{self.title}: {done}/{self.total} ({share:.0f}%), {clock(spent)} spent, {clock(left)} left{tail}"
        LOGGER.info(line) if self._bar else announce(line)


class _Bar:
    """A bar with the time that is left, drawn by rich."""

    def __init__(self, title: str, total: int, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True))
        self._task = self._progress.add_task(title, total=total, completed=done, note="")
        self._total = total
        self._progress.start()

    def update(self, done: int, note: str) -> None:
        """Move the bar; it stays as it is when all is done."""
        self._progress.update(self._task, completed=done, note=note)
        if done >= self._total:
            self._progress.stop()
