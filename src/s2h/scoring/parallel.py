"""Prompts that are sent elsewhere, several at once: what is finished is never lost, whatever goes wrong beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager

from s2h.errors import ModelError
from s2h.scoring.decoding import Prediction, Prompt

Chunk = Sequence[Prompt]
"""Prompts that are answered together, of one kind: all with an image or all without, and with one conversion."""


class StoppedError(Exception):
    """A prompt is not answered, as the job is about to end."""


@contextmanager
def stopped_at_once(pool: Executor, stop: Callable[[], None] = lambda: None) -> Iterator[None]:
    """When anything goes wrong, what has not begun is not begun.

    Args:
        pool: that does the work.
        stop: ends the waiting of what has begun.
    """
    try:
        yield
    finally:
        stop()
        pool.shutdown(cancel_futures=True)


def ask_in_parallel(
    ask: Callable[[Prompt], Prediction],
    chunks: Sequence[Chunk],
    *,
    connections: int,
    allowed_failures: int,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, list[Prediction]]]:
    """(position of the chunk, predictions in its order), as chunks are finished.

    Args:
        ask: answers one prompt; raises StoppedError after ``stop``.
        chunks: of prompts.
        connections: that are asked at once.
        allowed_failures: predictions that may have an error.
        stop: ends the waiting in ``ask``.

    Raises:
        ModelError: the first that ``ask`` raises, or more predictions failed than may; only after all that was under
            way has been finished and given.
    """
    pool, failed, problem = ThreadPoolExecutor(connections), 0, None
    with stopped_at_once(pool, stop):
        futures = {pool.submit(_each, ask, chunk): position for position, chunk in enumerate(chunks)}
        for future in as_completed(futures):
            try:
                predictions = future.result()
            except (CancelledError, StoppedError):
                continue
            except ModelError as error:
                problem = problem or error
            else:
                yield futures[future], predictions
                failed += sum(prediction.error is not None for prediction in predictions)
                if failed > allowed_failures and problem is None:
                    problem = _too_many(failed, allowed_failures, predictions)
            if problem:
                _cancel(futures, stop)
    if problem:
        raise problem


def _each(ask: Callable[[Prompt], Prediction], chunk: Chunk) -> list[Prediction]:
    return [ask(prompt) for prompt in chunk]


def _cancel(futures: dict[Future[list[Prediction]], int], stop: Callable[[], None]) -> None:
    stop()
    for future in futures:
        future.cancel()


def _too_many(failed: int, allowed: int, predictions: Sequence[Prediction]) -> ModelError:
    last = next(prediction.error for prediction in predictions if prediction.error)
    return ModelError(
        f"{failed} prompts got no reply, and max_failed_share allows {allowed}; the last: {last}. See whether the "
        "model's source.request fits the server, or raise max_failed_share; all replies so far are kept."
    )
