"""What the requests to a model have cost, in a file that all jobs of a study write to, and the limit of it."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock

from s2h.errors import ModelError
from s2h.models.endpoint_settings import PriceSettings
from s2h.scoring.replies import Usage


class Spending:
    """The tokens that were paid, also for replies that were not kept.

    Args:
        path: a line of JSON for each answer; None counts for this object alone.
        price: of the tokens.
        limit: USD, of all requests in the file; None for no limit.
    """

    def __init__(self, path: Path | None, price: PriceSettings | None, limit: float | None) -> None:
        self._path, self._price, self._limit = path, price, limit
        self._usd, self._read, self._lock = 0.0, 0, Lock()
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, usage: Usage) -> None:
        """Count an answer; tokens that the server does not tell are none."""
        tokens = {"prompt_tokens": usage.prompt_tokens or 0, "tokens": usage.tokens or 0}
        usd = self._price.usd(**tokens) if self._price else 0.0
        with self._lock:
            if self._path is None:
                self._usd += usd
                return
            with self._path.open("a", encoding="ascii") as file:  # whole lines, which other jobs do not tear
                file.write(json.dumps({**tokens, "usd": usd}) + "\n")

    def total(self) -> float:
        """USD by now, of this job and of all others."""
        with self._lock:
            if self._path and self._path.exists():
                with self._path.open("rb") as file:
                    file.seek(self._read)
                    whole, _, _ = file.read().rpartition(b"\n")
                self._read += len(whole) + 1 if whole else 0
                self._usd += sum(json.loads(line)["usd"] for line in whole.splitlines())
            return self._usd

    def check(self) -> None:
        """Raise ModelError where the limit is reached."""
        if self._limit is not None and (spent := self.total()) >= self._limit:
            raise ModelError(
                f"the requests to this model have cost {spent:.2f} USD, and spending_limit is {self._limit:.2f}: raise "
                "it and run again; all replies so far are kept."
            )
