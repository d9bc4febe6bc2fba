"""How fast a server is asked: as many requests at once as it takes, and none before it wants the next."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from s2h.logs import LOGGER, clock
from s2h.scoring.parallel import StoppedError

FIRST_WAIT = 1.0  # seconds before a request is repeated, where the server does not say; doubled each time
_LONGEST_WAIT = 60.0  # seconds, likewise: limits are per minute
_FIRST_CONTACT = 15.0  # seconds for a server that has never answered: more likely it is not there


class PatienceError(Exception):
    """A server has failed for too long, or wants to be asked too late."""


class Pace:
    """Keeps the requests of several threads to what a server takes.

    Where the server is busy, none begins before the time that it asks for, and half as many are under way from then on;
    for every round of answers there is one more.

    Args:
        most: most requests under way at once.
        patience: seconds of failures without an answer between them, or of one wait, after which waiting is given up.

    Attributes:
        limit: requests that may be under way at once now.
    """

    def __init__(self, most: int, *, patience: float) -> None:
        self._most = self.limit = most
        self._patience = patience
        self._changed = Condition()
        self._under_way = self._answers = 0
        self._not_before = self._cut = 0.0
        self._failing_since: float | None = None
        self._met = self._stopped = False

    @contextmanager
    def turn(self) -> Iterator[float]:
        """Wait until a request may begin, and count it as under way while the block runs; gives the time of its begin.

        Raises:
            StoppedError: none may begin any more.
        """
        with self._changed:
            while (delay := self._delay()) != 0:
                self._changed.wait(delay)
            if self._stopped:
                raise StoppedError
            self._under_way += 1
        try:
            yield time.monotonic()
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _delay(self) -> float | None:
        """Seconds until a request may begin: 0 for now, None where another must end first."""
        if self._stopped:
            return 0
        if self._under_way >= self.limit:
            return None
        return max(self._not_before - time.monotonic(), 0)

    def answered(self) -> None:
        """The server has answered a request, be it with a refusal."""
        with self._changed:
            self._met, self._failing_since = True, None
            self._answers += 1
            if self._answers >= self.limit < self._most:
                self.limit, self._answers = self.limit + 1, 0
                self._changed.notify_all()

    def busy(self, began: float, *, seconds: float | None, attempt: int) -> None:
        """The server is too busy for a request: nobody asks again before the time that it names.

        Args:
            began: when the request did; several that were under way together lower the limit once.
            seconds: that the server asks to wait; None where it does not say.
            attempt: of this request, from 1.

        Raises:
            PatienceError: the wait is longer than the patience, or the server has not answered for as long.
        """
        wait = _backoff(attempt) if seconds is None else seconds
        if wait > self._patience:
            raise PatienceError(f"it asks to wait {clock(wait)}, and patience is {clock(self._patience)}")
        with self._changed:
            self._met = True
            self._lose_patience()
            now = time.monotonic()
            self._not_before = max(self._not_before, now + wait)
            if began >= self._cut:
                self.limit, self._answers, self._cut = max(self.limit // 2, 1), 0, now
                LOGGER.info("the server is busy: in %.1f seconds, %d requests at once", wait, self.limit)

    def failed(self) -> None:
        """The server has not answered a request; raises PatienceError where it has not for longer than the patience."""
        with self._changed:
            self._lose_patience()

    def pause(self, attempt: int) -> None:
        """Wait before a request that failed is repeated, longer each time; others go on meanwhile.

        Args:
            attempt: of this request, from 1.

        Raises:
            StoppedError: no request may begin any more.
        """
        with self._changed:
            if self._changed.wait_for(lambda: self._stopped, timeout=_backoff(attempt)):
                raise StoppedError

    def stop(self) -> None:
        """Let no request begin any more, and end all waiting."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _lose_patience(self) -> None:
        """Raise PatienceError where the server has failed for too long; one that was never met, sooner."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        patience = self._patience if self._met else min(self._patience, _FIRST_CONTACT)
        if now - self._failing_since > patience:
            raise PatienceError(f"it has not answered for {clock(now - self._failing_since)}")


def _backoff(attempt: int) -> float:
    """Seconds before the next attempt, by chance up to a quarter less, so that not all come at once."""
    return min(FIRST_WAIT * 2.0 ** min(attempt - 1, 10), _LONGEST_WAIT) * random.uniform(0.75, 1)
